"""The Pool class."""

from __future__ import annotations

import operator
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.errors import BackendUnavailable, BadInput, RefusedStreams
from edgernn.kernels import library
from edgernn.kernels.cuda.panels import CudaBackend
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.stream.frames import FLOAT32, Frames, are_plain, as_frames, as_outputs, bad_value
from edgernn.stream.memory import check_room
from edgernn.stream.runner import Answers, apart, as_answers
from edgernn.stream.state import pack_state, unpack_state
from edgernn.stream.stream import plan_for
from edgernn.stream.tiles import Tiles, tile_bytes

if TYPE_CHECKING:
    from edgernn.stream.gpu import OnGpu

LISTED = 2 * 8  # bytes a stream in lists of streams
Which = Any  # streams: a mask (n,) of booleans, numbers (k,), or None for all


class Pool:
    """n streams of one model, stepped together: each gives the same bits as a Stream of its own.

    Streams are numbered 0..n-1 and independent: one joins by `reset` or `load_state`, and leaves by not being active
    any more; no other notices. A Pool is used by one thread at a time, and shares each step among `threads`.
    """

    def __init__(self, model: Model, n: int, device: str = "cpu", threads: int = 1):
        n, threads = _at_least_one(n, "streams"), _at_least_one(threads, "threads")
        self._streams = _on(device, model, n, threads)
        self.model, self.plan = model, self._streams.plan
        self._n, self._all = n, np.arange(n, dtype=np.int64)
        (port, *more), (answer, *others) = self.plan.inputs, self.plan.outputs
        simple = (
            isinstance(self._streams, Tiles) and not (more or others or self.plan.waits) and port.dtype == "float32"
        )
        self._in = (n, port.size) if simple else None  # shapes of what a simple step takes and gives
        self._out = n, answer.size
        self._lock = threading.Lock()
        self._last: tuple[Any, Any, Any] = (self._all, 0, [])  # streams of the last call, their answers, the refused

    def __len__(self) -> int:
        """How many streams there are."""
        return self._n

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Pool is not copied or pickled: take the save_state of its streams, and load them elsewhere")

    @property
    def answered(self) -> Array:
        """How many answers each stream gave in the last call, (n,) int64."""
        streams, due, refused = self._last
        counts = np.zeros(self._n, np.int64)
        counts[streams] = due
        counts[refused] = 0
        return counts

    def step(self, X: Frames, active: Which = None, out: Any = None) -> Answers:
        """One frame for each active stream: X (n, n_in) float32 -> Y (n, n_out).

        `active` says whose frames have come: a mask (n,) of booleans or stream numbers (k,), in any order; all by
        default. The other rows of X are not read, and those streams stay as they are. Rows of Y without an answer, also
        because none is due yet, are NaN, or as they were where `out` receives the answers; `answered` tells which.
        Several ports: mappings, as with Stream.

        Raises BadInput for a wrong shape, dtype or active stream: nothing has changed. Raises RefusedStreams for
        streams whose frame holds a number that is not finite or a token outside the vocabulary: these are as before the
        call, the others have taken their frames, and the error holds the answers.
        """
        if are_plain(X, self._in) and (out is None or self._takes(out, X)):
            return self._alone(self._stepped, X, active, out)
        return self._advance(X, (self._n,), active, out)

    def run(self, X: Frames, out: Any = None, active: Which = None) -> Answers:
        """T frames for each active stream: X (T, n, n_in) -> Y (T, n, n_out); the same bits as T calls of `step`.

        With a hop or window Y has a row for each answer of the stream that gives most; `answered` says how many each
        gave, and what is beyond them is NaN. Raises as `step` does; a stream is refused with all its frames.
        """
        return self._advance(X, (None, self._n), active, out)

    def reset(self, stream: int) -> None:
        """Back to the initial state. Raises BadInput where there is no such stream."""
        self._alone(lambda: self._streams.reset(self._number(stream)))

    def save_state(self, stream: int) -> bytes:
        """The state of a stream, as Stream.save_state gives it: each loads the other's."""
        values: Array = self._alone(lambda: self._streams.states(self._number(stream)))
        return pack_state(self.model.hash, values)

    def load_state(self, stream: int, blob: bytes) -> None:
        """The stream goes on from a saved state. Raises BadInput for a foreign or damaged one, and changes nothing."""
        values = unpack_state(blob, self.model.hash, len(self.plan.initial))
        self._alone(lambda: self._streams.set_states(self._number(stream), values))

    def _alone(self, do: Callable[..., Any], *given: Any) -> Any:
        """Raises BadInput while another thread uses the pool."""
        if not self._lock.acquire(False):
            raise BadInput("another thread uses this pool; let one thread step it")
        try:
            return do(*given)
        finally:
            self._lock.release()

    def _number(self, stream: Any) -> int:
        try:
            number = operator.index(stream)
        except TypeError:
            raise BadInput(f"a stream is a number within 0..{self._n - 1}, not {type(stream).__name__}") from None
        if not 0 <= number < self._n:
            raise BadInput(f"there is no stream {number}: they are 0..{self._n - 1}")
        return number

    def _numbers(self, which: Which) -> Array:
        """The streams that a mask or numbers name, (k,) int64."""
        if which is None:
            return self._all
        if "numpy.ma" in sys.modules and isinstance(which, np.ma.MaskedArray):
            raise BadInput("active is a masked array: a mask of booleans or a list of stream numbers expected")
        try:
            given = np.asarray(which)
        except ValueError as error:
            raise BadInput(f"active is no list of stream numbers: {error}") from None
        if given.dtype == bool and given.shape == (self._n,):
            return given.nonzero()[0].astype(np.int64, copy=False)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            expected = f"a mask of {self._n} booleans or a list of stream numbers"
            raise BadInput(f"active is {expected}; got {given.dtype} of shape {given.shape}")
        numbers: Array = given.astype(np.int64)
        numbers.sort()
        if len(numbers) and (numbers[0] < 0 or numbers[-1] >= self._n):
            bad = given[(given < 0) | (given >= self._n)][0]
            raise BadInput(f"active names stream {bad}; there are 0..{self._n - 1}")
        mask = np.zeros(self._n, bool)
        mask[numbers] = True
        if np.count_nonzero(mask) < len(numbers):
            raise BadInput(f"active names stream {numbers[:-1][numbers[1:] == numbers[:-1]][0]} twice")
        return numbers

    def _advance(self, X: Frames, lead: tuple[int | None, ...], active: Which, out: Any) -> Answers:
        there = type(X) is not np.ndarray and hasattr(X, "__cuda_array_interface__")
        return self._alone(self._advanced_there if there else self._advanced, X, lead, active, out)

    def _advanced_there(self, X: Any, lead: tuple[int | None, ...], active: Which, out: Any) -> Answers:
        """Frames that are on the GPU: so are the answers."""
        if isinstance(self._streams, Tiles) or out is not None:
            raise BadInput("an array on the GPU is for a pool with device='cuda', and comes without out")
        streams = self._numbers(active)
        answers, refused = self._streams.run_there(streams, X, len(lead) + 1)
        self._last = streams, len(answers) if len(lead) > 1 else 1, refused
        if len(refused):
            raise RefusedStreams({int(n): "a number that is not finite" for n in refused}, answers)
        return answers

    def _advanced(self, X: Frames, lead: tuple[int | None, ...], active: Which, out: Any) -> Answers:
        plan, inputs, streams = self.plan, as_frames(X, self.plan.inputs, lead), self._numbers(active)
        frames = len(inputs[0])
        due = self._streams.due(streams, frames)
        rows = () if len(lead) == 1 else (due if isinstance(due, int) else int(due.max(initial=0)),)
        outputs = as_outputs(out, plan.outputs, (*rows, self._n), blank=True)
        if out is not None:
            inputs = [apart(array, outputs) for array in inputs]
        refused, answers = self._streams.run(streams, frames, inputs, outputs), as_answers(plan, outputs)
        self._last = streams, due, refused
        if len(refused):
            raise self._refusal(refused, inputs, answers)
        return answers

    def _takes(self, out: Any, X: Array) -> bool:
        """Whether answers can be written to `out` as they come."""
        return are_plain(out, self._out) and out.flags.writeable and not np.may_share_memory(X, out)

    def _stepped(self, X: Array, active: Which, out: Array | None) -> Array:
        """What most steps are, as _advanced has it, in the few operations that a pool of few streams can afford."""
        streams = self._all if active is None else self._numbers(active)
        if out is None:
            Y = np.empty(self._out, FLOAT32)
            Y.fill(np.nan)
        else:
            Y = out
        refused = self._streams.run(streams, 1, (X,), (Y,))
        self._last = streams, 1, refused
        if len(refused):
            raise self._refusal(refused, [X[None]], Y)
        return Y

    def _refusal(self, refused: Array, inputs: Sequence[Array], answers: Answers) -> RefusedStreams:
        return RefusedStreams({int(n): self._reason(int(n), inputs) for n in refused}, answers)

    def _reason(self, stream: int, inputs: Sequence[Array]) -> str:
        found = (bad_value(port, array[:, stream]) for port, array in zip(self.plan.inputs, inputs, strict=True))
        return next(text for text in found if text is not None)


def _on(device: str, model: Model, n: int, threads: int) -> Tiles | OnGpu:
    if device == "cuda" and threads == 1:
        from edgernn.stream.gpu import OnGpu

        return OnGpu(plan_for(model, CudaBackend()), n)
    if device == "cuda":
        raise BadInput(f"{threads} threads: they are for device='cpu'; a GPU shares the work by itself")
    if device != "cpu":
        raise BackendUnavailable(f"there is no device '{device}'; there are 'cpu' and 'cuda'")
    loaded, threads = library.load(), min(threads, n)  # a stream is not shared
    plan = plan_for(model, loaded.backend)
    check_room(n, plan.carried_bytes + LISTED, threads * tile_bytes(plan))
    return Tiles(plan, loaded, n, threads)


def _at_least_one(given: Any, what: str) -> int:
    try:
        number = operator.index(given)
    except TypeError:
        raise BadInput(f"a pool takes a number of {what}, not {type(given).__name__}") from None
    if number < 1:
        raise BadInput(f"a pool of {number} {what} cannot run; at least 1 is needed")
    return number
