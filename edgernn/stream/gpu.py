"""Streams on a GPU: a pool's, behind the methods of tiles.Tiles, and one alone, behind those of runner.Runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.kernels.cuda import library
from edgernn.layers.base import Array
from edgernn.planner import Plan
from edgernn.stream.frames import Frames, as_frames, as_outputs, bad_value
from edgernn.stream.runner import Answers, as_answers, check_states


class OnGpu:
    """n streams of a plan; their states stay on the GPU, and a call is one launch, however many frames it has."""

    def __init__(self, plan: Plan, n: int):
        self.plan = plan
        self._arenas = library.load().Arenas(plan, n)
        self._waits = np.full(n, plan.window, np.int64)

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

    def due(self, streams: Array, frames: int) -> int | Array:
        """How many answers so many frames bring in each of these streams; one number where that is the same for all."""
        return self.plan.answers_each(frames, self._waits[streams]) if self.plan.waits else frames

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
        (port, *more), (answer, *others), n = self.plan.inputs, self.plan.outputs, len(self._waits)
        if more or others or port.dtype != "float32" or self.plan.waits:
            raise BadInput("arrays on the GPU are for models with one input and one output of numbers, each frame")
        given = self._arenas.seen(X)
        expected = f"float32, C-contiguous, ({'T, ' * (axes == 3)}{n}, {port.size})"
        shape = given.shape[-2:] == (n, port.size) and given.ndim == axes
        if given.dtype != np.float32 or not shape or not given.is_c_contiguous():
            raise BadInput(f"the array on the GPU is {given.dtype} of shape {given.shape}; expected {expected}")
        frames = len(given) if axes == 3 else 1
        answers, bad = self._arenas.launch(given.reshape(given.size).view(np.int32), frames, self._mask(streams))
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


class GpuRunner:
    """Runs frames through a plan in the GPU's memory, for one stream."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self._one = OnGpu(plan, 1)

    def twin(self) -> GpuRunner:
        """Another in the same state."""
        twin = GpuRunner(self.plan)
        twin.set_states(self.states())
        return twin

    def states(self) -> Array:
        """All states, (n,) float32, in the model's order."""
        return self._one.states(0)

    def set_states(self, values: Array) -> None:
        """Replace all states. Raises BadInput for a state that no stream can be in."""
        self._one.set_states(0, values)

    def _frames(self, given: Frames, out: Any, several: bool) -> Answers:
        plan, only = self.plan, np.zeros(1, np.int64)
        inputs = as_frames(given, plan.inputs, (None,) if several else ())
        due = int(np.max(self._one.due(only, len(inputs[0]))))
        outputs = as_outputs(out, plan.outputs, (due,) if several else ())
        places = [y.reshape(-1, 1, port.size) for y, port in zip(outputs, plan.outputs, strict=True)]
        if len(self._one.run(only, len(inputs[0]), [x[:, None] for x in inputs], places)):
            found = (bad_value(port, x) for port, x in zip(plan.inputs, inputs, strict=True))
            raise BadInput(next(text for text in found if text is not None))
        return as_answers(plan, outputs) if several or due else None

    def step(self, x: Frames, out: Any = None) -> Answers:
        """One frame, as Stream.step."""
        return self._frames(x, out, several=False)

    def run(self, X: Frames, out: Any = None) -> Answers:
        """Many frames, as Stream.run: one launch."""
        return self._frames(X, out, several=True)

    def fast(self) -> tuple[Callable[..., Any], ...]:
        """`step` and `run`: there are no faster ways to start a GPU."""
        return self.step, self.run
