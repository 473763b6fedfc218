"""An ONNX file in ONNX Runtime, fed with frames: what a converted model is compared with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.conversion import GET, analyse_again, constants_of
from edgernn.conversion.noise import noise
from edgernn.conversion.places import Answers, answered, answered_after, lengthened, placed
from edgernn.errors import BackendUnavailable, BadInput
from edgernn.layers.base import Array, Shape, volume
from edgernn.layers.model import Model

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    **{f"tensor({kind})": np.dtype(kind).type for kind in ("int8", "int16", "uint8", "uint16")},
}
LARGEST_EXAMPLE = 256  # steps of an exporter's example that are looked for
WINDOWS = 200  # of a long recording that are run
PREFIXES = 24  # lengths at which an answer that comes at the end of a sequence is looked at


@dataclass(frozen=True)
class Feed:
    """One input of the graph: its shape for one frame, where time is in it, and its dtype."""

    shape: Shape
    time: int | None
    dtype: Any
    length: int | None  # steps a call must have; None where any number will do

    @property
    def size(self) -> int:
        """Numbers in one frame."""
        return volume(tuple(n for axis, n in enumerate(self.shape) if axis != self.time))

    def filled(self, value: Any) -> Array:
        """An array that the graph takes as it is, or a single number in the whole input."""
        given = np.asarray(value, self.dtype)
        return given if given.ndim == len(self.shape) else np.full(self.shape, given.reshape(()))

    def array(self, frames: Array) -> Array:
        """frames (T, size) or (T,) as the graph wants them: T along its time axis, or the only frame there is."""
        if np.dtype(self.dtype).kind in "iu" and np.dtype(self.dtype).itemsize <= 2:
            frames = np.clip(frames, np.iinfo(self.dtype).min, np.iinfo(self.dtype).max)
        if self.time is None:
            return np.asarray(frames[-1].reshape(self.shape), self.dtype)
        rest = (*self.shape[: self.time], *self.shape[self.time + 1 :])
        return np.asarray(np.moveaxis(frames.reshape(len(frames), *rest), 0, self.time), self.dtype)


class Oracle:
    """Runs the graph that `model` was converted from, with what was set and the states that were paired then.

    Raises BackendUnavailable where onnxruntime is not installed or does not run the file, and BadInput where the model
    cannot have come from it.
    """

    def __init__(self, source: str | Path, model: Model):
        self.model = model
        report = analyse_again(source, model)  # which says how to get what reads ONNX files
        from edgernn.importer import NARROWED

        self.pairs, self._counts, self._notes = dict(report.states), report.counts, report.notes
        self._session = _session(_file(source, model), NARROWED in report.notes)
        times = dict(report.time_axes)
        self._constants = constants_of(model)
        optional = self._session.get_overridable_initializers()
        taken = [*self._session.get_inputs(), *(given for given in optional if given.name in self._constants)]
        self._feeds = {given.name: _feed(given, times, self._constants) for given in taken}
        self._defaults = {given.name: tuple(given.shape) for given in optional}
        self._outputs = [given.name for given in self._session.get_outputs()]
        self._check_ports(source)

    def _check_ports(self, source: str | Path) -> None:
        inputs = [port for port in self.model.inputs if port.name in self._feeds]
        sizes = [self._feeds[port.name].size for port in inputs]
        outputs = {port.name for port in self.model.outputs}
        if sizes != [port.size for port in self.model.inputs] or not outputs <= set(self._outputs):
            raise BadInput(f"the model did not come from {source}: its inputs and outputs are others")

    @cached_property
    def chunk(self) -> int | None:
        """How many frames a call takes: 1 for a step graph, a fixed length, or None for any number.

        Some exporters call the time axis free and yet leave the example's length in the graph: that is found by trying.
        """
        if "window" in self.model.origin:
            return self.model.window
        timed = [feed for feed in self._feeds.values() if feed.time is not None]
        if not timed or timed[0].length:
            return timed[0].length if timed else 1
        hop = self.model.hop
        if self._runs(LARGEST_EXAMPLE * hop + hop):
            return None
        return next((n for n in range(LARGEST_EXAMPLE * hop, 0, -hop) if self._runs(n)), None)

    @cached_property
    def answered(self) -> int:
        """After how many frames the stream has answered a call of a fixed length; 0 for calls of any number."""
        return answered_after(self.chunk or 0, self.model, self._notes)

    def _runs(self, count: int) -> bool:
        try:
            self.call(noise(self.model.inputs, count), self.start())
        except BackendUnavailable:
            return False
        return True

    def start(self) -> dict[str, Array]:
        """The inputs that are no port, before the first frame: states at zero, and what was set."""
        ports = {*(port.name for port in self.model.inputs), *self._counts}
        return {
            name: feed.filled(self._constants.get(name, 0)) for name, feed in self._feeds.items() if name not in ports
        }

    def call(
        self, frames: Mapping[str, Array], states: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """(every output, the states afterwards) of one call with these frames."""
        try:
            values = self._session.run(None, {**self._fed(frames), **states})
        except Exception as error:  # onnxruntime has no common base for its errors
            raise _unable(error) from None
        outputs = dict(zip(self._outputs, values, strict=True))
        new = {name: outputs[output].reshape(self._shape(name)) for name, output in self.pairs.items()}
        return outputs, {**states, **new}

    def _shape(self, name: str) -> Shape:
        """The shape of a state input; one with a default is no feed, since it begins with that."""
        return self._feeds[name].shape if name in self._feeds else self._defaults[name]

    def _fed(self, frames: Mapping[str, Array]) -> dict[str, Array]:
        count = len(next(iter(frames.values())))
        counts = {name: self._feeds[name].filled(count) for name in self._counts}
        return counts | {port.name: self._feeds[port.name].array(frames[port.name]) for port in self.model.inputs}

    def held(self, frames: Mapping[str, Array]) -> dict[str, Array]:
        """The frames, where what a whole sequence has one of (a speaker) is the same in all of them.

        Those of a single call are as many as the stream needs to answer it.
        """
        if (self.chunk or 0) <= len(next(iter(frames.values()))) < self.answered:
            frames = lengthened(frames, self.answered)
        timed = {name for name, feed in self._feeds.items() if feed.time is not None}
        if not timed or "window" in self.model.origin:
            return dict(frames)
        return {name: a if name in timed else np.repeat(a[:1], len(a), axis=0) for name, a in frames.items()}

    def answers(self, frames: Mapping[str, Array]) -> dict[str, Answers]:
        """The answers to these frames, T of each port, by output port."""
        if "window" in self.model.origin:
            return self._on_windows(frames)
        count, hop = len(next(iter(frames.values()))), self.model.hop
        chunk, states = self.chunk or count // hop * hop, self.start()
        if chunk > count:
            raise BackendUnavailable(f"ONNX Runtime takes {chunk:,} frames a call; only {count:,} are given")
        found: dict[str, list[Answers]] = {port.name: [] for port in self.model.outputs}
        for start in range(0, count - chunk + 1, chunk):
            outputs, states = self.call({name: array[start : start + chunk] for name, array in frames.items()}, states)
            for port in self.model.outputs:
                made = placed(self.model, port.name, outputs[port.name], self.answered or chunk)
                found[port.name].append(Answers(made.places + start // hop, made.values))
            if not self.pairs:  # each call starts anew
                break
        if self.chunk is None:
            self._add_prefixes(frames, found)
        return {name: _joined(parts) for name, parts in found.items()}

    def _on_windows(self, frames: Mapping[str, Array]) -> dict[str, Answers]:
        """A call for each window, or for so many of them."""
        window, hop = self.model.window, self.model.hop
        last = answered(self.model, len(next(iter(frames.values())))) - 1
        places = np.unique(np.linspace(0, last, min(WINDOWS, last + 1)).astype(int))
        found: dict[str, list[Array]] = {port.name: [] for port in self.model.outputs}
        for start in places * hop:
            outputs, _ = self.call({name: a[start : start + window] for name, a in frames.items()}, self.start())
            for port in self.model.outputs:
                found[port.name].append(outputs[port.name].reshape(1, port.size))
        return {name: Answers(places, np.concatenate(values)) for name, values in found.items()}

    def step_times(self, steps: int) -> list[int]:
        """Nanoseconds of each of `steps` calls with one frame, or a frame's share where a call must have more."""
        chunk, windowed, taken = self.chunk or self.model.hop, "window" in self.model.origin, []
        feed = {**self._fed(noise(self.model.inputs, chunk)), **self.start()}
        for _ in range(max(1, steps // chunk)):
            start = time.perf_counter_ns()
            self._session.run(None, feed)
            taken.append((time.perf_counter_ns() - start) // (self.model.hop if windowed else chunk))
        return taken

    def _add_prefixes(self, frames: Mapping[str, Array], found: dict[str, list[Answers]]) -> None:
        """For outputs that come at the end of a sequence, the answers at the ends of shorter ones."""
        count, hop = len(next(iter(frames.values()))), self.model.hop
        late = [name for name, parts in found.items() if len(parts[0].places) == 1]
        lengths = -(-np.geomspace(self.model.receptive_field, count, PREFIXES).astype(int) // hop) * hop
        for length in sorted({int(n) for n in lengths if n < count // hop * hop}) if late else ():
            outputs, _ = self.call({name: array[:length] for name, array in frames.items()}, self.start())
            for name in late:
                found[name].append(placed(self.model, name, outputs[name], length))


def _file(source: str | Path, model: Model) -> str | bytes:
    """The file to run; with the repair that the model was converted with, if any."""
    if model.origin.get("fix_torch_gru") is not True:
        return str(source)
    from edgernn.importer.file.repair import repaired

    return repaired(source)


def _session(source: str | bytes, narrow: bool) -> Any:
    """ONNX Runtime on one thread. Its optimiser of layouts kills the process on a recurrent layer in float16."""
    try:
        import onnxruntime
    except ImportError:
        raise BackendUnavailable(f"comparing with ONNX Runtime needs the package onnxruntime: {GET}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if narrow:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common base for its errors
        raise _unable(error) from None


def _unable(error: Exception) -> BackendUnavailable:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return BackendUnavailable(f"ONNX Runtime does not run this file: {first[:200]}")


def _feed(given: Any, times: Mapping[str, int], sizes: Mapping[str, Any]) -> Feed:
    from edgernn.importer.rewrites.preset import dimension

    time_axis = times.get(given.name)
    known = [
        n if isinstance(n, int) else sizes.get(dimension(given.name, axis, n)) for axis, n in enumerate(given.shape)
    ]
    shape = tuple(n if n and n > 0 else 1 for n in known)
    fixed = known[time_axis] if time_axis is not None else None
    return Feed(shape, time_axis, DTYPES[given.type], fixed)


def _joined(parts: list[Answers]) -> Answers:
    if len(parts) == 1:
        return parts[0]
    places = np.concatenate([part.places for part in parts])
    order = np.argsort(places)
    return Answers(places[order], np.concatenate([part.values for part in parts])[order])
