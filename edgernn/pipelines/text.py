"""Frames as lines of text: CSV (one frame a row) and JSON lines (a list, or an object of lists by port, a line)."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Port
from edgernn.pipelines.ports import Frames, as_frames, single, together

Row = dict[str, Array]  # one frame: (1, size) or (1,) by port


def read_csv(path: Path, ports: Sequence[Port], chunk: int, say: Callable[[str], None]) -> Iterator[Frames]:
    """One frame a row, numbers separated by commas. A first row is a header only if none of its fields is a number."""
    return _read_file(path, ports, chunk, _csv_rows)


def read_json_lines(path: Path, ports: Sequence[Port], chunk: int, say: Callable[[str], None]) -> Iterator[Frames]:
    """One frame a line: a list, or an object of lists by the names of the ports."""
    return _read_file(path, ports, chunk, _json_rows)


def read_lines(lines: Iterable[str], ports: Sequence[Port], where: str) -> Iterator[Frames]:
    """JSON lines or CSV, whichever the first line is; each frame as soon as its line is there."""
    lines = iter(lines)
    try:
        first = next((line for line in lines if line.strip()), "")
        rows = _json_rows if first.lstrip()[:1] in ("[", "{") else _csv_rows
        yield from (together(ports, row) for row in rows(chain([first], lines), ports, where))
    except UnicodeDecodeError:
        raise BadInput(f"{where} is not text in UTF-8") from None


def _read_file(path: Path, ports: Sequence[Port], chunk: int, rows: Callable[..., Iterator[Row]]) -> Iterator[Frames]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            frames = rows(file, ports, str(path))
            while part := list(islice(frames, chunk)):
                yield together(ports, {p.name: np.concatenate([row[p.name] for row in part]) for p in ports})
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not text in UTF-8") from None


def _csv_rows(lines: Iterator[str], ports: Sequence[Port], where: str) -> Iterator[Row]:
    port = single(ports, "CSV")
    reader = csv.reader(lines)
    header, frames = "", 0
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                numbers, place = [_number(field) for field in fields], f"{where}, line {reader.line_num}"
                if not header and not frames and all(number is None for number in numbers):
                    header = place
                    continue
                yield {port.name: _csv_frame(port, fields, numbers, place)}
                frames += 1
    except csv.Error as error:
        raise BadInput(f"{where}, line {reader.line_num}: {error}") from None
    if header and not frames:
        raise BadInput(f"{header} holds no number, and no frame follows: numbers separated by commas expected")


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def _csv_frame(port: Port, fields: Sequence[str], numbers: list[float | None], place: str) -> Array:
    for column, number in enumerate(numbers, start=1):
        if number is None:
            raise BadInput(f"{place}, column {column}: '{fields[column - 1]}' is not a number")
    if len(numbers) != port.size:
        raise BadInput(f"{place}: {len(numbers)} numbers, a frame takes {port.size}")
    return as_frames(port, [numbers], place)


def _json_rows(lines: Iterable[str], ports: Sequence[Port], where: str) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            place = f"{where}, line {number}"
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadInput(f"{place} is not JSON: {error}") from None
            yield _json_frame(ports, value, place)


def _json_frame(ports: Sequence[Port], value: Any, place: str) -> Row:
    if not isinstance(value, dict):
        value = {single(ports, "a list").name: value}
    names = {port.name for port in ports}
    if value.keys() != names:
        raise BadInput(f"{place}: names {sorted(value)}, the model's inputs are {sorted(names)}")
    return {port.name: as_frames(port, [_flat(value[port.name], place)], place) for port in ports}


def _flat(value: Any, place: str) -> list[Any]:
    row = value if isinstance(value, list) else [value]
    if not all(isinstance(number, (int, float)) for number in row):
        raise BadInput(f"{place}: a list of numbers expected")
    return row
