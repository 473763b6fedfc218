"""Recurrent nodes over several steps, several sequences and any direction: inside one frame, or over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import oracle
from covering import covering
from onnx_cases import GATES, graph, node

Array = np.ndarray

N_IN, HIDDEN, FRAMES = 3, 5, 6
WAYS = {"forward": 1, "reverse": 1, "bidirectional": 2}
OUTPUTS = {"RNN": ("Y", "Y_h"), "GRU": ("Y", "Y_h"), "LSTM": ("Y", "Y_h", "Y_c")}
# what each kind is tried with, beside what all are; a list of functions is of one direction each
FLAVOURS: dict[str, tuple[dict[str, Any], ...]] = {
    "RNN": ({}, {"clip": 0.3}, {"activations": [["Relu"], ["Softplus"]]}),
    "GRU": (
        {"linear_before_reset": 1},
        {},
        {"linear_before_reset": 1, "clip": 0.4},
        {"activations": [["HardSigmoid", "Softsign"], ["Sigmoid", "Relu"]]},
    ),
    "LSTM": (
        {},
        {"peepholes": True},
        {"input_forget": 1, "peepholes": True, "clip": 0.5},
        {"activations": [["Sigmoid", "Softsign", "Tanh"], ["HardSigmoid", "Tanh", "Softplus"]]},
    ),
}


@dataclass(frozen=True)
class Sequences:
    """A node over `steps` steps of `count` sequences in a frame, or over time where `steps` is None."""

    kind: str
    direction: str = "forward"
    layout: int = 0
    steps: int | None = 5
    count: int = 1
    flavour: int = 0
    initial: bool = False
    short: bool = False  # whether not all sequences have all steps

    @property
    def id(self) -> str:
        """All that it is."""
        return " ".join(map(str, vars(self).values()))

    @property
    def own(self) -> Mapping[str, Any]:
        """What its kind is tried with."""
        return FLAVOURS[self.kind][self.flavour]

    @property
    def lengths(self) -> list[int]:
        """How many steps each sequence has: but for the second one not all."""
        full = self.steps or 1
        return [full - (place != 1) for place in range(self.count)] if self.short else [full] * self.count

    def values(self) -> dict[str, Array]:
        """The constants of the node by name, in layout 0."""
        ways, rows, rng = WAYS[self.direction], GATES[self.kind] * HIDDEN, np.random.default_rng(4)
        shapes = {"W": (ways, rows, N_IN), "R": (ways, rows, HIDDEN), "B": (ways, 2 * rows)}
        shapes |= {"H": (ways, self.count, HIDDEN)} if self.initial else {}
        shapes |= {"C": (ways, self.count, HIDDEN)} if self.initial and self.kind == "LSTM" else {}
        shapes |= {"P": (ways, 3 * HIDDEN)} if self.own.get("peepholes") else {}
        held = {name: rng.uniform(-0.6, 0.6, shape).astype(np.float32) for name, shape in shapes.items()}
        return held | ({"L": np.array(self.lengths, np.int32)} if self.short else {})

    def node(self) -> onnx.NodeProto:
        """x -> Y, Y_h[, Y_c], with the constants of `values`."""
        given = {k: v for k, v in self.own.items() if k not in ("peepholes", "activations")}
        if "activations" in self.own:
            given["activations"] = [name for way in self.functions() for name in way]
        optional = ["B", "L", "H"] + (["C", "P"] if self.kind == "LSTM" else [])
        read = " ".join(name if name in self.values() else "-" for name in ["W", "R", *optional])
        layout = {"layout": 1} if self.layout else {}
        made = " ".join(OUTPUTS[self.kind])
        return node(self.kind, f"x {read}", made, direction=self.direction, hidden_size=HIDDEN, **layout, **given)

    def functions(self) -> list[list[str]]:
        """The activations of each direction."""
        named: list[list[str]] = self.own["activations"]
        return named[: WAYS[self.direction]]

    def model(self) -> onnx.ModelProto:
        """In a frame: x, and a step f of another cell with its state h, for something must be carried."""
        held = {n: v.swapaxes(0, 1) if self.layout and n in ("H", "C") else v for n, v in self.values().items()}
        dims: Any = (self.steps or "T", self.count, N_IN)
        inputs = {"x": (dims[1], dims[0], N_IN) if self.layout else dims}
        if self.steps is None:
            return graph([self.node()], inputs, OUTPUTS[self.kind], held)
        beside = node("RNN", "f w r - - h", "- hn", hidden_size=2)
        held |= {"w": np.ones((1, 2, 1), np.float32), "r": np.eye(2, dtype=np.float32)[None]}
        inputs |= {"f": (1, 1, 1), "h": (1, 1, 2)}
        return graph([self.node(), beside], inputs, [*OUTPUTS[self.kind], "hn"], held)

    def frames(self) -> Array:
        """(FRAMES, S, P, n_in) of x, S = 1 over time."""
        shape = (FRAMES, self.steps or 1, self.count, N_IN)
        return np.random.default_rng(8).uniform(-1, 1, shape).astype(np.float32)

    def laid_out(self, x: Array) -> Array:
        """x (S, P, n_in) as the node takes it."""
        return np.ascontiguousarray(x.swapaxes(0, 1)) if self.layout else x

    def expected(self, x: Array) -> dict[str, Array]:
        """The oracle's outputs for x (S, P, n_in), in the layout of the node: each direction by itself."""
        values, made, lengths = self.values(), [], {"sequence_lens": self.lengths if self.short else None}
        given = {k: v for k, v in self.own.items() if k not in ("peepholes", "activations")}
        ways = {"bidirectional": ("forward", "reverse")}.get(self.direction, (self.direction,))
        for d, direction in enumerate(ways):
            own = {name: v[d : d + 1] for name, v in values.items() if name != "L"}
            more = {"P": own["P"]} if "P" in own else {}
            more |= {"activations": self.functions()[d]} if "activations" in self.own else {}
            states = [own.get("H")] + ([own.get("C")] if self.kind == "LSTM" else [])
            weights = own["W"], own["R"], own["B"]
            made.append(
                oracle.in_any_direction(
                    self.kind, x, *weights, *states, direction=direction, **lengths, **given, **more
                )
            )
        y, *last = (
            np.concatenate(parts, axis) for parts, axis in zip(zip(*made, strict=True), (1, 0, 0), strict=False)
        )
        if self.layout:
            y, last = y.transpose(2, 0, 1, 3), [state.swapaxes(0, 1) for state in last]
        return dict(zip(OUTPUTS[self.kind], (y, *last), strict=True))


def _cases(kind: str, options: Mapping[str, Any]) -> list[Sequences]:
    common = {"layout": (0, 1), "count": (1, 3), "flavour": range(len(FLAVOURS[kind])), "initial": (False, True)}
    return [Sequences(kind, **row) for row in covering(common | options)]


IN_FRAME = [
    case for kind in GATES for case in _cases(kind, {"steps": (2, 5), "direction": tuple(WAYS), "short": (False, True)})
]
IN_FRAME += [case for kind in GATES for case in _cases(kind, {"steps": (1,)})]
OVER_TIME = [case for kind in GATES for case in _cases(kind, {"steps": (None,)})]
