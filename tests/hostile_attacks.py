"""More of the table in hostile_cases: names, types, sizes and attributes that no exporter writes. `ATTACKS`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import onnx
from hostile_graphs import over_time
from hostile_parts import MINE, long, ones, value_info
from onnx import TensorProto, helper
from onnx_cases import GRU, graph, node, on_gru

HUGE = 2**62
ESCAPES = "\x1b[2J\x1b]0;owned\x07\nall is well\r\u202e"


def escapes() -> onnx.ModelProto:
    """Names that would clear a terminal and begin a line of their own."""
    return on_gru(helper.make_node("Sparkle" + ESCAPES, ["Y"], ["y"], name="n" + ESCAPES))


def escapes_in_a_weight() -> onnx.ModelProto:
    """The same in the name of a broken weight."""
    model = on_gru(node("Tanh", "Y", "y"))
    model.graph.initializer.append(TensorProto(name="w" + ESCAPES, data_type=1, dims=[3], raw_data=b"1"))
    return model


def of_type(kind: int, values: int = 15) -> onnx.ModelProto:
    """A weight of a type that hardly anything computes with."""
    model = on_gru(node("Add", "Y w", "y"))
    model.graph.initializer.append(TensorProto(name="w", data_type=kind, dims=[values], raw_data=bytes(values)))
    return model


def attribute(kind: str, inputs: str = "Y", held: dict[str, Any] | None = None, **attributes: Any) -> onnx.ModelProto:
    """A node behind a GRU with attributes that it cannot have."""
    return on_gru(node(kind, inputs, "y", **attributes), constants=held or {})


def cell(**attributes: Any) -> onnx.ModelProto:
    """A GRU with attributes that it cannot have."""
    return graph([node("GRU", "x W R B", "y", **attributes)], {"x": ("T", 1, 3)}, ["y"], GRU)


def calls_itself() -> onnx.ModelProto:
    """A function that calls itself from within an If."""
    inner = helper.make_graph([helper.make_node("f", ["a"], ["o"], domain="mine")], "g", [], [value_info("o")])
    made = helper.make_node("If", ["a"], ["b"], then_branch=inner, else_branch=inner)
    model = on_gru(helper.make_node("f", ["Y"], ["y"], domain="mine"))
    model.functions.append(helper.make_function("mine", "f", ["a"], ["b"], [made], MINE))
    return model


def captures(name: str) -> onnx.ModelProto:
    """A branch that reads a value from outside: one that is made from the branch, or by nobody."""
    inner = helper.make_graph([helper.make_node("Tanh", [name], ["o"])], "g", [], [value_info("o")])
    made = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)
    return on_gru(made, node("Tanh", "y", "later"), constants={"yes": ones(1) > 0})


def typed(kind: int, dims: tuple[int | str, ...] | None = ("T", 1, 3)) -> onnx.ModelProto:
    """An input of another type or shape."""
    model = on_gru(node("Tanh", "Y", "y"))
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info("x", kind, dims))
    return model


def sequence_input() -> onnx.ModelProto:
    """An input that is a list of tensors."""
    model = on_gru(node("Tanh", "Y", "y"))
    model.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None))
    return model


def versions(*numbers: int) -> onnx.ModelProto:
    """A file for these versions of the operators."""
    model = on_gru(node("Tanh", "Y", "y"))
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid("", n) for n in numbers)
    return model


def strides_and_names(nodes: int, names: int = 30) -> onnx.ModelProto:
    """A chain that each stride makes the importer walk again, under each of many names for time."""
    values = ["x", *(f"c{n}" for n in range(nodes)), *(f"s{n}" for n in range(12))]
    chain = [node("Tanh", a, b) for a, b in pairwise(values[: nodes + 1])]
    chain += [node("Conv", f"{a} one", b, strides=[2]) for a, b in pairwise(values[nodes:])]
    model = over_time(*chain, node("Sparkle", values[-1], "v"))
    for n in range(names):
        model.graph.input.append(helper.make_tensor_value_info(f"z{n}", TensorProto.FLOAT, [1, 3, f"A{n}"]))
    total = node("Sum", " ".join(["x", *(f"z{n}" for n in range(names))]), "all")
    model.graph.node.insert(0, total)
    next(n for n in model.graph.node if n.input[0] == "x" and n.op_type == "Tanh").input[0] = "all"
    return model


def split_in(count: int) -> onnx.ModelProto:
    """One node of a hundred thousand outputs."""
    names = " ".join(f"s{n}" for n in range(count))
    tile = node("Tile", "Y n", "w")
    return on_gru(
        tile, node("Split", "w", names, axis=3), node("Sum", names, "y"), constants={"n": long(1, 1, 1, count // 5)}
    )


def unordered(count: int) -> onnx.ModelProto:
    """A long chain whose nodes stand in the wrong order, with one name for all, and a cycle at its end."""
    names = ["Y", *(f"v{n}" for n in range(count))]
    chain = [helper.make_node("Tanh", [a], [b], name="same") for a, b in pairwise(names)]
    return on_gru(*reversed(chain), node("Add", f"{names[-1]} z", "y"), node("Tanh", "y", "z"))


ATTACKS: dict[str, Callable[[], onnx.ModelProto | bytes]] = {
    "names with escapes": escapes,
    "names with escapes, a weight": escapes_in_a_weight,
    "complex weights": lambda: of_type(TensorProto.COMPLEX64, 8),
    "float8 weights": lambda: of_type(TensorProto.FLOAT8E4M3FN, 5),
    "int4 weights, too few": lambda: of_type(TensorProto.INT4, 2**20),
    "bfloat16 weights, too few": lambda: of_type(TensorProto.BFLOAT16, 5),
    "weights of no type": lambda: of_type(0, 5),
    "hidden_size of a fraction": lambda: cell(hidden_size=5.5),
    "hidden_size of text": lambda: cell(hidden_size="5"),
    "hidden_size huge": lambda: cell(hidden_size=HUGE),
    "activations of numbers": lambda: cell(hidden_size=5, activations=[1, 2]),
    "clip of text": lambda: cell(hidden_size=5, clip="1"),
    "perm of text": lambda: attribute("Transpose", perm="abc"),
    "axis huge": lambda: attribute("Softmax", axis=HUGE),
    "axis of a graph": lambda: attribute("Softmax", axis=helper.make_graph([], "g", [], [])),
    "group 0": lambda: over_time(node("Conv", "x one", "v", group=0)),
    "strides 0": lambda: over_time(node("Conv", "x one", "v", strides=[0])),
    "strides negative": lambda: over_time(node("Conv", "x one", "v", strides=[-HUGE])),
    "dilations 0": lambda: over_time(node("Conv", "x kernel", "v", dilations=[0])),
    "pads beyond 64 bits together": lambda: over_time(node("Conv", "x one", "v", pads=[2**63 - 1, 2**63 - 1])),
    "kernel_shape negative": lambda: over_time(node("MaxPool", "x", "v", kernel_shape=[-1])),
    "Reshape huge": lambda: attribute("Reshape", "Y n", {"n": long(HUGE, HUGE, -1)}),
    "Slice huge": lambda: attribute(
        "Slice", "Y a b c d", {"a": long(-HUGE), "b": long(HUGE), "c": long(3), "d": long(-HUGE)}
    ),
    "Gather huge": lambda: attribute("Gather", "Y i", {"i": long(HUGE)}, axis=3),
    "Cast to nothing": lambda: attribute("Cast", to=999),
    "Einsum of 10,000 letters": lambda: attribute("Einsum", "Y k", {"k": ones(5)}, equation="a" * 10_000 + ",b->b"),
    "a function that calls itself": calls_itself,
    "a branch that reads what is made of it": lambda: captures("later"),
    "a branch that reads nothing": lambda: captures("nowhere"),
    "an input of text": lambda: typed(TensorProto.STRING),
    "an input of no type": lambda: typed(0),
    "an input of complex numbers": lambda: typed(TensorProto.COMPLEX128),
    "an input without a shape": lambda: typed(TensorProto.FLOAT, None),
    "an input of 2^62 numbers": lambda: typed(TensorProto.FLOAT, ("T", HUGE, HUGE)),
    "an input that is a list": sequence_input,
    "no opset": versions,
    "an opset of 2^62": lambda: versions(HUGE),
    "two opsets": lambda: versions(17, 18),
    "strides under 30 names": lambda: strides_and_names(1000),
    "a split in 100,000": lambda: split_in(100_000),
    "20,000 nodes in the wrong order": lambda: unordered(20_000),
    "the same answer under two names": lambda: graph(
        [node("GRU", "x W R B", "y", hidden_size=5)], {"x": ("T", 1, 3)}, ["y", "y"], GRU
    ),
    "an empty name": lambda: on_gru(helper.make_node("Tanh", [""], ["y"])),
    "a sequence of no steps": lambda: graph([node("GRU", "x W R B", "y", hidden_size=5)], {"x": (0, 0, 3)}, ["y"], GRU),
}
