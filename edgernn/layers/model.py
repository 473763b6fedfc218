"""Model: the portable description of a streaming network. A graph of layers over named values, with ports and states.

Nodes are in topological order and pure. A State is a value that the graph reads at the start of a frame and that is
replaced, at its end, by the value named `source`: that is all there is to recurrence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array, Layer, QuantisedMatrix, Shape, volume, weights_of

if TYPE_CHECKING:
    from pathlib import Path

    from edgernn.layers.deciding import Deciding
    from edgernn.layers.frontend import FrontEnd
    from edgernn.pipelines.pipeline import Pipeline
    from edgernn.stream import Pool, Stream


LARGEST_SMOOTHING = 1 << 20  # numbers that are averaged for one decision


@dataclass(frozen=True)
class Port:
    """One vector a frame, in or out. Token ports take integers within `low..high` instead, mostly one."""

    name: str
    value: str
    size: int
    dtype: str = "float32"  # or "int64" for tokens
    low: int = 0
    high: int = 0


@dataclass(frozen=True, eq=False)
class State:
    """A value carried from frame to frame."""

    name: str  # the value that the graph reads
    source: str  # the value that replaces it at the end of the frame
    initial: Array  # float32, in the shape that the graph sees


@dataclass(frozen=True, eq=False)
class Node:
    """One layer at its place in the graph."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Model:
    """A streaming network: immutable, portable, what the file stores.

    The graph is evaluated every `hop` frames, as soon as `window` frames have come, on the last `window` frames of each
    input; its answer belongs to `delay` frames earlier, and is zero while that is before the first frame. States change
    at each evaluation. `receptive_field`: how many frames an answer depends on directly; what recurrent layers carry
    reaches further back.

    `alphabet`: the characters that the tokens 0, 1, ... of its one token port stand for, where that is known.
    `origin` says where it came from and how close it is (producer, opset, sha256 of the ONNX file, parity, drift).
    `frontend` makes frames of samples, `deciding` makes decisions of answers; both are for a `Pipeline`.
    Raises ValueError when the graph is not well formed, and BadInput when front end or decisions do not fit it:
    `modelfile.validate` turns both into BadModelFile.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[State, ...]
    nodes: tuple[Node, ...]
    origin: Mapping[str, Any] = field(default_factory=dict)
    hop: int = 1
    window: int = 1
    delay: int = 0
    receptive_field: int = 1
    alphabet: str = ""
    frontend: FrontEnd | None = None
    deciding: Deciding | None = None

    def __post_init__(self) -> None:
        if min(self.hop, self.window, self.receptive_field) < 1 or self.delay < 0 or self.delay % self.hop:
            raise ValueError(f"hop {self.hop}, window {self.window}, delay {self.delay} do not make a rhythm")
        _ = self.shapes
        self._check_settings()

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every value, as one frame of the ONNX graph has it (time and batch are 1)."""
        known: dict[str, Shape] = {}
        for port in self.inputs:
            _define(known, port.value, (self.window * port.size,))
        for state in self.states:
            _define(known, state.name, state.initial.shape)
        for node in self.nodes:
            try:
                read = [known[name] for name in node.inputs]
            except KeyError:
                missing = [name for name in node.inputs if name not in known]
                raise ValueError(f"node '{node.name}' reads {missing}, which nothing before it makes") from None
            made = node.layer.shapes(*read)
            if len(made) != len(node.outputs):
                raise ValueError(f"node '{node.name}' makes {len(made)} values but names {len(node.outputs)}")
            for name, shape in zip(node.outputs, made, strict=True):
                _define(known, name, shape)
        self._check_ends(known)
        self._check_tokens()
        self._check_alphabet()
        return known

    def _check_ends(self, known: Mapping[str, Shape]) -> None:
        if not self.inputs or not self.outputs:
            raise ValueError("a model needs at least one input and one output port")
        for port in self.outputs:
            if port.value not in known or volume(known[port.value]) != port.size:
                raise ValueError(f"output '{port.name}' of {port.size} numbers is not what value '{port.value}' holds")
        for state in self.states:
            if state.source not in known or volume(known[state.source]) != volume(state.initial.shape):
                raise ValueError(f"state '{state.name}' cannot be replaced by '{state.source}': the sizes differ")

    def _check_tokens(self) -> None:
        """Tokens are read by layers that know all of them, and by nothing else."""
        tokens = {port.value: port for port in self.inputs if port.dtype == "int64"}
        ends = [(port.name, port.value) for port in self.outputs] + [(s.name, s.source) for s in self.states]
        for name, value in ends:
            if value in tokens:
                raise ValueError(f"'{name}' is a token of '{tokens[value].name}', not numbers")
        for node in self.nodes:
            for name in node.inputs:
                port, known = tokens.get(name), node.layer.vocabulary
                if (port is None) != (known == 0):
                    raise ValueError(f"node '{node.name}' reads '{name}': tokens and numbers are not the same")
                if port is not None and not -known <= port.low <= port.high < known:
                    raise ValueError(
                        f"node '{node.name}' knows {known} tokens, '{port.name}' takes {port.low}..{port.high}"
                    )
        if any(port.dtype != "float32" for port in self.outputs):
            raise ValueError("outputs are float32")

    def _check_alphabet(self) -> None:
        if not self.alphabet:
            return
        sizes = [port.high + 1 for port in self.inputs if port.dtype == "int64"]
        if sizes != [len(self.alphabet)]:
            taken = f"{sizes[0]} tokens" if len(sizes) == 1 else f"tokens at {len(sizes)} inputs"
            raise ValueError(f"the alphabet has {len(self.alphabet)} characters, the model takes {taken}")
        if len(set(self.alphabet)) < len(self.alphabet):
            raise ValueError("a character is in the alphabet twice")

    def _check_settings(self) -> None:
        """The front end makes what the model takes, and the labels are those of its answer."""
        if self.frontend is None and self.deciding is None:
            return
        if self.frontend is None:
            raise BadInput(
                '[decisions] need [features], which say how long a frame lasts (kind "raw" for bare samples)'
            )
        if len(self.inputs) != 1 or self.inputs[0].dtype != "float32":
            raise BadInput("[features] are for models with one input of float32 numbers")
        if self.inputs[0].size != self.frontend.size:
            raise BadInput(
                f"[features] make {self.frontend.size} numbers a frame, the model takes {self.inputs[0].size}"
            )
        if self.deciding is not None:
            self._check_deciding(self.deciding, self.frontend)

    def _check_deciding(self, deciding: Deciding, front: FrontEnd) -> None:
        sizes, labels = [port.size for port in self.outputs], len(deciding.labels)
        if len(sizes) != 1:
            raise BadInput(f"[decisions] are for models with one output, this one has {len(sizes)}")
        if deciding.kind == "labels" and sizes != [labels]:
            raise BadInput(f"[decisions] have {labels} labels, the model answers with {sizes[0]} numbers")
        smoothed = deciding.smoothing / (self.hop * front.seconds) * labels
        if smoothed > LARGEST_SMOOTHING:
            raise BadInput(f"[decisions] smoothing over {smoothed:.3g} numbers: at most {LARGEST_SMOOTHING} expected")
        if deciding.kind == "anomaly" and (sizes != [self.inputs[0].size] or self.hop > 1 or self.delay):
            raise BadInput(
                '[decisions] kind "anomaly" is for models that answer each frame with a forecast of the next: this one '
                f"takes {self.inputs[0].size} numbers and answers with {sizes[0]}, hop {self.hop}, delay {self.delay}"
            )

    @property
    def parameters(self) -> int:
        """How many weights there are."""
        return sum(volume(weight.shape) for node in self.nodes for weight in weights_of(node.layer))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one evaluation; there is one every `hop` frames."""
        return sum(node.layer.macs(*(self.shapes[name] for name in node.inputs)) for node in self.nodes)

    @property
    def rhythm(self) -> dict[str, int]:
        """hop, window, delay and receptive_field, as far as they are not those of a model that answers each frame."""
        held = {name: getattr(self, name) for name in ("hop", "window", "delay", "receptive_field")}
        return {name: n for name, n in held.items() if n != (0 if name == "delay" else 1)}

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings under "features" and "decisions", as far as there are any."""
        held = {"features": self.frontend, "decisions": self.deciding}
        return {name: one.settings() for name, one in held.items() if one is not None}

    @cached_property
    def hash(self) -> str:
        """sha256 over graph, attributes and weights: equal for models that compute the same; origin does not count."""
        digest = hashlib.sha256()
        ports = [[p.name, p.value, p.size, p.dtype, p.low, p.high] for p in (*self.inputs, *self.outputs)]
        digest.update(json.dumps([len(self.inputs), ports]).encode())
        if self.rhythm:
            digest.update(json.dumps(self.rhythm, sort_keys=True).encode())
        if self.alphabet:
            digest.update(json.dumps(["alphabet", self.alphabet]).encode())
        if self.settings:
            digest.update(json.dumps(self.settings, sort_keys=True).encode())
        for state in self.states:
            digest.update(json.dumps([state.name, state.source, state.initial.shape]).encode())
            digest.update(np.ascontiguousarray(state.initial, "<f4").tobytes())
        for node in self.nodes:
            described = [type(node.layer).__name__, node.layer.attributes(), node.inputs, node.outputs]
            digest.update(json.dumps(described, sort_keys=True).encode())
            for name, weight in node.layer.weights():
                if isinstance(weight, QuantisedMatrix) and weight.format != "int8":
                    digest.update(weight.format.encode())
                for part in weight.parts() if isinstance(weight, QuantisedMatrix) else (weight,):
                    digest.update(f"{name} {part.dtype.str} {part.shape}".encode())
                    digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the model to one `.edgernn` file, whole or not at all."""
        from edgernn import modelfile

        modelfile.save(self, path)

    def stream(self, device: str = "cpu", backend: str = "auto") -> Stream:
        """A running instance with the initial state.

        Raises BackendUnavailable when device or backend is not there, and UnsupportedModel for more than a plan can
        hold.
        """
        from edgernn.stream import Stream

        return Stream(self, device, backend)

    def pool(self, n: int, device: str = "cpu", threads: int = 1) -> Pool:
        """n streams that are stepped together, on so many threads.

        Raises BadInput where n streams don't fit into memory, BackendUnavailable when `device` is not there.
        """
        from edgernn.stream import Pool

        return Pool(self, n, device, threads)

    def pipeline(self) -> Pipeline:
        """A running instance with features before it and decisions after it.

        Raises BadInput for a model without a front end, and BackendUnavailable as `stream`.
        """
        from edgernn.pipelines.pipeline import Pipeline

        return Pipeline(self)

    def summary(self) -> str:
        """Layers, shapes, parameters, bytes and MACs a frame, hop and delay, as text."""
        from edgernn.layers.summary import summary

        return summary(self)


def _define(known: dict[str, Shape], name: str, shape: Shape) -> None:
    if name in known:
        raise ValueError(f"two things make the value '{name}'")
    known[name] = tuple(map(int, shape))
