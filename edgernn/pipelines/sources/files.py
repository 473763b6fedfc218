"""Files and standard input: sources that wait until they are asked for more."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.pipelines.frames import read_npy
from edgernn.pipelines.sound import check_finite, open_sound
from edgernn.pipelines.sources.decode import Decoder, Wanted
from edgernn.pipelines.sources.source import Feed, Piece
from edgernn.pipelines.sources.tally import Tally

AHEAD = 0.5  # seconds of a piece of a file
POLL = 0.1  # seconds between two looks at a file that is followed
CHUNK = 1 << 13  # bytes


@contextmanager
def open_sound_file(address: str, wanted: Wanted, tally: Tally) -> Iterator[Feed]:
    """A sound file."""
    with open_sound(Path(address), AHEAD) as sound:
        yield Feed(address, sound.rate, sound.channels, (Piece(samples) for samples in sound.samples))


@contextmanager
def open_array(address: str, wanted: Wanted, tally: Tally) -> Iterator[Feed]:
    """A NumPy file of rows (T, channels), or (T,)."""
    parts = read_npy(Path(address), [wanted.port], max(1, round(AHEAD * wanted.rate)), tally.say)
    yield Feed(address, wanted.rate, wanted.channels, _checked(Path(address), parts))


def _checked(path: Path, parts: Iterator[Array]) -> Iterator[Piece]:
    at = 0
    for rows in parts:
        check_finite(path, rows, at)
        at += len(rows)
        yield Piece(rows)


@contextmanager
def open_text(address: str, wanted: Wanted, tally: Tally) -> Iterator[Feed]:
    """CSV or JSON lines; where it is followed, the lines that are still to be written too."""
    path, decoder = Path(address), wanted.decoder(address, tally)
    with path.open("rb") as file:
        pieces = _followed(path, file, decoder, tally) if wanted.follow else _decoded(file.read1, decoder)
        with closing(pieces):
            yield Feed(address, *wanted.format(), pieces)


@contextmanager
def open_standard_input(address: str, wanted: Wanted, tally: Tally) -> Iterator[Feed]:
    """Lines or PCM, as they come."""
    name = "standard input"
    if sys.stdin is None:
        raise BadInput(f"{name} is closed: there is nothing to read")
    standard = cast(BufferedReader, sys.stdin.buffer)
    yield Feed(name, *wanted.format(), _decoded(standard.read1, wanted.decoder(name, tally)))


def _decoded(read: Callable[[int], bytes], decoder: Decoder) -> Generator[Piece, None, None]:
    while data := read(CHUNK):
        yield from decoder.feed(data)
    yield from decoder.feed(b"", whole=True)


def _followed(path: Path, file: BufferedReader, decoder: Decoder, tally: Tally) -> Generator[Piece, None, None]:
    """All that is in a file and all that is added to it; where it is cut or replaced, it is read from its start."""
    while True:
        with file:
            read = 0
            while True:
                if data := file.read1(CHUNK):
                    read += len(data)
                    yield from decoder.feed(data)
                elif _replaced(path, file, read):
                    break
                else:
                    time.sleep(POLL)
        decoder.restart()
        tally.count("breaks", 1, f"{path} was cut or replaced: read from its start")
        file = path.open("rb")


def _replaced(path: Path, file: BinaryIO, read: int) -> bool:
    """Whether the file is another, or shorter than what was read of it; a pipe has no length."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False  # between being moved away and made anew
    known = os.fstat(file.fileno())
    cut = stat.S_ISREG(known.st_mode) and found.st_size < read
    return cut or (found.st_dev, found.st_ino) != (known.st_dev, known.st_ino)
