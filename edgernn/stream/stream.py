"""The Stream class."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from edgernn.errors import BackendUnavailable
from edgernn.kernels import library
from edgernn.kernels.contract import Backend
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.planner import Plan, make_plan
from edgernn.stream.frames import Frames
from edgernn.stream.runner import Answers, Runner
from edgernn.stream.state import pack_state, unpack_state

if TYPE_CHECKING:
    from edgernn.stream.gpu import GpuRunner

_plans: weakref.WeakKeyDictionary[Model, dict[str, Plan]] = weakref.WeakKeyDictionary()


def plan_for(model: Model, backend: Backend) -> Plan:
    """The model's plan for a backend, made once."""
    plans = _plans.setdefault(model, {})
    if backend.name not in plans:
        plans[backend.name] = make_plan(model, backend)
    return plans[backend.name]


class Stream:
    """One running instance of a model: it keeps the state, so that each call continues where the last one ended.

    A Stream is used by one thread at a time. Several streams of one model share its weights and run side by side:
    `run` releases the interpreter's lock.

    `device`: `cpu`, or `cuda` for a GPU, where one stream alone is slow (see Pool). `backend`, on the CPU: `native` is
    the kernels that came with edgernn, `jit` has Numba compile them on this machine, `auto` is the first of these
    that there is. The answers of a quantised model are the same bits everywhere. Raises BackendUnavailable.
    """

    def __init__(self, model: Model, device: str = "cpu", backend: str = "auto"):
        if not isinstance(model, Model):
            raise TypeError(f"a Model expected, as convert and load give it, not {type(model).__name__}")
        self._attach(model, _runner(model, device, backend), device, backend)

    def _attach(self, model: Model, runner: Runner | GpuRunner, device: str, backend: str) -> None:
        self.model = model
        self._runner, self._where = runner, (device, backend)
        self.step, self.run = runner.fast()  # type: ignore[method-assign]

    @property
    def plan(self) -> Plan:
        """The model as it is laid out for this processor."""
        return self._runner.plan

    @property
    def control(self) -> Array:
        """The block that compiled entries run it in on the CPU (see kernels.contract)."""
        assert isinstance(self._runner, Runner)
        return self._runner.control

    def step(self, x: Frames, out: Any = None) -> Answers:
        """One frame: x (n_in,) float32 -> y (n_out,) float32. Token models take an integer.

        Several ports: a mapping name -> array in, a mapping out. `out` receives the answer where it is given.
        None while no answer is due: a model answers every `hop` frames, from the `window`-th on. With a `delay` an
        answer belongs to so many frames earlier, and is zero while there are none.
        Raises BadInput for a wrong shape or dtype, a number that is not finite or a token outside the vocabulary; the
        state is then as before the call.
        """
        return self._runner.step(x, out)

    def run(self, X: Frames, out: Any = None) -> Answers:
        """T frames: X (T, n_in) -> Y (T, n_out); the same bits as T calls of `step`. Raises BadInput as `step` does.

        Y has a row for each answer that is due: from the start T // hop, or with a window 1 + (T - window) // hop from
        its window-th frame on. The first delay // hop of a stream are zeros.
        """
        return self._runner.run(X, out)

    def reset(self) -> None:
        """Back to the initial state."""
        self._runner.set_states(self.plan.initial)

    def save_state(self) -> bytes:
        """The state, to go on from on any machine that has the model. Raises BadInput while another thread runs it."""
        return pack_state(self.model.hash, self._runner.states())

    def load_state(self, blob: bytes) -> None:
        """Go on from a saved state, bit for bit. Raises BadInput for a foreign or damaged one, and changes nothing."""
        values: Array = self._runner.states()
        self._runner.set_states(unpack_state(blob, self.model.hash, len(values)))

    def fork(self) -> Stream:
        """A second stream that goes on from this one's state. Raises BadInput while another thread runs this one."""
        twin = Stream.__new__(Stream)
        twin._attach(self.model, self._runner.twin(), *self._where)
        return twin

    def __copy__(self) -> Stream:
        return self.fork()

    def __deepcopy__(self, memo: Any) -> Stream:
        return self.fork()

    def __reduce__(self) -> tuple[Any, ...]:
        return _resumed, (self.model, self.save_state(), *self._where)


def _runner(model: Model, device: str, backend: str) -> Runner | GpuRunner:
    if device == "cuda" and backend == "auto":
        from edgernn.kernels.cuda.panels import CudaBackend
        from edgernn.stream.gpu import GpuRunner

        return GpuRunner(plan_for(model, CudaBackend()))
    if device != "cpu":
        there = "there is device='cuda', which has no backends, and device='cpu'"
        raise BackendUnavailable(f"device='{device}' with backend='{backend}': {there}")
    loaded = library.load(backend)
    return Runner(plan_for(model, loaded.backend), loaded)


def _resumed(model: Model, blob: bytes, device: str, backend: str) -> Stream:
    """A stream that goes on from a saved state: how a stream reaches another process."""
    stream = Stream(model, device, backend)
    stream.load_state(blob)
    return stream
