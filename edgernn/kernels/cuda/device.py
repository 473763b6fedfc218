"""Arenas on a GPU, and what the host does with them: their states in and out, and one launch for a whole call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from edgernn.errors import BadInput
from edgernn.kernels.cuda.frames import NONE, WORDS, check
from edgernn.kernels.cuda.primitives import SIMULATED, i32
from edgernn.kernels.cuda.staging import Staging
from edgernn.kernels.cuda.walk import MOST_THREADS, run

Array = NDArray[Any]
ON_A_GPU = MOST_THREADS, 32
THREADS, WARP = (8, 4) if SIMULATED else ON_A_GPU  # in a block; of them at most WARP streams
NAN_BITS, TOKENS = i32(0x7FC00000), (-(2**31), 2**31 - 1)
FITS = 48 * 1024 - 4 * MOST_THREADS  # bytes of shared memory that every GPU gives a block, less what `run` takes


@cuda.jit
def put(floats, first, arena, lanes, places, values, which):  # type: ignore[no-untyped-def]
    """Number k of the n-th chosen stream becomes values[n, k], or values[0, k] where there is one row for all."""
    n = cuda.grid(1)
    if n < len(which) * len(places):
        stream, k = which[n // len(places)], n % len(places)
        at = first + stream // lanes * arena * lanes + stream % lanes
        floats[at + places[k] * lanes] = values[n // len(places) % len(values), k]


@cuda.jit
def get(floats, first, arena, lanes, places, values, which):  # type: ignore[no-untyped-def]
    """values[n, k] becomes number k of the n-th chosen stream."""
    n = cuda.grid(1)
    if n < len(which) * len(places):
        stream, k = which[n // len(places)], n % len(places)
        at = first + stream // lanes * arena * lanes + stream % lanes
        values[n // len(places), k] = floats[at + places[k] * lanes]


@cuda.jit
def fill(words, value):  # type: ignore[no-untyped-def]
    """All words become `value`."""
    n = cuda.grid(1)
    if n < len(words):
        words[n] = value


class Arenas:
    """The states of `count` streams on the current GPU, and the program that they run."""

    def __init__(self, plan: Any, count: int):
        """plan: a planner.Plan made with CudaBackend. Raises BadInput where the GPU's memory does not hold so many."""
        self.plan, self.count = plan, count
        self.lanes = min(WARP, 1 << max(count - 1, 0).bit_length())
        self.tiles = -(-count // self.lanes)
        self.arena, self.first = -(-plan.arena_bytes // 4), len(plan.weights) // 4
        self._check_memory()
        self.stream = cuda.stream()
        self.ints = cuda.device_array(self.first + self.tiles * self.arena * self.lanes, np.int32)
        self.floats = self.ints.view(np.float32)
        self.staging = Staging(self.stream)
        self._launch(fill, len(self.ints), self.ints, i32(0))
        if self.first:
            self.ints[: self.first].copy_to_device(plan.weights.view(np.int32), stream=self.stream)
        self.program, self.prepare = (self._sent(code.reshape(-1)) for code in (plan.program, plan.prepare))
        places = [slot.offset // 4 + np.arange(slot.initial.size) for slot in plan.states]
        self.places = self._sent(np.concatenate([np.empty(0, np.int64), *places]).astype(np.int64))
        self.set_states(plan.initial[None], np.arange(count))

    def _check_memory(self) -> None:
        each = 4 * self.arena
        free = cuda.current_context().get_memory_info().free * 0.9  # the rest: frames and answers
        if 4 * self.first + self.tiles * self.lanes * each > free:
            most = int(max(free - 4 * self.first, 0) // (each * self.lanes)) * self.lanes
            raise BadInput(f"{self.count} streams of {each} bytes: the GPU's memory holds {most} now")

    def _sent(self, values: Array) -> Any:
        return cuda.to_device(np.ascontiguousarray(values) if values.size else np.zeros(1, values.dtype), self.stream)

    def _launch(self, kernel: Any, threads: int, *arguments: Any) -> None:
        if threads:
            kernel[-(-threads // THREADS), THREADS, self.stream](*arguments)

    def _walk(self, program: Any, frames: int, ports: Any, inputs: Any, answers: Any, bad: Any, given: Any) -> None:
        fitting = self.first if 4 * self.first <= FITS else 0
        floats = inputs.view(np.float32)
        memory = self.ints, self.floats, fitting, self.first, self.arena
        run[self.tiles, THREADS, self.stream, 4 * fitting](
            program, *memory, self.lanes, self.count, frames, ports, inputs, floats, answers, bad, given
        )

    def set_states(self, values: Array, which: Array) -> None:
        """values (m, k) float32, or (1, k) for all: states of the streams `which` (m,), and what follows from them."""
        chosen, sent = self._sent(which.astype(np.int64)), self._sent(values.astype(np.float32))
        numbers = self.plan.initial.size
        where = self.floats, self.first, self.arena, self.lanes, self.places
        self._launch(put, len(which) * numbers, *where, sent, chosen)
        bad = np.zeros(self.count, np.int32)
        bad[which] = NONE
        nothing = self._sent(np.zeros(WORDS, np.int64)), self._sent(np.zeros(1, np.int32))
        marks = self._sent(np.zeros(1, np.float32)), self._sent(bad), self._sent(np.zeros(self.count, np.int32))
        self._walk(self.prepare, 1, *nothing, *marks)
        self.stream.synchronize()

    def states(self, which: Array) -> Array:
        """The states of the streams `which` (m,): (m, k) float32."""
        values = np.zeros((len(which), self.plan.initial.size), np.float32)
        if values.size:
            sent, chosen = self._sent(values), self._sent(which.astype(np.int64))
            where = self.floats, self.first, self.arena, self.lanes, self.places
            self._launch(get, values.size, *where, sent, chosen)
            sent.copy_to_host(values, stream=self.stream)
            self.stream.synchronize()
        return values

    def run(self, inputs: Sequence[Array], active: Array) -> tuple[list[Array], Array, Array]:
        """inputs: (T, count, size) a port; active: (count,) bool. One launch for all frames.

        Gives the answers of each output port, (most answers, count, size) float32, how many each stream gave, and for
        each stream 0 or 1 + frame * ports + port of its first bad number: that stream is then as before.
        """
        frames, staging, at = len(inputs[0]), self.staging, 0
        words = staging.here("frames", sum(x.size for x in inputs))
        for x in inputs:
            part = words[at : at + x.size].reshape(x.shape)
            if x.dtype == np.int64:  # what is beyond 32 bits is beyond any vocabulary too
                np.clip(x, *TOKENS, out=part, casting="unsafe")
            else:
                part.view(np.float32)[...] = x
            at += x.size
        sizes = self._sizes(frames)[1]
        answers = staging.there("answers", sum(sizes))
        given, bad = self._called(staging.sent("frames", len(words)), answers.view(np.float32), frames, active)
        flat = staging.fetched("answers", answers).view(np.float32)
        self.stream.synchronize()
        split = np.split(flat[: sum(sizes)], np.cumsum(sizes)[:-1])
        shape = self._most(frames), self.count
        return [p.reshape(*shape, o.size) for p, o in zip(split, self.plan.outputs, strict=True)], given, bad

    @staticmethod
    def seen(array: Any) -> Any:
        """An array that another package keeps on the GPU (CUDA array interface), without a copy."""
        return cuda.as_cuda_array(array)

    def launch(self, inputs: Any, frames: int, active: Array) -> tuple[Any, Array]:
        """The same for inputs that are on the GPU, for a model whose streams answer every frame.

        inputs: (frames * count * size,) int32 of its one port. Gives the answers, likewise in float32, which stay there
        and are NaN where a stream gave none; and which streams were refused.
        """
        answers = cuda.device_array(sum(self._sizes(frames)[1]), np.float32)
        if not frames:
            return answers, np.zeros(self.count, np.int32)
        self._launch(fill, answers.size, answers.view(np.int32), NAN_BITS)
        return answers, self._called(inputs, answers, frames, active)[1]

    def _called(self, inputs: Any, answers: Any, frames: int, active: Array) -> tuple[Array, Array]:
        """One launch, waited for -> how many answers each stream gave, and the code of its first bad number or 0."""
        staging = self.staging
        staging.here("bad", self.count)[:] = np.where(active, NONE, 0)
        staging.here("given", self.count)[:] = 0
        bad, given = staging.sent("bad", self.count), staging.sent("given", self.count)
        ports = self._sent(self._ports(*self._sizes(frames)))
        self._launch(check, frames * self.count, ports, len(self.plan.inputs), inputs, self.count, frames, bad)
        self._walk(self.program, frames, ports, inputs, answers, bad, given)
        counted, found = staging.fetched("given", given), staging.fetched("bad", bad)
        self.stream.synchronize()
        return counted.copy(), np.where(active & (found != NONE), found, 0)

    def _sizes(self, frames: int) -> tuple[list[int], list[int]]:
        """Words of each port for so many frames: inputs, outputs."""
        most = self._most(frames)
        ins = [frames * self.count * port.size for port in self.plan.inputs]
        return ins, [most * self.count * port.size for port in self.plan.outputs]

    def _most(self, frames: int) -> int:
        """Answers that a stream can give in so many frames."""
        return frames if not self.plan.waits else -(-frames // self.plan.hop)

    def _ports(self, inputs: Sequence[int], outputs: Sequence[int]) -> Array:
        starts = [sum(sizes[:n]) for sizes in (inputs, outputs) for n in range(len(sizes))]
        ports = (*self.plan.inputs, *self.plan.outputs)
        rows = [[s, p.size, p.dtype == "int64", p.low, p.high] for s, p in zip(starts, ports, strict=True)]
        return np.array(rows, np.int64).reshape(-1)
