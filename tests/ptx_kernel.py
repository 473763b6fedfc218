"""Kernels of a GPU that were translated from PTX (see `ptx`), called as numba's are, on arrays of the host."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ptx import translated

from edgernn.compiler.linker import zig

FLAGS = ("-O1", "-fwrapv", "-fno-strict-aliasing", "-ffp-contract=off", "-fno-sanitize=all", "-shared", "-fPIC", "-w")
WRONG = ("", "an address outside its arrays", "an address that is no multiple of its size", "barriers apart")
SHARED_BYTES = 48 * 1024  # that every GPU gives a block


def compiled(text: str, library: Path) -> None:
    """Write the library of a PTX file's kernel."""
    library.with_suffix(".c").write_text(translated(text))
    zig(library.parent, "cc", *FLAGS, library.with_suffix(".c"), "-o", library)


class Kernel:
    """A kernel, called as numba's are: kernel[blocks, threads, stream, bytes of shared memory](*arguments).

    Each launch is run twice, with blocks and threads in the order of their numbers and backwards: what they write must
    be the same, else they race. `executed`: instructions of all threads, in all launches so far.
    """

    def __init__(self, library: Path):
        self._library = ctypes.CDLL(str(library))
        self.executed = 0

    def __getitem__(self, grid: tuple[Any, ...]) -> Callable[..., None]:
        blocks, threads, _, shared = (*grid, 0, 0)[:4]
        return functools.partial(self._called, (blocks, threads, shared))

    def _called(self, grid: tuple[int, int, int], *arguments: Any) -> None:
        assert grid[2] + ctypes.c_int.in_dll(self._library, "held").value <= SHARED_BYTES, "too much shared memory"
        values = [np.asarray(getattr(a, "_ary", a)) for a in arguments]  # of the simulator's arrays
        arrays = [a for a in values if a.ndim]
        before = [a.copy() for a in arrays]
        self._launched(grid, values, 0)
        after = [a.copy() for a in arrays]
        for array, old in zip(arrays, before, strict=True):
            array[...] = old
        self.executed += self._launched(grid, values, 1)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(arrays, after, strict=True)), "threads race"

    def _launched(self, grid: tuple[int, int, int], values: list[NDArray[Any]], backwards: int) -> int:
        words, ranges = [], [0, 0]  # the latter of shared memory
        for a in values:
            if a.ndim:  # as numba passes it: two pointers, how many numbers, of how many bytes, where, shape, strides
                words += [0, 0, a.size, a.itemsize, a.ctypes.data, *a.shape, *a.strides]
                ranges += [a.ctypes.data, a.ctypes.data + a.nbytes]
            else:
                words.append(int(a) % 2**64)
        wrong = self._library.launch(
            (ctypes.c_uint64 * len(words))(*words), (ctypes.c_uint * 3)(*grid),
            (ctypes.c_uint64 * len(ranges))(*ranges), len(ranges), backwards,
        )  # fmt: skip
        assert not wrong, WRONG[wrong]
        return ctypes.c_long.in_dll(self._library, "executed").value
