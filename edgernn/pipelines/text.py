"""Frames as lines of text: CSV (one frame a row) and JSON lines (a list, or an object, a line)."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Port
from edgernn.pipelines.ports import Frames, as_frames, single, together

Values = dict[str, list[Any]]  # one frame: `size` numbers by port
NUMBERS = (int, float)  # but not bool, which is an int
TIME = "time"  # the name of a column or field that holds when a row was taken, in seconds
LATEST = sys.float_info.max  # seconds


class Parser:
    """Lines of text as frames of these ports: JSON where they begin with a bracket, else CSV.

    CSV: numbers separated by commas. A header may stand before the first row: as many fields, none of them a number.
    JSON: a list; an object of lists by the names of the ports; or, for a single port, an object of numbers by any
    names, in the order of the first such line. A number named "time" that the ports have no place for is not part of
    the frame: it says when the frame was taken, in seconds.
    """

    def __init__(self, ports: Sequence[Port]):
        self._ports = ports
        self.restart()

    def restart(self) -> None:
        """The next line is a first line again."""
        self._columns: list[str] = []  # as a header names them
        self._fields: list[str] = []  # of the first object
        self._begun = False  # no header may come any more

    def parse(self, line: str, place: str) -> tuple[Values, float | None] | None:
        """(frame, when it was taken or None); None for an empty line or a header.

        Raises BadInput, which names `place`, for what is no frame of these ports.
        """
        if not line.strip():
            return None
        if line.lstrip()[:1] in ("[", "{"):
            found = self._json(line, place)
        elif not self._begun and self._header(line, place):
            return None
        else:
            found = self._csv(line, place)
        self._begun = True
        return found

    def _header(self, line: str, place: str) -> bool:
        size, fields = single(self._ports, "CSV").size, [field.strip() for field in _fields(line, place)]
        if any(_number(field) is not None for field in fields):
            return False
        if len(fields) != size + (TIME in fields):
            raise BadInput(f"{place} holds no number, and as a header {len(fields)} names; a frame takes {size}")
        self._columns, self._begun = fields, True
        return True

    def _csv(self, line: str, place: str) -> tuple[Values, float | None]:
        size, timed = self._ports[0].size, TIME in self._columns
        try:
            numbers = [float(field) for field in line.split(",")]
        except ValueError:
            numbers = _numbers(line, place)
        if len(numbers) != size + timed:
            takes = f"{size} and its time" if timed else str(size)
            raise BadInput(f"{place}: {len(numbers)} numbers, a frame takes {takes}")
        when = _finite(numbers.pop(self._columns.index(TIME)), place) if timed else None
        return {self._ports[0].name: numbers}, when

    def _json(self, line: str, place: str) -> tuple[Values, float | None]:
        try:
            value = json.loads(line, object_pairs_hook=_object)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{place} is not JSON: {error}") from None
        when = None
        if not isinstance(value, dict):
            value = {single(self._ports, "a list").name: value}
        names = {port.name for port in self._ports}
        if TIME in value and TIME not in names:
            when = _finite(value.pop(TIME), place)
        if value.keys() != names and len(names) == 1 and not any(isinstance(v, list) for v in value.values()):
            value = {self._ports[0].name: self._by_field(value, place)}
        if value.keys() != names:
            raise BadInput(f"{place}: names {sorted(value)}, the model's inputs are {sorted(names)}")
        return {port.name: _flat(value[port.name], port.size, place) for port in self._ports}, when

    def _by_field(self, value: dict[str, Any], place: str) -> list[Any]:
        size = self._ports[0].size
        names = self._fields or list(value)
        if len(names) != size:
            raise BadInput(f"{place}: {len(names)} numbers ({', '.join(names)}), a frame takes {size}")
        if value.keys() != set(names):
            raise BadInput(f"{place}: the fields {', '.join(value)}, those of the first line were {', '.join(names)}")
        for name in names:
            if type(value[name]) not in NUMBERS:
                raise BadInput(f"{place}: '{name}' is {value[name]!r}, a number expected")
        self._fields = names
        return [value[name] for name in names]


def read_text(path: Path, ports: Sequence[Port], chunk: int, say: Callable[[str], None]) -> Iterator[Frames]:
    """The frames of a file of lines. Raises BadInput, naming the line, for the first that holds none."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            frames = rows(file, ports, str(path))
            while part := list(islice(frames, chunk)):
                yield together(ports, {p.name: np.concatenate([row[p.name] for row in part]) for p in ports})
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not text in UTF-8") from None


def rows(lines: Iterable[str], ports: Sequence[Port], where: str) -> Iterator[dict[str, Array]]:
    """Each frame, (1, size) or (1,) by port, as soon as its line is there.

    Raises BadInput for the first line that holds none.
    """
    parser, header, frames = Parser(ports), "", 0
    try:
        for number, line in enumerate(lines, start=1):
            place = f"{where}, line {number}"
            if found := parser.parse(line, place):
                frames += 1
                yield {port.name: as_frames(port, [found[0][port.name]], place) for port in ports}
            elif line.strip():
                header = place
    except UnicodeDecodeError:
        raise BadInput(f"{where} is not text in UTF-8") from None
    if header and not frames:
        raise BadInput(f"{header} holds no number, and no frame follows: numbers separated by commas expected")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What JSON calls an object, each of whose names stands once. Raises ValueError for others."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name '{next(name for name in names if names.count(name) > 1)}' twice")
    return made


def _fields(line: str, place: str) -> list[str]:
    try:
        return next(csv.reader([line]))
    except csv.Error as error:
        raise BadInput(f"{place}: {error}") from None


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def _numbers(line: str, place: str) -> list[float]:
    """The fields of a line, some of them quoted or no numbers at all."""
    numbers = []
    for column, field in enumerate(_fields(line, place), start=1):
        number = _number(field)
        if number is None:
            raise BadInput(f"{place}, column {column}: '{field}' is not a number")
        numbers.append(number)
    return numbers


def _finite(value: Any, place: str) -> float:
    if type(value) in NUMBERS and abs(value) <= LATEST:
        return float(value)
    raise BadInput(f"{place}: the time is {value!r:.30}, a number of seconds expected")


def _flat(value: Any, size: int, place: str) -> list[Any]:
    row = value if isinstance(value, list) else [value]
    if not all(type(number) in NUMBERS for number in row):
        raise BadInput(f"{place}: a list of numbers expected")
    if len(row) != size:
        raise BadInput(f"{place}: {len(row)} numbers, a frame takes {size}")
    return row
