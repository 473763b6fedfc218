"""The table of hostile ONNX files: small files that ask for much time or memory. `BOMBS`: name -> what makes its bytes.

tools/hostile.py measures each in a process of its own; tests/test_importer_hostile.py asks for the named error.
"""

from __future__ import annotations

from collections.abc import Callable
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
    leaf = helper.make_graph([helper.make_node("Identity", ["Y"], ["o"])], "g", [], [_value("o")])
    inner = leaf
    for _ in range(depth):
        if kind == "If":
            made = helper.make_node("If", ["yes"], ["o"], then_branch=inner, else_branch=leaf)
        else:
            made = helper.make_node("Loop", ["many", "yes"], ["o"], body=_body(inner))
        inner = helper.make_graph([made], "g", [], [_value("o")])
    (top,) = inner.node
    top.output[0] = "y"
    return on_gru(top, constants={"yes": np.array(True), "many": np.array(BIG)})


def _value(name: str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, None)


def _body(inner: onnx.GraphProto) -> onnx.GraphProto:
    """The body of a Loop that gives `o` of the inner graph in every turn."""
    ends = [_value("i", TensorProto.INT64), _value("go", TensorProto.BOOL)]
    nodes = [*inner.node, helper.make_node("Identity", ["go"], ["still"])]
    return helper.make_graph(nodes, "body", ends, [_value("still", TensorProto.BOOL), _value("o")])


def deep_ifs(depth: int) -> bytes:
    """Ifs nested deeper than protobuf reads, put together as bytes."""
    data = b""
    for _ in range(depth):
        for field in (6, 5, 1):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            data = bytes([field << 3 | 2]) + _varint(len(data)) + data
    return b"\x08\x08" + b"\x3a" + _varint(len(data)) + data + b"\x42\x02\x10\x11"


