"""Builders of hostile ONNX files: long graphs, kernels over time, windows and states. See hostile_cases."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from hostile_parts import long, ones, value_info
from onnx import TensorProto, helper
from onnx_cases import GRU, graph, node, on_gru


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
    leaf = helper.make_graph([helper.make_node("Tanh", ["Y"], ["o"])], "g", [], [value_info("o")])
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


def faster(count: int) -> onnx.ModelProto:
    """Transposed convolutions over time, each of which makes two steps of one."""
    names = ["x", *(f"s{n}" for n in range(count))]
    return over_time(
        *(node("ConvTranspose", f"{a} kernel", b, strides=[2]) for a, b in pairwise(names)), last=names[-1]
    )


def gathered(kind: str, count: int, times: int = 200) -> onnx.ModelProto:
    """Rows of a frame of some thousand numbers, picked again and again."""
    frame = [node("Tile", "x times", "w"), node("Transpose", "w", "t", perm=[1, 0, 2]), node(kind, "t at", "g")]
    held = {"times": long(1, times, 1), "at": np.zeros((count, 1), np.int64)}
    if kind == "GatherElements":
        held["at"] = np.zeros((600, 200, 60), np.int64)
    return over_time(*frame, node("ReduceMax", "g axis", "v"), **held, axis=long(0))


def collided(count: int) -> onnx.ModelProto:
    """So many numbers that are added to the first one of a frame of a thousand."""
    held = {"times": long(1, 300, 1), "at": np.zeros((count, 1), np.int64), "more": np.zeros((count, 1, 1), np.float32)}
    nodes = [
        node("Tile", "x times", "w"),
        node("ReduceSum", "w last", "r"),
        node("Transpose", "r", "t", perm=[1, 0, 2]),
    ]
    write = node("ScatterND", "t at more", "v", reduction="add")
    return graph([*nodes, write, node("Tanh", "v", "y")], {"x": (1, 3, 2)}, ["y"], {**held, "last": long(2)}, opset=18)


def turning(count: int) -> onnx.ModelProto:
    """A Loop of so many turns in a window, and a GRU backwards over what it leaves behind."""
    ends = [value_info("i", TensorProto.INT64), value_info("go", TensorProto.BOOL), value_info("h")]
    step = [node("Tanh", "h", "h2"), node("Identity", "go", "still")]
    body = helper.make_graph(step, "g", ends, [value_info("still", TensorProto.BOOL), value_info("h2")])
    held = {"many": np.array(count), "yes": np.array(True)}
    return backwards(node("Loop", "many yes x", "v", body=body), **held)


def rows(count: int) -> onnx.ModelProto:
    """A Scan over so many rows of a constant, in a window."""
    step = [node("Add", "h f", "s"), node("Tanh", "s", "h2")]
    body = helper.make_graph(step, "g", [value_info("h"), value_info("f")], [value_info("h2")])
    return backwards(
        node("Scan", "x table", "v", body=body, num_scan_inputs=1), table=np.zeros((count, 1, 3), np.float32)
    )


def backwards(made: onnx.NodeProto, **held: Any) -> onnx.ModelProto:
    """x (T, 1, 3), the node that makes v of it, and a GRU backwards over that."""
    cell = node("GRU", "v W R B", "y", hidden_size=5, direction="reverse")
    return graph([made, cell], {"x": ("T", 1, 3)}, ["y"], {**GRU, **held})


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
