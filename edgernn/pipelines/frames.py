"""Where frames come from, by the ending of a file's name or by what stands on standard input."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Port
from edgernn.pipelines.ports import Frames, as_frames, single, together
from edgernn.pipelines.sound import SUFFIXES, read_sound
from edgernn.pipelines.text import read_text, rows

Say = Callable[[str], None]
Reader = Callable[[Path, Sequence[Port], int, Say], Iterator[Frames]]

CHUNK = 512  # frames


def read_frames(source: str, ports: Sequence[Port], say: Say) -> Iterator[Frames]:
    """The frames of a .wav, .csv, .npy or .jsonl file, in chunks; of "-", CSV or JSON lines, one by one as they come.

    `say` is told of frames that were left out. Raises BadInput for what is no such file or does not fit the ports.
    """
    if source == "-":
        if sys.stdin is None:
            raise BadInput("standard input is closed: there is nothing to read")
        return (together(ports, row) for row in rows(sys.stdin, ports, "standard input"))
    path = Path(source)
    if path.suffix.lower() not in READERS:
        path.stat()  # says so where nothing is there
        raise BadInput(f"{path}: no way to read a '{path.suffix}' file; one of {', '.join(READERS)} expected")
    return READERS[path.suffix.lower()](path, ports, CHUNK, say)


def read_npy(path: Path, ports: Sequence[Port], chunk: int, say: Say) -> Iterator[Array]:
    """A NumPy array (T, size), or (T,) where the port takes one number."""
    port = single(ports, "a NumPy file")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise BadInput(f"{path} is not a NumPy array that can be read: {error}") from None
    if not isinstance(array, np.memmap) or array.ndim == 0:
        raise BadInput(f"{path}: one array (frames, {port.size}) expected, as numpy.save writes it")
    if array.shape[1:] != (port.size,) and (array.ndim, port.size) != (1, 1):
        as_frames(port, array, str(path))  # says what is wrong with its shape
    for part in _read(path, array, chunk):
        yield as_frames(port, part, str(path))


def _read(path: Path, array: np.memmap, chunk: int) -> Iterator[Array]:
    """The rows of a mapped array, so many at a time: read, for the process ends where what is mapped is cut."""
    if not array.flags.c_contiguous:
        whole = np.load(path, allow_pickle=False)
        yield from (whole[start : start + chunk] for start in range(0, len(whole), chunk))
        return
    with path.open("rb") as file:
        file.seek(array.offset)
        for start in range(0, len(array), chunk):
            shape = min(chunk, len(array) - start), *array.shape[1:]
            numbers = np.fromfile(file, array.dtype, math.prod(shape))
            if len(numbers) < math.prod(shape):
                raise BadInput(f"{path} was cut while it was read")
            yield numbers.reshape(shape)


def read_wav(path: Path, ports: Sequence[Port], chunk: int, say: Say) -> Iterator[Frames]:
    """Frames of `size` consecutive samples within [-1, 1), and a word about what is left of the last one."""
    port = single(ports, "a sound")
    if port.dtype != "float32":
        raise BadInput(f"{path}: input '{port.name}' takes tokens, not sound")
    samples, _ = read_sound(path, say)
    count = len(samples) // port.size
    frames = samples[: count * port.size].reshape(count, port.size)
    for start in range(0, count, chunk):
        yield frames[start : start + chunk]
    rest = len(samples) - count * port.size
    if rest:
        say(f"left out the last {rest} samples of {path}: a frame takes {port.size}")


READERS: dict[str, Reader] = {
    **dict.fromkeys(SUFFIXES, read_wav),
    ".csv": read_text,
    ".npy": read_npy,
    ".jsonl": read_text,
}
