"""Loops over time for tests: the Loop or Scan of a plain RNN, and what a test changes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx_cases import GRU, Dims, graph, node
from surroundings import ints, some

CONSTANTS: dict[str, Any] = {
    "W": some(3, 5), "R": some(5, 5) / 2, "V": some(3, 5), "gW": GRU["W"], "gR": GRU["R"],
    "h0": np.zeros((1, 5), np.float32), "h1": some(1, 5), "x0": np.zeros((1, 3), np.float32), "third": some(1, 5),
    "rows": some(4, 1, 3),
    "zero": np.array(0), "one": np.array(1), "two": np.array(2), "five": np.array(5), "minus": np.array(-1),
    "huge": np.array(2**63 - 1), "zero_1d": ints(0), "one_1d": ints(1), "end_1d": ints(2**63 - 1),
    "yes": np.array(True),
    "one_f": np.array(1, np.float32), "zero_f": np.zeros((1, 1), np.float32),
}  # fmt: skip
COUNT = [node("Shape", "x", "s"), node("Gather", "s zero", "n")]
READ = node("Gather", "x i", "f")
CELL = [node("MatMul", "f W", "wx"), node("MatMul", "h R", "rh"), node("Add", "wx rh", "a"), node("Tanh", "a", "h2")]
GO = node("Identity", "c", "go_on")


def subgraph(nodes: Sequence[onnx.NodeProto], inputs: str, outputs: str) -> onnx.GraphProto:
    """A body: names that begin with i or k are whole numbers, with c or go booleans, with l lists, all others float."""
    kinds = {"i": TensorProto.INT64, "k": TensorProto.INT64, "c": TensorProto.BOOL}

    def value(name: str) -> onnx.ValueInfoProto:
        if name.startswith("l"):
            return helper.make_tensor_sequence_value_info(name, TensorProto.FLOAT, None)
        kind = kinds.get(name[:1] if name[:2] != "go" else "c", TensorProto.FLOAT)
        return helper.make_tensor_value_info(name, kind, None if kind == TensorProto.FLOAT else [])

    made, names = list(nodes), outputs.split()
    for place, name in enumerate(names):
        if name in names[:place]:  # ONNX Runtime wants another name for each output
            made.append(node("Identity", name, f"{name}_{place}"))
            names[place] = f"{name}_{place}"
    return helper.make_graph(made, "body", [value(n) for n in inputs.split()], [value(n) for n in names])


@dataclass(frozen=True)
class Over:
    """A Loop over x; by default its body is a plain RNN that gives each state."""

    body: Sequence[onnx.NodeProto] = (READ, *CELL, GO)
    inputs: str = "n yes h0"
    outputs: str = "last ys"
    inside: str = "i c h"
    made: str = "go_on h2 h2"
    before: Sequence[onnx.NodeProto] = tuple(COUNT)
    after: Sequence[onnx.NodeProto] = ()
    shown: Sequence[str] = ("ys", "last")
    dims: Dims = ("T", 1, 3)
    given: Mapping[str, Dims] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        """The graph."""
        nodes = [
            *self.before,
            node("Loop", self.inputs, self.outputs, body=subgraph(self.body, self.inside, self.made)),
            *self.after,
        ]
        return graph(nodes, {"x": self.dims, **self.given}, self.shown, CONSTANTS)


@dataclass(frozen=True)
class Scanned:
    """A Scan over x; by default its body is a plain RNN that gives each state."""

    body: Sequence[onnx.NodeProto] = tuple(CELL)
    inputs: str = "h0 x"
    inside: str = "h f"
    made: str = "h2 h2"
    attributes: tuple[tuple[str, Any], ...] = ()
    before: Sequence[onnx.NodeProto] = ()
    dims: Dims = ("T", 1, 3)
    opset: int = 17

    def model(self) -> onnx.ModelProto:
        """The graph."""
        given = {"num_scan_inputs": 1} | dict(self.attributes)
        made = node("Scan", self.inputs, "last ys", body=subgraph(self.body, self.inside, self.made), **given)
        return graph([*self.before, made], {"x": self.dims}, ["ys", "last"], CONSTANTS, self.opset)
