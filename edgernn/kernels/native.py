"""A compiled kernel library that is in memory: its entries as Python callables."""

from __future__ import annotations

import ctypes
from _thread import allocate_lock
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.kernels import builtin
from edgernn.kernels import contract as c
from edgernn.kernels.isas import Isa
from edgernn.kernels.panels import CpuBackend

Words = NDArray[np.int64]
Slow = tuple[Callable[..., Any], Callable[..., Any]]


class Library:
    """The entries of a library, found by name with `address`; `owner` keeps them in memory.

    They are called as builtin functions, or through ctypes by a Python whose objects look different: the same answers,
    more slowly. `source`: `native` (came with the package) or `jit`.
    """

    def __init__(self, isa: Isa, address: Callable[[str], int], owner: Any, source: str):
        self.backend = CpuBackend(isa)
        self.source = source
        self._owner = owner
        entry = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)
        self._run, self._prepare = entry(address("edgernn_run")), entry(address("edgernn_prepare"))
        self._pool = entry(address("edgernn_pool"))
        self._lock = allocate_lock()
        self._step = builtin.method(b"step", address("edgernn_step"))
        self._frames = builtin.method(b"run", address("edgernn_frames"))
        self._call = builtin.method(b"run", address("edgernn_call"))
        self._call_pool = builtin.method(b"pool", address("edgernn_call_pool"))
        self.builtin = builtin.usable()
        if self.builtin:
            self.run = builtin.make(self._call, None, self)  # type: ignore[method-assign]
            self.pool = builtin.make(self._call_pool, None, self)  # type: ignore[method-assign]

    def prepare(self, program: int, control: int) -> None:
        """Walk a program once."""
        self._prepare(program, control, 0, 0)

    def run(self, block: Words, frames: int, *arrays: NDArray[Any]) -> int:
        """Run frames; all ports' arrays (NumPy's own class, laid out as the block says), inputs first -> status.

        0, or 1 + the number of the port that holds a bad number; -1 while another thread runs in the same block.
        """
        with self._lock:
            if block[c.BUSY]:
                return -1
            block[c.BUSY] = 1
        try:
            _bind(block, frames, arrays)
            return int(self._run(block.ctypes.data, 0, 0, 0))
        finally:
            block[c.BUSY] = 0

    def pool(
        self, block: Words, frames: int, begin: int, end: int, tile: int, streams: Words, *arrays: NDArray[Any]
    ) -> int:
        """Run frames through these streams of a pool (see contract), arrays as for `run`; how many were refused."""
        _bind(block, frames, arrays)
        block[c.STREAMS] = streams.ctypes.data
        return int(self._pool(block.ctypes.data, begin, end, tile))

    def fast(self, control: Any, slow: Slow) -> tuple[Callable[..., Any], ...]:
        """The fast `step` and `run` of a stream with one port in and one out; `slow` are those for all other cases.

        This `run` is for streams that answer every frame.
        """
        if not self.builtin:
            return slow
        return builtin.make(self._step, control, (self, slow)), builtin.make(self._frames, control, (self, slow))


def _bind(block: Words, frames: int, arrays: Sequence[NDArray[Any]]) -> None:
    """What the next call of an entry is about."""
    block[c.FRAMES] = frames
    for number, array in enumerate(arrays):
        block[c.PORTS + number * c.PORT_WORDS + c.ADDRESS] = array.ctypes.data
