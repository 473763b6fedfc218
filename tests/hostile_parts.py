"""Builders of hostile ONNX files: constants that grow, parts that are too many or too deep; see hostile_cases."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx_cases import GRU, graph, node, on_gru

LEVELS = 30  # doublings: a thousand million numbers
BIG = 2**31 - 5
MINE = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]


def constants(*nodes: onnx.NodeProto, **held: Any) -> onnx.ModelProto:
    """Nodes of constants that end in `c`, whose sum is added to the answers of a GRU."""
    total = [node("ReduceSum", "c", "total", keepdims=0), node("Add", "Y total", "y")]
    return on_gru(*nodes, *total, constants={"c0": np.ones(64, np.float32), **held})


def doubled(kind: str, other: str = "", levels: int = LEVELS, **attributes: Any) -> onnx.ModelProto:
    """Each node reads the one before twice, or it and `other`."""
    names = [f"c{n}" for n in range(levels)] + ["c"]
    pairs = pairwise(names)
    nodes = [node(kind, f"{a} {other or a}", b, **attributes) for a, b in pairs]
    return constants(*nodes, two=np.array([2]), ends=np.array([0, 1 << 20]))


def long_chain() -> onnx.ModelProto:
    """Nothing grows, but every one of 2,000 nodes makes a million numbers."""
    nodes = [node("Expand", "c0 million", "d0")]
    nodes += [node("Add", f"d{n} d{n}", f"d{n + 1}") for n in range(2000)]
    return constants(*nodes, node("Identity", "d2000", "c"), million=np.array([1 << 14, 64]))


def one(kind: str, inputs: str, attributes: dict[str, Any] | None = None, **held: Any) -> onnx.ModelProto:
    """One node of constants with a huge result."""
    return constants(node(kind, inputs, "c", **(attributes or {})), **held)


def long(*numbers: int) -> np.ndarray:
    """An int64 vector."""
    return np.array(numbers, np.int64)


def outer(kind: str, n: int) -> onnx.ModelProto:
    """A product or sum of a column and a row of n numbers each, that are made of one number."""
    nodes = [node("Expand", "c0 column", "a"), node("Expand", "c0 row", "b"), node(kind, "a b", "c")]
    return constants(*nodes, c0=np.ones((1, 1), np.float32), column=long(n, 1), row=long(1, n))


def growing(kind: str, levels: int = LEVELS, **attributes: Any) -> onnx.ModelProto:
    """The frame itself doubles: it is joined with itself, again and again."""
    names = ["Y", *(f"v{n}" for n in range(levels)), "y"]
    return on_gru(*(node(kind, f"{a} {a}", b, **attributes) for a, b in pairwise(names)))


def laughs(levels: int = 10, calls: int = 10) -> onnx.ModelProto:
    """Functions that each call the next one several times."""
    model = on_gru(helper.make_node("f0", ["Y"], ["y"], domain="mine"))
    for level in range(levels):
        kind, domain = (f"f{level + 1}", "mine") if level < levels - 1 else ("Tanh", "")
        inner = [helper.make_node(kind, [f"v{i}"], [f"v{i + 1}"], domain=domain) for i in range(calls)]
        model.functions.append(helper.make_function("mine", f"f{level}", ["v0"], [f"v{calls}"], inner, MINE))
    return model


def chained_functions(count: int = 3000) -> onnx.ModelProto:
    """Functions that each call the next one, thousands deep."""
    return laughs(count, 1)


def nested(depth: int, kind: str = "If") -> onnx.ModelProto:
    """Ifs (or Loops) in each other."""
    leaf = helper.make_graph([helper.make_node("Identity", ["Y"], ["o"])], "g", [], [value_info("o")])
    inner = leaf
    for _ in range(depth):
        if kind == "If":
            made = helper.make_node("If", ["yes"], ["o"], then_branch=inner, else_branch=leaf)
        else:
            made = helper.make_node("Loop", ["many", "yes"], ["o"], body=_body(inner))
        inner = helper.make_graph([made], "g", [], [value_info("o")])
    (top,) = inner.node
    top.output[0] = "y"
    return on_gru(top, constants={"yes": np.array(True), "many": np.array(BIG)})


def value_info(name: str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, None)


def _body(inner: onnx.GraphProto) -> onnx.GraphProto:
    """The body of a Loop that gives `o` of the inner graph in every turn."""
    ends = [value_info("i", TensorProto.INT64), value_info("go", TensorProto.BOOL)]
    nodes = [*inner.node, helper.make_node("Identity", ["go"], ["still"])]
    return helper.make_graph(nodes, "body", ends, [value_info("still", TensorProto.BOOL), value_info("o")])


def deep_ifs(depth: int) -> bytes:
    """Ifs nested deeper than protobuf reads, put together as bytes."""
    data = b""
    for _ in range(depth):
        for field in (6, 5, 1):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            data = bytes([field << 3 | 2]) + _varint(len(data)) + data
    return b"\x08\x08" + b"\x3a" + _varint(len(data)) + data + b"\x42\x02\x10\x11"


def if_tree(depth: int = 12) -> onnx.ModelProto:
    """Ifs with two Ifs in each branch: the file doubles with every level."""
    inner = helper.make_graph([helper.make_node("Tanh", ["Y"], ["o"])], "g", [], [value_info("o")])
    for _ in range(depth):
        made = helper.make_node("If", ["yes"], ["o"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([made], "g", [], [value_info("o")])
    top = helper.make_node("If", ["yes"], ["o"], then_branch=inner, else_branch=inner)
    return on_gru(top, node("Sparkle", "o", "y"), constants={"yes": np.array(True)})


def if_chain(depth: int = 30, tree: int = 10) -> onnx.ModelProto:
    """Ifs in each other around a tree of them, which each level would read again."""
    inner = helper.make_graph([helper.make_node("Tanh", ["Y"], ["o"])], "g", [], [value_info("o")])
    leaf = inner
    for level in range(depth):
        other = inner if level < tree else leaf
        made = helper.make_node("If", ["yes"], ["o"], then_branch=inner, else_branch=other)
        inner = helper.make_graph([made], "g", [], [value_info("o")])
    top = helper.make_node("If", ["yes"], ["o"], then_branch=inner, else_branch=leaf)
    return on_gru(top, node("Sparkle", "o", "y"), constants={"yes": np.array(True)})


def looped(count: int) -> onnx.ModelProto:
    """A Loop that runs a constant number of times and stacks a number in each turn."""
    inner = helper.make_graph([helper.make_node("Identity", ["k"], ["o"])], "g", [], [value_info("o")])
    made = helper.make_node("Loop", ["many", "yes"], ["c"], body=_body(inner))
    held = {"yes": np.array(True), "many": np.array(count), "k": np.ones(1000, np.float32)}
    return constants(made, **held)


def _varint(n: int) -> bytes:
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def many_inputs(count: int, names: bool, read: bool = False) -> onnx.ModelProto:
    """A GRU beside inputs that nothing reads (or that are all added up), with a free dimension of its own each."""
    extra = {f"x{n}": (f"T{n}" if names else "T", 1, 3) for n in range(count)}
    held = [node("GRU", "x W R B", "Y Y_h", hidden_size=5)]
    if read:
        held.append(node("Sum", " ".join(["x", *extra]), "s"))
    held += [node("Sparkle", "s" if read else "Y", "y")]
    return graph(held, {"x": ("T", 1, 3), **extra}, ["y"], GRU)


def many_lengths(nodes: int, inputs: int = 8) -> onnx.ModelProto:
    """A long chain that no reading of the inputs can stream, and many readings."""
    names = ["Y", *(f"v{n}" for n in range(nodes))]
    chain = [node("Tanh", a, b) for a, b in pairwise(names)]
    dims = {f"x{n}": (2, 2, 3, 4, 5, 6, 7) for n in range(inputs)}
    held = [node("GRU", "x W R B", "Y Y_h", hidden_size=5), *chain, node("Sparkle", names[-1], "y")]
    return graph(held, {"x": (2, 1, 3), **dims}, ["y"], GRU)


def many_names(nodes: int, count: int = 100) -> onnx.ModelProto:
    """The same with a free dimension on each of many axes."""
    model = many_lengths(nodes, 0)
    for n in range(count):
        model.graph.input.append(helper.make_tensor_value_info(f"z{n}", TensorProto.FLOAT, [f"A{n}", f"B{n}", 3]))
    return model


def declared(size: int) -> onnx.ModelProto:
    """A weight that says it holds so many numbers, and holds none."""
    model = on_gru(node("Add", "Y w", "y"))
    model.graph.initializer.append(onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[size]))
    return model


def strings() -> onnx.ModelProto:
    """A tensor of text that is repeated."""
    text = helper.make_tensor("text", TensorProto.STRING, [2], [b"a", b"b" * 1000])
    model = constants(node("Tile", "text many", "c"), many=long(BIG))
    model.graph.initializer.append(text)
    return model


def sparse(size: int) -> onnx.ModelProto:
    """A sparse weight of one number, whose full shape is huge."""
    model = on_gru(node("Add", "Y w", "y"))
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("at", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [size]))
    return model


def sparse_constant(size: int) -> onnx.ModelProto:
    """The same in a Constant node."""
    model = sparse(size)
    held = model.graph.sparse_initializer.pop()
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], sparse_value=held))
    return model


def attribute_list(count: int) -> onnx.ModelProto:
    """A node whose attribute lists a million numbers."""
    return on_gru(node("Transpose", "Y", "y", perm=[0] * count))


def deep_rank(rank: int) -> onnx.ModelProto:
    """An input with thousands of dimensions."""
    model = on_gru(node("Tanh", "Y", "y"))
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [f"N{n}" for n in range(rank)]))
    return model


def symbolic(nodes: int) -> onnx.ModelProto:
    """Shape arithmetic with the number of steps on 2,000 numbers, again and again."""
    chain = [node("Shape", "Y", "s"), node("Expand", "zeros wide", "z"), node("Gather", "s z", "v0")]
    chain += [node("Add", f"v{n} v{n}", f"v{n + 1}") for n in range(nodes)]
    end = [node("ConstantOfShape", f"v{nodes}", "c")]
    return constants(*chain, *end, zeros=long(0), wide=long(2000))


def symbols_square(nodes: int) -> onnx.ModelProto:
    """A factor of the number of steps that doubles its digits with every node."""
    chain = [node("Shape", "Y", "s"), node("Gather", "s zero", "t"), node("Concat", "t big", "v0", axis=0)]
    for n in range(nodes):
        chain.append(node("ReduceProd", f"v{n}", f"p{n}", axes=[0], keepdims=1))
        chain.append(node("Concat", f"p{n} big", f"v{n + 1}", axis=0))
    return constants(*chain, node("ConstantOfShape", f"v{nodes}", "c"), zero=long(0), big=long(*[2**62] * 4000))


def wide(kind: str, **attributes: Any) -> onnx.ModelProto:
    """One layer with huge attributes on a frame."""
    held = {"k": np.ones((1, 1, 1), np.float32)}
    inputs = "p k" if kind.startswith("Conv") else "p"
    return on_gru(node("Squeeze", "Y", "p", axes=[1]), node(kind, inputs, "y", **attributes), constants=held)


def ones(*shape: int) -> np.ndarray:
    """Float32 ones."""
    return np.ones(shape, np.float32)


def pieces(message: int, part: bytes, size: int = 10_000_000) -> bytes:
    """A file of so many bytes of the smallest parts there are, inside a graph (0) or inside a part of it."""
    held = part * (size // len(part))
    held = held if not message else bytes([message << 3 | 2]) + _varint(len(held)) + held
    return b"\x08\x08\x3a" + _varint(len(held)) + held + b"\x42\x02\x10\x11"
