"""Labelled recordings: what should be heard, and where.

Two layouts of a folder. FOLDER/LABEL/FILE: each file is a clip of that label. FOLDER/labels.csv: a line
`file,start,end,label` for each stretch of a long recording, in seconds, under a line with these four names; a file in
which nothing should be heard stands on a line with its name alone.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgernn.errors import BadInput
from edgernn.pipelines.sources import FILES

LIST, COLUMNS = "labels.csv", ("file", "start", "end", "label")


@dataclass(frozen=True)
class Stretch:
    """Where a label should be heard, in seconds from the start of the recording."""

    label: str
    start: float
    end: float  # infinite for a whole clip


@dataclass(frozen=True)
class Recording:
    """A file and the stretches in it; a clip is one as a whole, and where it has no stretch it is background."""

    path: Path
    stretches: tuple[Stretch, ...]
    clip: bool


def read_truth(folder: Path, labels: Collection[str], say: Callable[[str], None]) -> list[Recording]:
    """The recordings of a folder, in the order of their names; what is none of `labels` is background, which is said.

    Raises BadInput for a folder without recordings, and for a list that is none.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}")
    found = _listed(folder, say) if (folder / LIST).exists() else _sorted(folder)
    if not found:
        raise BadInput(f"{folder} holds no recordings: FOLDER/LABEL/*.wav or a file {LIST} expected")
    heard = {stretch.label for one in found for stretch in one.stretches}
    if not heard & set(labels):
        say(f"nothing in {folder} is one of {', '.join(labels)}: all of it is background")
    if other := heard - set(labels):
        say(f"background, as the model does not decide on it: {_some(other)}")
    return [Recording(r.path, tuple(s for s in r.stretches if s.label in labels), r.clip) for r in found]


def _some(names: Collection[str]) -> str:
    shown = sorted(names)[:12]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def _sorted(folder: Path) -> list[Recording]:
    """Clips in a folder for each label."""
    return [
        Recording(file, (Stretch(part.name, 0.0, math.inf),), True)
        for part in sorted(folder.iterdir())
        if part.is_dir()
        for file in sorted(part.iterdir())
        if file.suffix.lower() in FILES
    ]


def _listed(folder: Path, say: Callable[[str], None]) -> list[Recording]:
    """The recordings that the list names."""
    path = folder / LIST
    stretches: dict[str, list[Stretch]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            if sorted(names) != sorted(COLUMNS):
                raise BadInput(f"{path} begins with {','.join(names)!r}: {','.join(COLUMNS)} expected")
            for fields in reader:
                row = dict(zip(names, (field.strip() for field in fields), strict=False))
                if any(row.values()):
                    name, stretch = _row(row, f"{path}, line {reader.line_num}")
                    stretches.setdefault(name, []).extend(stretch)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} is not CSV in UTF-8: {error}") from None
    for name in stretches:
        if not (folder / name).is_file():
            raise BadInput(f"{path} names {name}, which is not in {folder}")
    left = [file for file in folder.iterdir() if file.suffix.lower() in FILES and file.name not in {LIST, *stretches}]
    if left:
        say(f"left out, as {LIST} does not name them: {_some([file.name for file in left])}")
    return [
        Recording(folder / name, tuple(sorted(stretches[name], key=lambda s: s.start)), False) for name in stretches
    ]


def _row(row: dict[str, str], where: str) -> tuple[str, Sequence[Stretch]]:
    """(file, one stretch or none)."""
    name, times, label = row.get("file", ""), (row.get("start", ""), row.get("end", "")), row.get("label", "")
    if name and not label and not any(times):
        return name, ()
    try:
        start, end = map(float, times)
    except ValueError:
        raise BadInput(f"{where}: start and end are {times[0]!r} and {times[1]!r}, seconds expected") from None
    if not name or not label or not 0 <= start < end < math.inf:
        raise BadInput(f"{where}: file,start,end,label with 0 <= start < end expected")
    return name, (Stretch(label, start, end),)
