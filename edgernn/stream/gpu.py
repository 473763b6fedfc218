"""The streams of a pool on a GPU, behind the same methods as tiles.Tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.kernels.cuda import library
from edgernn.kernels.cuda.panels import CudaBackend
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.planner import Plan
from edgernn.stream.runner import check_states
from edgernn.stream.stream import plan_for


class OnGpu:
    """n streams of a model; their states stay on the GPU, and a call is one launch, however many frames it has."""

    def __init__(self, model: Model, n: int):
        device = library.load()
        self.plan: Plan = plan_for(model, CudaBackend())
        self._arenas = device.Arenas(self.plan, n)
        self._waits = np.full(n, self.plan.window, np.int64)

    def reset(self, stream: int) -> None:
        """The stream starts anew."""
        self.set_states(stream, self.plan.initial)

    def states(self, stream: int) -> Array:
        """All states of a stream, (n,) float32, in the model's order."""
        values: Array = self._arenas.states(np.array([stream]))[0]
        return values

    def set_states(self, stream: int, values: Array) -> None:
        """Replace them. Raises BadInput for a state that no stream can be in, and changes nothing."""
        check_states(self.plan, values)
        self._arenas.set_states(values[None], np.array([stream]))
        self._waits[stream] = values[-1] if self.plan.waits else 1

    def waits(self, streams: Array) -> Array:
        """For each of these streams, how many frames are still to come before its next answer, itself included."""
        waits: Array = self._waits[streams]
        return waits

    def run(self, streams: Array, frames: int, inputs: Sequence[Array], outputs: Sequence[Array]) -> Array:
        """Run these streams, (k,) int64, each through its frames: (frames, n, size) in, (answers, n, size) out.

        Gives the streams that were refused for a bad number in their frames; these are as before.
        """
        answers, given, bad = self._arenas.run(inputs, self._mask(streams))
        refused: Array = streams[bad[streams] != 0]
        self._passed(streams[bad[streams] == 0], frames)
        for output, made in zip(outputs, answers, strict=True):
            rows = output.reshape(-1, *made.shape[1:])
            due = np.arange(len(rows))[:, None] < given
            rows[due] = made[: len(rows)][due]
        return refused

    def run_there(self, streams: Array, X: Any, axes: int) -> tuple[Any, Array]:
        """The same for a float32 array that is on the GPU, (n, size) or (frames, n, size); the answers stay there too.

        Raises BadInput where the array is not so, or the model has several ports, a hop or a window.
        """
        from numba import cuda

        (port, *more), (answer, *others), n = self.plan.inputs, self.plan.outputs, len(self._waits)
        if more or others or port.dtype != "float32" or self.plan.waits:
            raise BadInput("arrays on the GPU are for models with one input and one output of numbers, each frame")
        given = cuda.as_cuda_array(X)
        expected = f"float32, C-contiguous, ({'T, ' * (axes == 3)}{n}, {port.size})"
        shape = given.shape[-2:] == (n, port.size) and given.ndim == axes
        if given.dtype != np.float32 or not shape or not given.is_c_contiguous():
            raise BadInput(f"the array on the GPU is {given.dtype} of shape {given.shape}; expected {expected}")
        frames = len(given) if axes == 3 else 1
        answers, _, bad = self._arenas.launch(given.reshape(given.size).view(np.int32), frames, self._mask(streams))
        return answers.reshape((*given.shape[:-1], answer.size)), streams[bad[streams] != 0]

    def _mask(self, streams: Array) -> Array:
        active = np.zeros(len(self._waits), bool)
        active[streams] = True
        return active

    def _passed(self, streams: Array, frames: int) -> None:
        """Frames have gone by in these streams."""
        if self.plan.waits and frames:
            left = self._waits[streams] - frames
            self._waits[streams] = np.where(left > 0, left, self.plan.hop + left % -self.plan.hop)