def if_tree(depth: int = 12) -> onnx.ModelProto:
    """Ifs with two Ifs in each branch: the file doubles with every level."""
    inner = helper.make_graph([helper.make_node("Tanh", ["Y"], ["o"])], "g", [], [_value("o")])
    for _ in range(depth):
        made = helper.make_node("If", ["yes"], ["o"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([made], "g", [], [_value("o")])
    top = helper.make_node("If", ["yes"], ["o"], then_branch=inner, else_branch=inner)
    return on_gru(top, node("Sparkle", "o", "y"), constants={"yes": np.array(True)})


def looped(count: int) -> onnx.ModelProto:
    """A Loop that runs a constant number of times and stacks a number in each turn."""
    inner = helper.make_graph([helper.make_node("Identity", ["k"], ["o"])], "g", [], [_value("o")])
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


def unsupported(count: int) -> onnx.ModelProto:
    """Nodes that all have something wrong with them."""
    nodes = [node("Tanh", "Y", f"t{n}", alpha=1.0) for n in range(count)]
    return on_gru(*nodes, node("Sum", " ".join(f"t{n}" for n in range(count)), "y"))


def summed(count: int) -> onnx.ModelProto:
    """Sums that each read the one before twice, then a function: read as a sum of products, it doubles."""
    chain = [node("Add", f"v{n} v{n}", f"v{n + 1}") for n in range(count)]
    return on_gru(
        node("Squeeze", "Y", "v0", axes=[1]), *chain, node("Tanh", f"v{count}", "t"), node("Sparkle", "t", "y")
    )


def one_base(count: int) -> onnx.ModelProto:
    """One node of many outputs, whose names are made of one name."""
    names = " ".join(f"s{n}" for n in range(count))
    wide = [node("Concat", " ".join(["Y"] * (count // 5)), "w", axis=3), node("Split", "w", names, axis=3)]
    return on_gru(*wide, node("Concat", names, "z", axis=3), node("Sparkle", "z", "y"))


def many_ifs(count: int) -> onnx.ModelProto:
    """Ifs in a row."""
    leaf = helper.make_graph([helper.make_node("Tanh", ["Y"], ["o"])], "g", [], [_value("o")])
    nodes = [helper.make_node("If", ["yes"], [f"t{n}"], then_branch=leaf, else_branch=leaf) for n in range(count)]
    total = node("Sum", " ".join(f"t{n}" for n in range(count)), "s")
    return on_gru(*nodes, total, node("Sparkle", "s", "y"), constants={"yes": np.array(True)})


def one_weight(count: int) -> onnx.ModelProto:
    """Many products with one weight that is large but made of nothing."""
    make = node("Expand", "w0 n", "w")
    chain = [node("MatMul", f"v{n} w", f"v{n + 1}") for n in range(count)]
    start = [make, node("Concat", " ".join(["Y"] * 200), "v0", axis=3)]
    held = {"w0": ones(1, 1), "n": long(1000, 1000)}
    return on_gru(*start, *chain, node("Sparkle", f"v{count}", "y"), constants=held)


def joined_steps(count: int) -> onnx.ModelProto:
    """A sequence of three steps that is taken apart and joined again and again."""
    nodes = []
    for n in range(count):
        nodes += [node("Gather", f"x k{t}", f"g{n}_{t}", axis=0) for t in range(3)]
        nodes += [node("Tanh", f"g{n}_{t}", f"h{n}_{t}") for t in range(3)]
        nodes.append(node("Concat", f"h{n}_0 h{n}_1 h{n}_2", f"j{n}", axis=0))
    nodes.append(node("Sum", " ".join(f"j{n}" for n in range(count)), "s"))
    held = {f"k{t}": long(t) for t in range(3)}
    return graph([*nodes, node("Sparkle", "s", "y")], {"x": (3, 1, 3)}, ["y"], held)


def vocabulary(count: int) -> onnx.ModelProto:
    """Arithmetic on a token, to be tried for each of four million."""
    chain = [node("Cast", "t", "v0", to=1)]
    chain += [node("Add", f"v{n} k", f"v{n + 1}") for n in range(count)]
    end = [node("Cast", f"v{count}", "i", to=7), node("Expand", "w0 n", "w"), node("Gather", "w i", "e")]
    cell = [node("GRU", "e W R B", "Y y", hidden_size=5)]
    held = {**GRU, "k": ones(1), "w0": ones(1, 3), "n": long(1 << 21, 3)}
    return graph([*chain, *end, *cell], {"t": ("T", 1)}, ["Y"], held, integers=["t"])


def quantised(scale: float) -> onnx.ModelProto:
    """A weight in int8 whose scale is no scale."""
    held = {"q": np.ones((1, 15, 3), np.int8), "s": np.float32(scale), "z": np.int8(0)}
    model = on_gru(node("Tanh", "Y", "y"), constants=held)
    model.graph.initializer.remove(next(t for t in model.graph.initializer if t.name == "W"))
    model.graph.node.insert(0, node("DequantizeLinear", "q s z", "W"))
    return model


def over_time(*nodes: onnx.NodeProto, last: str = "v", **held: Any) -> onnx.ModelProto:
    """x (1, 3, T), the nodes that make `last` (1, 3, T') of it, and a GRU over that."""
    cell = [node("Transpose", last, "steps", perm=[2, 0, 1]), node("GRU", "steps W R B", "y", hidden_size=5)]
    weight = {"kernel": ones(3, 3, 2), "one": ones(3, 3, 1)}
    return graph([*nodes, *cell], {"x": (1, 3, "T")}, ["y"], {**GRU, **weight, **held})


def kernel(kind: str = "Conv", weight: str = " one", **attributes: Any) -> onnx.ModelProto:
    """One kernel over time."""
    return over_time(node(kind, f"x{weight}", "v", **attributes))


def strides(count: int, between: int = 0, stride: int = 2) -> onnx.ModelProto:
    """Strides over time, one after the other, after a long chain that is walked again for each."""
    names = ["x", *(f"c{n}" for n in range(between)), *(f"s{n}" for n in range(count))]
    chain = [node("Tanh", a, b) for a, b in pairwise(names[: between + 1])]
    chain += [node("Conv", f"{a} one", b, strides=[stride]) for a, b in pairwise(names[between:])]
    return over_time(*chain, last=names[-1])


def rates(count: int) -> onnx.ModelProto:
    """Strides that have no factor in common, beside each other."""
    primes = [n for n in range(2, 100) if all(n % m for m in range(2, n))][:count]
    nodes = [node("Conv", "x one", f"s{n}", strides=[n]) for n in primes]
    return over_time(*nodes, node("Sum", " ".join(f"s{n}" for n in primes), "v"))


def shifted(count: int, by: int) -> onnx.ModelProto:
    """Many kernels over time, each with a ring of its own."""
    names = ["x", *(f"s{n}" for n in range(count))]
    nodes = [node("Conv", f"{a} kernel", b, dilations=[by], pads=[by, 0]) for a, b in pairwise(names)]
    return over_time(*nodes, last=names[-1])


def cells_in_a_window(count: int, batch: int) -> onnx.ModelProto:
    """GRUs that walk to and fro over a window, one after the other."""
    names, held, nodes = ["x", *(f"s{n}" for n in range(count))], {}, []
    for name, w in GRU.items():
        held[name] = np.concatenate([np.resize(w, (1, w.shape[1], 5) if name != "B" else w.shape)] * 2)
    for n, (a, b) in enumerate(pairwise(names)):
        nodes.append(node("GRU", f"{a} W R B", f"y{n}", hidden_size=5, direction="bidirectional"))
        nodes.append(node("ReduceSum", f"y{n} way", b, keepdims=0))
    return graph(nodes, {"x": ("T", batch, 5)}, [names[-1]], {**held, "way": long(1)})


def attention(count: int) -> onnx.ModelProto:
    """Products of every step with every other."""
    names = ["x", *(f"v{n}" for n in range(count))]
    nodes = [node("Transpose", "x", "t", perm=[0, 2, 1])]
    for n, (a, b) in enumerate(pairwise(names)):
        nodes += [node("MatMul", f"{a} t", f"p{n}"), node("Softmax", f"p{n}", f"q{n}"), node("MatMul", f"q{n} x", b)]
    return graph(nodes, {"x": (1, "T", 3)}, [names[-1]])


def tanhs(count: int) -> onnx.ModelProto:
    """A long chain over a window."""
    names = ["x", *(f"v{n}" for n in range(count))]
    return graph([node("Tanh", a, b) for a, b in pairwise(names)], {"x": (1, "T", 3)}, [names[-1]])


def many_states(count: int, names: str = "h{n} hn{n}", shift: int = 0) -> onnx.ModelProto:
    """A step graph of GRUs with states that are all alike; an output goes by the name of another one's state."""
    nodes, last = [], "x"
    held = {"W": np.resize(GRU["W"], (1, 15, 5)), "R": GRU["R"]}
    before, after = names.split()
    for n in range(count):
        state, new = before.format(n=n), after.format(n=(n + shift) % count)
        nodes += [node("GRU", f"{last} W R - - {state}", f"Y{n} {new}", hidden_size=5)]
        nodes += [node("Squeeze", f"Y{n} axis", f"y{n}")]
        last = f"y{n}"
    dims = {"x": (1, 1, 5), **{before.format(n=n): (1, 1, 5) for n in range(count)}}
    return graph(nodes, dims, [last, *(after.format(n=n) for n in range(count))], {**held, "axis": long(1)})


def counters(count: int) -> onnx.ModelProto:
    """Whole numbers beside a cell that a step graph counts up."""
    nodes = [node("GRU", "x W R B", "Y Y_h", hidden_size=5)]
    nodes += [node("Add", f"i{n} one", f"o{n}") for n in range(count)]
    dims = {"x": (1, 1, 3), **{f"i{n}": (1,) for n in range(count)}}
    model = graph(nodes, dims, ["Y_h", *(f"o{n}" for n in range(count))], {**GRU, "one": long(1)}, integers=[*dims][1:])
    return model


def switched(count: int) -> onnx.ModelProto:
    """Nodes that fail, each because of a number that might be set."""
    nodes = [node("GRU", "x W R B", "Y Y_h", hidden_size=5)]
    nodes += [node("Range", "zero i one", f"r{n}") for n in range(count)]
    nodes += [node("Sum", " ".join(f"r{n}" for n in range(count)), "y")]
    held = {**GRU, "zero": np.int64(0), "one": np.int64(1)}
    return graph(nodes, {"x": ("T", 1, 3), "i": ()}, ["Y_h", "y"], held, integers=["i"])


BOMBS: dict[str, Callable[[], onnx.ModelProto | bytes]] = {
    "Concat, doubled": lambda: doubled("Concat", axis=0),
    "Tile, doubled": lambda: doubled("Tile", "two"),
    "Pad, doubled": lambda: doubled("Pad", "ends", levels=2000),
    "Add of a column and a row": lambda: outer("Add", 50_000),
    "MatMul of a column and a row": lambda: outer("MatMul", 50_000),
    "Gemm of a column and a row": lambda: outer("Gemm", 50_000),
    "Expand to a column": lambda: outer("Identity", 2**40),
    "2,000 nodes of a million numbers": long_chain,
    "Tile": lambda: one("Tile", "c0 n", n=long(BIG)),
    "Tile past 64 bits": lambda: one("Tile", "c0 n", n=long(2**62)),
    "Tile, negative": lambda: one("Tile", "c0 n", n=long(-3)),
    "Expand": lambda: one("Expand", "c0 n", n=long(BIG, 64)),
    "Expand in 40 axes": lambda: one("Expand", "c0 n", n=long(*[2] * 34, 64)),
    "ConstantOfShape": lambda: one("ConstantOfShape", "n", n=long(BIG)),
    "ConstantOfShape, negative": lambda: one("ConstantOfShape", "n", n=long(-1, -(2**62))),
    "Range": lambda: one("Range", "a n b", a=np.int64(0), n=np.int64(2**40), b=np.int64(1)),
    "Range, step 0": lambda: one("Range", "a n b", a=np.int64(0), n=np.int64(9), b=np.int64(0)),
    "Range of fractions": lambda: one("Range", "a n b", a=np.float32(0), n=np.float32(1e9), b=np.float32(1e-9)),
    "Pad": lambda: one("Pad", "c0 n", n=long(0, BIG)),
    "OneHot": lambda: one("OneHot", "i n v", i=long(0, 1, 2), n=np.int64(BIG), v=np.float32([0, 1])),
    "Resize": lambda: one("Resize", "i - - n", i=ones(1, 1, 2, 2), n=long(1, 1, BIG, BIG)),
    "Upsample by Resize": lambda: one("Resize", "i - s", i=ones(1, 1, 2, 2), s=np.float32([1, 1, 1e9, 1e9])),
    "Einsum": lambda: one("Einsum", "e e e e", {"equation": "ab,cd,ef,gh->abcdefgh"}, e=ones(64, 64)),
    "ConvTranspose": lambda: one("ConvTranspose", "i k", {"strides": [BIG]}, i=ones(1, 1, 2), k=ones(1, 1, 2)),
    "Gather": lambda: one("Gather", "g i", g=ones(1, 4096), i=np.zeros(2**18, np.int64)),
    "AffineGrid": lambda: one("AffineGrid", "t n", t=ones(1, 2, 3), n=long(1, 1, BIG, BIG)),
    "SequenceConstruct": lambda: one("SequenceConstruct", "c0 c0"),
    "text": strings,
    "RandomNormal": lambda: one("RandomNormal", "", {"shape": [BIG, BIG]}),
    "frame, Concat doubled": lambda: growing("Concat", axis=2),
    "frame, Add with a wide constant": lambda: on_gru(
        node("Expand", "c0 n", "k"), node("Add", "Y k", "y"), constants={"c0": ones(1), "n": long(1, BIG, 1, 5)}
    ),
    "frame, Pad": lambda: on_gru(node("Pad", "Y n", "y"), constants={"n": long(0, 0, 0, 0, 0, 0, 0, BIG)}),
    "frame, Expand": lambda: on_gru(node("Expand", "Y n", "y"), constants={"n": long(1, BIG, 1, 5)}),
    "frame, Tile": lambda: on_gru(node("Tile", "Y n", "y"), constants={"n": long(1, 1, 1, BIG)}),
    "frame, Tile 20 million": lambda: on_gru(node("Tile", "Y n", "y"), constants={"n": long(1, 1, 1, 4_000_000)}),
    "frame, Resize": lambda: on_gru(node("Resize", "Y - - n", "y"), constants={"n": long(1, 1, BIG, BIG)}),
    "frame, AveragePool": lambda: wide("AveragePool", kernel_shape=[BIG], pads=[BIG, BIG]),
    "frame, MaxPool": lambda: wide("MaxPool", kernel_shape=[1 << 20], pads=[(1 << 20) - 1, (1 << 20) - 1]),
    "frame, Conv": lambda: wide("Conv", kernel_shape=[1], pads=[BIG, BIG]),
    "frame, ConvTranspose": lambda: wide("ConvTranspose", kernel_shape=[1], strides=[BIG]),
    "Loop of 2,000 million turns": lambda: looped(BIG),
    "If, nested 300 deep": lambda: deep_ifs(300),
    "If, tree": if_tree,
    "Loop, nested 30 deep": lambda: nested(30, "Loop"),
    "functions, ten times ten": laughs,
    "functions, doubled": lambda: laughs(40, 2),
    "functions, 3,000 deep": chained_functions,
    "unsupported nodes, 20,000": lambda: unsupported(20_000),
    "sums, doubled": lambda: summed(60),
    "a split in 10,000": lambda: one_base(10_000),
    "Ifs, 5,000 in a row": lambda: many_ifs(5000),
    "products with one weight, 2,000": lambda: one_weight(2000),
    "steps joined 1,000 times": lambda: joined_steps(1000),
    "arithmetic on two million tokens": lambda: vocabulary(500),
    "parts: nodes": lambda: pieces(0, b"\x0a\x00"),
    "parts: weights": lambda: pieces(0, b"\x2a\x00"),
    "parts: inputs": lambda: pieces(0, b"\x5a\x00"),
    "parts: shapes": lambda: pieces(0, b"\x6a\x00"),
    "parts: axes of a weight": lambda: pieces(5, b"\x0a\x01\x01"),
    "parts: inputs of a node": lambda: pieces(1, b"\x0a\x00"),
    "parts: attributes of a node": lambda: pieces(1, b"\x2a\x00"),
    "parts: texts of a weight": lambda: pieces(5, b"\x32\x00"),
    "parts: numbers of a weight": lambda: pieces(5, b"\x3a\x01\x01"),
    "sparse": lambda: sparse(2**40),
    "sparse Constant": lambda: sparse_constant(2**40),
    "a million numbers in an attribute": lambda: attribute_list(1_000_000),
    "100,000 inputs, one name": lambda: many_inputs(100_000, False),
    "100,000 inputs, their own names": lambda: many_inputs(100_000, True),
    "2,000 inputs added up": lambda: many_inputs(2_000, True, True),
    "an input of 5,000 axes": lambda: deep_rank(5000),
    "5,000 nodes, many fixed lengths": lambda: many_lengths(5000),
    "5,000 nodes, 200 free names": lambda: many_names(5000),
    "a weight of 4 GB that is not there": lambda: declared(2**30),
    "shape arithmetic, 5,000 nodes": lambda: symbolic(5000),
    "shape arithmetic, growing digits": lambda: symbols_square(300),
    "scale NaN": lambda: quantised(np.nan),
    "scale infinite": lambda: quantised(np.inf),
    "scale 0": lambda: quantised(0.0),
    "scale negative": lambda: quantised(-1.0),
    "time, 12 strides behind 4,000 nodes": lambda: strides(12, 4000),
    "time, 1,000 strides": lambda: strides(1000),
    "time, a stride of 4,096": lambda: strides(1, stride=4096),
    "time, a stride of a thousand million": lambda: kernel(strides=[10**9]),
    "time, strides without a common factor": lambda: rates(5),
    "time, dilated": lambda: kernel(weight=" kernel", dilations=[10**9], pads=[10**9, 0]),
    "time, dilated 1,000,000": lambda: kernel(weight=" kernel", dilations=[10**6], pads=[10**6, 0]),
    "time, dilated, not padded": lambda: kernel(weight=" kernel", dilations=[10**9]),
    "time, 1,000 rings": lambda: shifted(1000, 10_000),
    "time, padded in front": lambda: kernel(pads=[10**9, 0]),
    "time, padded behind": lambda: kernel(pads=[0, 10**9]),
    "time, MaxPool": lambda: kernel("MaxPool", "", kernel_shape=[10**9], pads=[10**9 - 1, 0]),
    "time, MaxPool of a million": lambda: kernel("MaxPool", "", kernel_shape=[10**6], pads=[10**6 - 1, 0]),
    "time, AveragePool": lambda: kernel("AveragePool", "", kernel_shape=[10**9], pads=[10**9 - 1, 0]),
    "time, AveragePool of a million": lambda: kernel("AveragePool", "", kernel_shape=[10**6], pads=[10**6 - 1, 0]),
    "time, Pad": lambda: over_time(node("Pad", "x n", "v"), n=long(0, 0, 10**9, 0, 0, 0)),
    "time, Pad, then combined": lambda: over_time(
        node("Pad", "x n", "p"),
        node("Slice", "p zero end axis", "q"),
        node("Add", "x q", "v"),
        n=long(0, 0, 10**9, 0, 0, 0),
        zero=long(0),
        end=long(-(10**9)),
        axis=long(2),
    ),
    "time, Pad, cropped": lambda: over_time(node("Pad", "x n", "v"), n=long(0, 0, -(10**9), 0, 0, 0)),
    "time, Slice from a thousand million": lambda: over_time(
        node("Slice", "x a b axis", "v"), a=long(10**9), b=long(2**31 - 1), axis=long(2)
    ),
    "time, Slice by a thousand million": lambda: over_time(
        node("Slice", "x a b axis step", "v"), a=long(0), b=long(2**31 - 1), axis=long(2), step=long(10**9)
    ),
    "time, stacked": lambda: over_time(
        node("Transpose", "x", "t", perm=[0, 2, 1]),
        node("Reshape", "t n", "r"),
        node("Transpose", "r", "v", perm=[0, 2, 1]),
        n=long(1, -1, 3 * 10**9),
    ),
    "window, attention": lambda: attention(1),
    "window, attention 1,000 times": lambda: attention(1000),
    "window, 5,000 nodes": lambda: tanhs(5000),
    "window, cells of 16,384 steps": lambda: cells_in_a_window(200, 4),
    "window, Sparkle": lambda: strides(0, 5000),
    "states, 400": lambda: many_states(400, "a{n} b{n}"),
    "states, 400, misnamed": lambda: many_states(400, "h{n} hn{n}", 1),
    "states, 8, alike": lambda: many_states(8, "a{n} b{n}"),
    "states, 1,000 whole numbers": lambda: counters(1000),
    "states, 5,000 nodes that a number decides": lambda: switched(5000),
}

# files that ask for much less than they seem to: they may convert
HARMLESS = {
    "time, a stride of 4,096",
    "time, dilated 1,000,000",
    "time, padded behind",
    "time, MaxPool of a million",
    "time, AveragePool of a million",
    "time, Pad, cropped",
    "time, Slice from a thousand million",
}
# how they are read, where it is not as they are
WINDOW = {"window": 4096}
SETTINGS: dict[str, dict[str, Any]] = {name: WINDOW for name in BOMBS if name.startswith("window, ")}


# what takes a second or more to make or to read: tools/hostile.py only
LARGE = (
    "parts: ",
    "100,000 inputs",
    "unsupported nodes",
    "5,000 nodes",
    "Ifs, ",
    "a split",
    "steps joined",
    "a million",
    "time, 12 strides",
    "time, 1,000",
    "states, 400",
)


def made(name: str) -> bytes:
    """The bytes of a bomb."""
    model = BOMBS[name]()
    return model if isinstance(model, bytes) else model.SerializeToString()
