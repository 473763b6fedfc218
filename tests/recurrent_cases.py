"""Recurrent nodes for the conformance suite: a `Case` is a graph of one, its inputs and what the oracle expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import oracle
from onnx_cases import GATES, graph, node

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.stream import Stream

Array = np.ndarray

N_IN, HIDDEN, STEPS, SHORTER = 3, 5, 8, 5
LIMIT = 1e-5  # float32 against float64, values of order 1
ALPHA = {"Affine": 0.8, "LeakyRelu": 0.2, "ThresholdedRelu": 0.1, "ScaledTanh": 1.2, "HardSigmoid": 0.3, "Elu": 0.7}
BETA = {"Affine": 0.1, "ScaledTanh": 0.7, "HardSigmoid": 0.4}
ATTRIBUTES = ("clip", "direction", "hidden_size", "input_forget", "layout", "linear_before_reset")
INPUTS = {"RNN": ("B", "sequence_lens", "initial_h"), "GRU": ("B", "sequence_lens", "initial_h")}
INPUTS["LSTM"] = (*INPUTS["RNN"], "initial_c", "P")
OUTPUTS = {"RNN": ("Y", "Y_h"), "GRU": ("Y", "Y_h"), "LSTM": ("Y", "Y_h", "Y_c")}
STATE_OF = {"initial_h": "Y_h", "initial_c": "Y_c"}


@dataclass(frozen=True)
class Functions:
    """The activations of a node: their names, and alpha and beta of those that have one unless `defaults`."""

    names: tuple[str, ...]
    defaults: bool = False

    def attributes(self) -> dict[str, Any]:
        """As the node has them."""
        given: dict[str, Any] = {"activations": list(self.names)}
        for name, values in (("activation_alpha", ALPHA), ("activation_beta", BETA)):
            numbers = [] if self.defaults else [values[function] for function in self.names if function in values]
            given |= {name: numbers} if numbers else {}
        return given

    def __str__(self) -> str:
        return "+".join(self.names) + ("(defaults)" if self.defaults else "")


@dataclass(frozen=True)
class Case:
    """A recurrent node. `options` maps an attribute to its value and an optional input to how it is given.

    An input is absent (None), "constant", or "input": a graph input; sequence_lens also "computed" (from the shape of
    X) or "shorter" (a constant). `outputs`, `opset` and `time` ("free", or "fixed" at STEPS) are options too. `reason`
    is what the refusal must say; without one the case is honoured.
    """

    kind: str
    options: Mapping[str, Any]
    reason: str = ""

    @property
    def id(self) -> str:
        """The kind and every option that is there."""
        given = self.options | {"outputs": "+".join(self.options["outputs"])}
        return " ".join([self.kind, *(f"{name}={value}" for name, value in given.items() if value is not None)])

    @property
    def layout(self) -> int:
        """1 where the batch comes before time."""
        return self.options["layout"] or 0

    @property
    def whole(self) -> bool:
        """Whether it needs the whole sequence."""
        backwards = self.options["direction"] in ("reverse", "bidirectional")
        return backwards or self.options["sequence_lens"] == "shorter"

    @property
    def by_onnx_runtime(self) -> bool:
        """Whether ONNX Runtime runs it: it wants layout=0, hidden_size, and in an RNN the spelling of its functions."""
        functions = self.options["activations"]
        spelled = functions is None or set(functions.names) <= oracle.ACTIVATIONS.keys() or self.kind != "RNN"
        return not self.layout and self.options["hidden_size"] is not None and spelled

    def attributes(self) -> dict[str, Any]:
        """The attributes of the node."""
        given = {name: self.options[name] for name in ATTRIBUTES if self.options.get(name) is not None}
        functions = self.options["activations"]
        return given | (functions.attributes() if functions else {})

    def frames(self) -> Array:
        """X in the layout of the node."""
        shape = (1, STEPS, N_IN) if self.layout else (STEPS, 1, N_IN)
        return _random(9, shape)

    def values(self) -> dict[str, Array]:
        """W, R and the optional inputs that the node has, by name."""
        ways, rows = 2 if self.options["direction"] == "bidirectional" else 1, GATES[self.kind] * HIDDEN
        state = (1, ways, HIDDEN) if self.layout else (ways, 1, HIDDEN)
        shapes = {"W": (ways, rows, N_IN), "R": (ways, rows, HIDDEN), "B": (ways, 2 * rows), "P": (ways, 3 * HIDDEN)}
        shapes |= {"initial_h": state, "initial_c": state}
        held = {name: _random(seed, shape) * np.float32(0.5) for seed, (name, shape) in enumerate(shapes.items())}
        lengths = {"constant": STEPS, "computed": STEPS, "shorter": SHORTER, "input": STEPS}
        held["sequence_lens"] = np.array([lengths.get(self.options["sequence_lens"], 0)], np.int32)
        return {name: x for name, x in held.items() if name in "WR" or self.options.get(name) is not None}

    def model(self) -> onnx.ModelProto:
        """X, and inputs that are graph inputs -> the chosen outputs."""
        values, how = self.values(), self.options
        length: int | str = STEPS if how["time"] == "fixed" else "T"
        inputs: dict[str, Any] = {"X": (1, length, N_IN) if self.layout else (length, 1, N_IN)}
        inputs |= {name: x.shape for name, x in values.items() if how.get(name) == "input"}
        nodes = []
        if how["sequence_lens"] == "computed":
            nodes = [node("Shape", "X", "s"), node("Gather", "s axis", "n"), node("Cast", "n", "sequence_lens", to=6)]
            values |= {"axis": np.array([self.layout])}
        elif how["sequence_lens"] == "input":
            inputs["lens"] = inputs.pop("sequence_lens")
            nodes = [node("Cast", "lens", "sequence_lens", to=6)]
        read = " ".join(name if name in self.values() else "-" for name in ("W", "R", *INPUTS[self.kind]))
        made = " ".join(name if name in how["outputs"] else "-" for name in OUTPUTS[self.kind])
        nodes.append(node(self.kind, f"X {read}", made, **self.attributes()))
        computed = {*inputs, *(name for n in nodes for name in n.output)}
        constants = {name: x for name, x in values.items() if name not in computed}
        return graph(nodes, inputs, how["outputs"], constants, how["opset"], integers=["lens"])

    def carried(self) -> dict[str, str]:
        """Initial states that are graph inputs, and the output that replaces each; others of them start at zero."""
        pairs = {name: last for name, last in STATE_OF.items() if self.options.get(name) == "input"}
        return {name: last for name, last in pairs.items() if last in self.options["outputs"]}

    def feeds(self) -> dict[str, Array]:
        """What the graph inputs get."""
        values = self.values()
        given = {name: x for name, x in values.items() if self.options.get(name) == "input"}
        zero = STATE_OF.keys() - self.carried().keys()
        feeds = {name: x * 0 if name in zero else x for name, x in given.items()}
        if "sequence_lens" in feeds:
            feeds["lens"] = feeds.pop("sequence_lens").astype(np.int64)
        return {"X": self.frames(), **feeds}

    def expected(self, steps: int = STEPS) -> dict[str, Array]:
        """The oracle's chosen outputs for the first `steps` frames."""
        values = {**self.values(), **{name: x for name, x in self.feeds().items() if name in STATE_OF}}
        given = {k.replace("activation_", ""): v for k, v in self.attributes().items() if k != "hidden_size"}
        spelled = {name.lower(): name for name in oracle.ACTIVATIONS}
        if "activations" in given:
            given["activations"] = [spelled[name.lower()] for name in given["activations"]]
        states = [values.get(name) for name in ("initial_h", "initial_c")[: len(OUTPUTS[self.kind]) - 1]]
        lengths, x = values.get("sequence_lens"), self.frames()
        given |= {"sequence_lens": None if lengths is None else np.minimum(lengths, steps)}
        given |= {"P": values["P"]} if "P" in values else {}
        x = x[:, :steps] if self.layout else x[:steps]
        made = oracle.in_any_direction(self.kind, x, values["W"], values["R"], values.get("B"), *states, **given)
        return {name: y for name, y in zip(OUTPUTS[self.kind], made, strict=True) if name in self.options["outputs"]}

    def by_frame(self, y: Array) -> Array:
        """Y with one row a frame."""
        return (y.swapaxes(0, 1) if self.layout else y).reshape(y.shape[1 if self.layout else 0], -1)


def _random(seed: int, shape: Sequence[int]) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def on_window(case: Case, window: int = STEPS) -> dict[str, Array]:
    """The compiled stream's answers by output to the first `window` frames as one window, in the graph's own order.

    Raises UnsupportedModel where it is refused.
    """
    model = importer.read(case.model().SerializeToString(), window=window)
    answers = Stream(model).run(case.by_frame(case.frames()))
    named = answers if isinstance(answers, dict) else {model.outputs[0].name: answers}
    return {name: rows[0] for name, rows in named.items()}


def streamed(case: Case) -> dict[str, Array]:
    """The answers of the compiled stream by output, (STEPS, size). Raises UnsupportedModel where it is refused."""
    report = importer.analyse(case.model().SerializeToString())
    if report.model is None:
        raise UnsupportedModel(report.problems)
    feeds, states = case.feeds(), []
    for state in report.model.states:
        start = feeds.get(state.name.removesuffix(".frame"))
        states.append(state if start is None else replace(state, initial=start.reshape(state.initial.shape)))
    model = replace(report.model, states=tuple(states))
    answers = Stream(model).run(case.by_frame(case.frames()))
    return answers if isinstance(answers, dict) else {model.outputs[0].name: answers}
