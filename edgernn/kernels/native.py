"""A compiled kernel library that is in memory: its entries as Python callables."""

from __future__ import annotations

import ctypes
import functools
from _thread import allocate_lock
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.kernels import builtin
from edgernn.kernels import contract as c
from edgernn.kernels.entries import CALLED, LOCKED
from edgernn.kernels.isas import Isa
from edgernn.kernels.panels import CpuBackend

Words = NDArray[np.int64]
Entry = Callable[[int, int, int, int], int]
Slow = tuple[Callable[..., Any], Callable[..., Any]]

# signatures and help of what a stream holds in the place of its methods
STEP = b"step(x, out=None)\n--\n\nOne frame, compiled; help(edgernn.Stream.step) says what it takes and gives."
RUN = b"run(X, out=None)\n--\n\nT frames, compiled; help(edgernn.Stream.run) says what it takes and gives."


class Library:
    """The entries of a library, found by name with `address`; `owner` keeps them in memory.

    They are called as builtin functions, or through ctypes by a Python whose objects look different: the same answers,
    more slowly. `source`: `native` (came with the package) or `jit`.

    `run`, `features` and `scores` take a control block, how many frames there are, and the arrays of all ports (NumPy's
    own class, laid out as the block says), inputs first; -1 while another thread is in the same block. run gives 0, or
    1 + the number of the port that holds a bad number; the others, and `hear`: see kernels.hearing. `pool` takes
    (block, frames, begin, end, tile, numbers of streams, arrays), see contract, and gives how many were refused.
    """

    hear: Callable[..., int] | None = None  # as a builtin function only

    run: Callable[..., int]
    features: Callable[..., int]
    scores: Callable[..., int]
    pool: Callable[..., int]

    def __init__(self, isa: Isa, address: Callable[[str], int], owner: Any, source: str):
        self.backend = CpuBackend(isa)
        self.source = source
        self._owner = owner
        entry = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)
        self._prepare = entry(address("edgernn_prepare"))
        self._lock = allocate_lock()
        self._step = builtin.method(b"step", address("edgernn_step"), STEP)
        self._frames = builtin.method(b"run", address("edgernn_frames"), RUN)
        self.builtin = builtin.usable()
        names = (*CALLED, LOCKED, "pool")
        self._methods = [builtin.method(name.encode(), address(f"edgernn_call_{name}")) for name in names]
        if self.builtin:
            made = (builtin.make(method, None, self) for method in self._methods)
            self.run, self.features, self.scores, self.hear, self.pool = made
        else:
            through = (functools.partial(self._through, entry(address(f"edgernn_{name}"))) for name in CALLED)
            self.run, self.features, self.scores = through
            self.pool = functools.partial(_pool, entry(address("edgernn_pool")))

    def prepare(self, program: int, control: int) -> None:
        """Walk a program once."""
        self._prepare(program, control, 0, 0)

    def _through(self, entry: Entry, block: Words, frames: int, *arrays: NDArray[Any]) -> int:
        """What the builtin functions do, through ctypes."""
        with self._lock:
            if block[c.BUSY]:
                return -1
            block[c.BUSY] = 1
        try:
            _bind(block, frames, arrays)
            return entry(block.ctypes.data, 0, 0, 0)
        finally:
            block[c.BUSY] = 0

    def fast(self, control: Any, slow: Slow) -> tuple[Callable[..., Any], ...]:
        """The fast `step` and `run` of a stream with one port in and one out; `slow` are those for all other cases.

        This `run` is for streams that answer every frame.
        """
        if not self.builtin:
            return slow
        return builtin.make(self._step, control, (self, slow)), builtin.make(self._frames, control, (self, slow))


def _pool(
    entry: Entry, block: Words, frames: int, begin: int, end: int, tile: int, streams: Words, *arrays: NDArray[Any]
) -> int:
    """What the builtin `pool` does, through ctypes."""
    _bind(block, frames, arrays)
    block[c.STREAMS] = streams.ctypes.data
    return entry(block.ctypes.data, begin, end, tile)


def _bind(block: Words, frames: int, arrays: Sequence[NDArray[Any]]) -> None:
    """What the next call of an entry is about."""
    block[c.FRAMES] = frames
    for number, array in enumerate(arrays):
        block[c.PORTS + number * c.PORT_WORDS + c.ADDRESS] = array.ctypes.data
