"""The streams of a pool on the CPU: what each carries lies side by side; working memory there is for a tile of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from edgernn.kernels.contract import (
    ADDRESS,
    ALIGNMENT,
    ARENA,
    CARRIED,
    FRAMES,
    OPERANDS,
    POOL,
    PORT_WORDS,
    PORTS,
    SLOT,
    SLOT_HEADER,
    STATES,
    STREAMS,
    Opcode,
)
from edgernn.kernels.library import AnyLibrary
from edgernn.layers.base import Array
from edgernn.planner import Plan
from edgernn.planner.lower import aligned
from edgernn.stream.runner import address, control_block, put_states, slots

TILE = 32  # streams that meet each panel of weights in turn
ROOM_OF_WEIGHTS = 32  # two registers of spread weights take the room of as many vectors (kernels.cpu.winograd)
TOGETHER = 4  # streams that share a load: threads get a multiple of it
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
    """Working memory of one thread: slots, the address of the room, addresses of slots, the room."""
    return TILE * (slot_bytes(plan) + 8) + ALIGNMENT + room_bytes(plan)


class Tiles:
    """n streams of a plan, run by some threads."""

    def __init__(self, plan: Plan, library: AnyLibrary, n: int, threads: int):
        self.plan, self.library = plan, library
        self._carried = aligned(n * plan.carried_bytes).reshape(n, plan.carried_bytes)
        self._places = np.zeros(n, np.int64)
        self._tiles = [aligned(tile_bytes(plan)) for _ in range(threads)]
        self._controls = [control_block(plan) for _ in range(threads)]
        for control, tile in zip(self._controls, self._tiles, strict=True):
            control[ARENA], control[SLOT] = address(tile), slot_bytes(plan)
            list_at = TILE * slot_bytes(plan)
            tile[list_at : list_at + 8].view(np.int64)[0] = address(tile) + len(tile) - room_bytes(plan)
            control[STATES], control[CARRIED], control[POOL] = address(self._carried), plan.carried_bytes, n
            control[STREAMS] = address(self._places)
        self._blocks = [address(control) for control in self._controls]
        self._others = ThreadPoolExecutor(max(1, threads - 1), "edgernn")  # a thread begins with the first call for it
        self.set_states(0, plan.initial)
        self._initial = self._carried[0].copy()
        self._carried[1:] = self._initial

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
        count, places = len(streams), self._places[: len(streams)]
        places[:] = streams
        ports = [address(array) for array in (*inputs, *outputs)]
        for control in self._controls:
            control[FRAMES], control[PORTS + ADDRESS :: PORT_WORDS] = frames, ports
        share = -(-count // (TOGETHER * len(self._controls))) * TOGETHER
        others = []
        for n, block in enumerate(self._blocks[1:], 1):
            begin, end = min(n * share, count), min((n + 1) * share, count)
            others.append(self._others.submit(self.library.pool, block, begin, end, TILE))
        try:
            refusals = self.library.pool(self._blocks[0], 0, min(share, count), TILE)
        finally:
            wait(others)  # they read and write what belongs to the caller
        refusals += sum(other.result() for other in others)
        return -1 - places[places < 0] if refusals else NOBODY
