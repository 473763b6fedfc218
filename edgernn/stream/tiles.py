"""The streams of a pool on the CPU: what each carries lies side by side; working memory there is for a tile of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from edgernn.kernels.contract import (
    ALIGNMENT,
    ARENA,
    CARRIED,
    OPERANDS,
    POOL,
    SLOT,
    SLOT_HEADER,
    STATES,
    Opcode,
)
from edgernn.kernels.library import AnyLibrary
from edgernn.layers.base import Array
from edgernn.planner import Plan
from edgernn.planner.program import aligned
from edgernn.stream.helper import Helper
from edgernn.stream.runner import address, control_block, put_states, slots

TILE = 32  # streams that meet each panel of weights in turn
GAP = 64  # slots
ROOM_OF_WEIGHTS = 32  # two registers of spread weights take the room of as many vectors (kernels.cpu.winograd)
TOGETHER = 4  # streams that share a load: threads get a multiple of it
WORTH = 1 << 23  # bytes of weights times streams and frames, below which sharing takes longer than it saves
NOBODY = np.zeros(0, np.int64)


def slot_bytes(plan: Plan) -> int:
    """Of a stream's working memory: an odd number of lines, so that slots don't meet in one set of a cache."""
    lines = (SLOT_HEADER + plan.arena_bytes + ALIGNMENT) // ALIGNMENT
    return (lines | 1) * ALIGNMENT


def room_bytes(plan: Plan) -> int:
    """What kernels need for a tile, beside the slots (see contract)."""
    affine = plan.program[plan.program[:, 0] == Opcode.AFFINE_I8]
    columns = int(affine[:, 1 + OPERANDS[Opcode.AFFINE_I8].index("i cols")].max(initial=0))
    return (TILE + ROOM_OF_WEIGHTS) * (2 * columns + 4 * ALIGNMENT)


def tile_bytes(plan: Plan) -> int:
    """Memory of one thread: slots, the address of the room, addresses of slots, the room, the control block; a gap.

    The gap is never touched. A core that goes through the slots fetches ahead, as if they went on behind the last one;
    there must not be what another core writes. (Measured: up to 64 slots further, and threads a third slower.)
    """
    used = TILE * (slot_bytes(plan) + 8) + ALIGNMENT + room_bytes(plan) + control_block(plan).nbytes
    return used + GAP * slot_bytes(plan)


class Tiles:
    """n streams of a plan, run by some threads."""

    def __init__(self, plan: Plan, library: AnyLibrary, n: int, threads: int):
        self.plan, self.library = plan, library
        self._carried = aligned(n * plan.carried_bytes).reshape(n, plan.carried_bytes)
        self._controls = [self._control(aligned(tile_bytes(plan))) for _ in range(threads)]
        self._helpers: list[Helper] = []  # there from the first call that is shared
        self._process = 0  # whose threads they are: a forked child has none of them
        self.set_states(0, plan.initial)
        self._initial = self._carried[0].copy()
        self._carried[1:] = self._initial

    def _control(self, tile: Array) -> Array:
        """A thread's control block, in its tile."""
        plan, block = self.plan, control_block(self.plan)
        list_at = TILE * slot_bytes(plan)
        room_at = list_at + TILE * 8 + ALIGNMENT
        control: Array = tile[room_at + room_bytes(plan) :][: block.nbytes].view(np.int64)
        control[:] = block
        control[ARENA], control[SLOT] = address(tile), slot_bytes(plan)
        tile[list_at : list_at + 8].view(np.int64)[0] = address(tile) + room_at
        control[STATES], control[CARRIED] = address(self._carried), plan.carried_bytes
        control[POOL] = len(self._carried)
        return control

    def reset(self, stream: int) -> None:
        """The stream starts anew."""
        self._carried[stream] = self._initial

    def states(self, stream: int) -> Array:
        """All states of a stream, (n,) float32, in the model's order."""
        return np.concatenate([np.empty(0, np.float32), *slots(self.plan, self._carried[stream])])

    def set_states(self, stream: int, values: Array) -> None:
        """Replace them. Raises BadInput for a state that no stream can be in, and changes nothing."""
        put_states(self.plan, self._carried[stream], values)
        control = control_block(self.plan)
        control[ARENA] = address(self._carried[stream])
        self.library.prepare(address(self.plan.prepare), address(control))

    def due(self, streams: Array, frames: int) -> Array | int:
        """How many answers so many frames bring for each of these streams, (k,) int64, or for all of them."""
        if not self.plan.waits:
            return frames
        at = self.plan.states[-1].offset
        return self.plan.answers_each(frames, self._carried[streams, at : at + 4].view(np.float32)[:, 0].astype(int))

    def run(self, streams: Array, frames: int, inputs: Sequence[Array], outputs: Sequence[Array]) -> Array:
        """Run these streams, (k,) int64, each through its frames: (frames, n, size) in, (answers, n, size) out.

        Gives the streams that were refused for a bad number in their frames; these are as before.
        """
        try:
            if len(self._controls) == 1 or len(streams) * frames * len(self.plan.weights) < WORTH:
                only = self._controls[0]
                refusals = self.library.pool(only, frames, 0, len(streams), TILE, streams, *inputs, *outputs)
            else:
                refusals = self._shared(streams, frames, (*inputs, *outputs))
            return _unmarked(streams) if refusals else NOBODY
        except BaseException:
            _unmarked(streams)
            raise

    def _shared(self, streams: Array, frames: int, arrays: tuple[Array, ...]) -> int:
        """Each thread runs a share; how many streams were refused."""
        count, pool = len(streams), self.library.pool
        if self._process != os.getpid():
            self._helpers, self._process = [Helper() for _ in self._controls[1:]], os.getpid()
        share = -(-count // (TOGETHER * len(self._controls))) * TOGETHER
        try:
            for n, (helper, control) in enumerate(zip(self._helpers, self._controls[1:], strict=True), 1):
                begin, end = min(n * share, count), min((n + 1) * share, count)
                helper.begin(pool, control, frames, begin, end, TILE, streams, *arrays)
            refusals: int = pool(self._controls[0], frames, 0, min(share, count), TILE, streams, *arrays)
            others: list[int] = [helper.result() for helper in self._helpers]
            return refusals + sum(others)
        except BaseException:  # they read and write what belongs to the caller
            _end(self._helpers)
            raise


def _end(helpers: Sequence[Helper]) -> None:
    """Wait for all of them; an interrupt meanwhile is raised then."""
    interrupt = None
    for helper in helpers:
        try:
            helper.end()
        except BaseException as error:
            interrupt = error
    if interrupt:
        raise interrupt


def _unmarked(streams: Array) -> Array:
    """The streams that a kernel has marked as refused (-1 - n), which are themselves again in `streams`."""
    marked = streams < 0
    refused: Array = -1 - streams[marked]
    streams[marked] = refused
    return refused
