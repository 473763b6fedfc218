"""Graphs that need the whole sequence, for tests on windows: x (time and batch as told) to y."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from loop_cases import CELL, CONSTANTS, COUNT, GO, READ, subgraph
from onnx_cases import graph, node
from sequence_cases import HIDDEN, Sequences
from surroundings import ints, some

Dim = int | str | None
Graph = Callable[[Dim, Dim], onnx.ModelProto]  # (batch, time) -> the graph
N_IN = 6
W = {name: some(N_IN, N_IN) for name in ("Wq", "Wk", "Wv", "Wo")}
AXES = {"one": ints(1), "two": ints(2), "last": ints(-1), "zero": ints(0), "minus": ints(-1)}
STEPS = [node("Shape", "x", "s"), node("Gather", "s at_one", "n")]  # of a sequence (B, T, n)


def batch_first(nodes: Sequence[onnx.NodeProto], constants: dict[str, Any], outputs: str = "y") -> Graph:
    """x (B, T, n_in)."""
    return lambda batch, time: graph(nodes, {"x": (batch, time, N_IN)}, outputs.split(), constants)


def attention(*after: onnx.NodeProto, masked: Sequence[onnx.NodeProto] = (), **held: Any) -> Graph:
    """softmax(Q K^T) V of one head; `masked`: what makes of the weights w those that the softmax is taken of, m."""
    nodes = [node("MatMul", f"x W{p}", p) for p in "qkv"]
    nodes += [node("Transpose", "k", "kt", perm=[0, 2, 1]), node("MatMul", "q kt", "qk"), node("Div", "qk root", "w")]
    nodes += [*masked, node("Softmax", "m" if masked else "w", "p", axis=-1)]
    nodes += [node("MatMul", "p v", "o"), node("Add", "o x", "y")]
    return batch_first(
        [*nodes, *after], W | {"root": np.float32(N_IN**0.5)} | held, after[-1].output[0] if after else "y"
    )


def causal(filled: bool = False) -> Graph:
    """Attention to earlier steps only, by minus infinity above the diagonal, added or filled in, and a GRU."""
    mask = [*STEPS, node("Unsqueeze", "n at_0", "n1"), node("Concat", "n1 n1", "nn", axis=0)]
    mask += [node("Expand", "endless nn", "full"), node("Trilu", "full one_up", "mask", upper=1)]
    how = [node("Equal", "mask endless", "hidden"), node("Where", "hidden endless w", "m")]
    mask += how if filled else [node("Add", "w mask", "m")]
    nodes = [node("Transpose", "y", "t", perm=[1, 0, 2]), node("GRU", "t gW gR gB", "z", hidden_size=4)]
    held = {"at_one": np.array(1), "at_0": ints(0), "one_up": np.array(1), "endless": np.float32(-np.inf)}
    cell = {"gW": some(1, 12, N_IN), "gR": some(1, 12, 4), "gB": some(1, 24)}
    return attention(*nodes, masked=mask, **held, **cell)


def heads() -> Graph:
    """Two heads, taken apart and put together with computed shapes, as exporters write nn.MultiheadAttention."""
    nodes = [node("Shape", "x", "s"), node("Slice", "s zero two_", "bt"), node("Concat", "bt split", "apart", axis=0)]
    nodes += [node("Concat", "bt whole", "together", axis=0)]
    for p, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [node("MatMul", f"x W{p}", p), node("Reshape", f"{p} apart", f"{p}4")]
        nodes += [node("Transpose", f"{p}4", f"{p}h", perm=perm)]
    nodes += [node("MatMul", "qh kh", "w"), node("Softmax", "w", "p", axis=-1), node("MatMul", "p vh", "o")]
    nodes += [node("Transpose", "o", "ot", perm=[0, 2, 1, 3]), node("Reshape", "ot together", "j")]
    nodes += [node("MatMul", "j Wo", "y")]
    return batch_first(nodes, W | {"zero": ints(0), "two_": ints(2), "split": ints(2, 3), "whole": ints(6)})


def over_time(kind: str, **attributes: Any) -> Graph:
    """One node over the time axis of (B, T, n)."""
    return batch_first([node(kind, "x", "m", **attributes), node("Sub", "x m", "y")], {})


def positions() -> Graph:
    """The rows of a table of positions, by their number: Shape, Range, Gather, Add."""
    nodes = [*STEPS, node("Range", "from n step", "r"), node("Gather", "table r", "e"), node("Add", "x e", "a")]
    nodes += [node("ReduceMean", "a", "m", axes=[1], keepdims=1), node("Mul", "a m", "y")]
    held = {"at_one": np.array(1), "from": np.array(0), "step": np.array(1), "table": some(64, N_IN)}
    return batch_first(nodes, held)


def normalised() -> Graph:
    """LayerNormalization over time: channels last is turned round."""
    nodes = [node("Transpose", "x", "t", perm=[0, 2, 1])]
    nodes += [node("ReduceMean", "t", "m", axes=[-1], keepdims=1), node("Sub", "t m", "d"), node("Mul", "d d", "dd")]
    nodes += [
        node("ReduceMean", "dd", "v", axes=[-1], keepdims=1),
        node("Add", "v eps", "ve"),
        node("Sqrt", "ve", "sd"),
    ]
    nodes += [node("Div", "d sd", "n"), node("Transpose", "n", "y", perm=[0, 2, 1])]
    return batch_first(nodes, {"eps": np.float32(1e-5)})


def convolved() -> Graph:
    """Conv over time with padding on both sides, then the mean over time."""
    nodes = [node("Transpose", "x", "t", perm=[0, 2, 1]), node("Conv", "t K", "c", pads=[2, 2], kernel_shape=[5])]
    nodes += [node("Relu", "c", "r"), node("ReduceMean", "r", "y", axes=[2], keepdims=0)]
    return batch_first(nodes, {"K": some(4, N_IN, 5)})


def stacked() -> Graph:
    """Two bidirectional layers, an LSTM and a GRU, batch first by Transpose as torch writes it; the last step."""
    first, held = Sequences("LSTM", "bidirectional"), {}
    for n, kind, wide in ((1, "LSTM", N_IN), (2, "GRU", 2 * HIDDEN)):
        rows = {"LSTM": 4, "GRU": 3}[kind] * HIDDEN
        held |= {f"W{n}": some(2, rows, wide), f"R{n}": some(2, rows, HIDDEN), f"B{n}": some(2, 2 * rows)}
    both = {"direction": first.direction, "hidden_size": HIDDEN}
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2]), node("LSTM", "t W1 R1 B1", "Y1", **both)]
    nodes += [node("Transpose", "Y1", "u", perm=[0, 2, 1, 3]), node("Reshape", "u flat", "t2")]
    nodes += [node("GRU", "t2 W2 R2 B2", "Y2 h", linear_before_reset=1, **both)]
    nodes += [node("Transpose", "Y2", "v", perm=[2, 0, 1, 3]), node("Reshape", "v flat", "y")]
    return batch_first(nodes, held | {"flat": ints(0, 0, -1)}, "y h")


def looped() -> Graph:
    """A Loop over time and one over the sequence turned round, of a plain RNN, batch first."""
    body = subgraph((READ, *CELL, GO), "i c h", "go_on h2 h2")
    back = subgraph((node("Gather", "back i", "f"), *CELL, GO), "i c h", "go_on h2 h2")
    nodes = [node("MatMul", "x V3", "x3"), node("Transpose", "x3", "bx", perm=[1, 0, 2])]
    nodes += [node("Shape", "bx", "s"), node("Gather", "s zero", "n"), node("Shape", "x", "sx")]
    nodes += [node("Slice", "sx zero_1d one_1d", "b"), node("Expand", "n b", "lengths")]
    nodes += [node("ReverseSequence", "bx lengths", "back")]
    for inside, source in ((body, "bx"), (back, "back")):
        for inner in inside.node:
            inner.input[:] = [source if name == "x" else name for name in inner.input]
        nodes.append(node("Loop", "n yes h0", f"{source}_last {source}_all", body=inside))
    nodes += [node("Concat", "bx_last back_last", "y", axis=-1), node("Concat", "bx_all back_all", "z", axis=-1)]
    return batch_first(nodes, CONSTANTS | {"V3": some(N_IN, 3)}, "y z")


def scanned() -> Graph:
    """A Scan that runs backwards and stacks its answers backwards."""
    ways = {"num_scan_inputs": 1, "scan_input_directions": [1], "scan_output_directions": [1], "scan_input_axes": [1]}
    nodes = [node("MatMul", "x V3", "x3")]
    nodes += [node("Scan", "h0 x3", "last y", body=subgraph(CELL, "h f", "h2 h2"), **ways)]
    return batch_first(nodes, CONSTANTS | {"V3": some(N_IN, 3)}, "last y")


def counted() -> Graph:
    """A Loop whose body is no cell that is known: a weight that is added up, and the number of the turn."""
    body = [READ, node("MatMul", "f U", "u"), node("Cast", "i", "at", to=1), node("Mul", "u at", "ut")]
    body += [node("Add", "h ut", "a"), node("Sin", "a", "h2"), GO]
    nodes = [node("Transpose", "bx", "x", perm=[1, 0, 2]), *COUNT]
    nodes += [node("Loop", "n yes h0", "y ys", body=subgraph(body, "i c h", "go_on h2 h2"))]
    held = CONSTANTS | {"U": some(N_IN, 16), "h0": np.zeros((1, 16), np.float32)}
    return lambda batch, time: graph(nodes, {"bx": (batch, time, N_IN)}, ["y", "ys"], held)


def over_bands(time: Dim) -> onnx.ModelProto:
    """x (1, T, 16, 3): a bidirectional GRU over the 16 bands of each frame, then attention over time."""
    nodes = [node("Reshape", "x flat", "s"), node("Transpose", "s", "t", perm=[1, 0, 2])]
    nodes += [node("GRU", "t W R", "- h", hidden_size=4, direction="bidirectional")]
    nodes += [node("Transpose", "h", "ht", perm=[1, 0, 2]), node("Reshape", "ht back", "v")]
    nodes += [node("Transpose", "v", "vt", perm=[0, 2, 1]), node("MatMul", "v vt", "w"), node("Softmax", "w", "p")]
    nodes += [node("MatMul", "p v", "y")]
    held = {"flat": ints(-1, 16, 3), "back": ints(1, -1, 8), "W": some(2, 12, 3), "R": some(2, 12, 4)}
    return graph(nodes, {"x": (1, time, 16, 3)}, ["y"], held)


def channels_first(channels: int, steps: Dim) -> onnx.ModelProto:
    """x (B, C, T): Conv over time and the largest of all steps, as PyTorch's layers take them."""
    nodes = [node("Conv", "x K", "c", pads=[1, 1], kernel_shape=[3])]
    nodes += [node("ReduceMax", "c", "m", axes=[2], keepdims=1), node("Sub", "c m", "y")]
    return graph(nodes, {"x": ("unk__1", channels, steps)}, ["y"], {"K": some(5, channels, 3)})


def a_line(height: int, width: Dim) -> onnx.ModelProto:
    """x (1, 1, height, width): a picture of a line of text, Conv over both, then a bidirectional GRU over its width."""
    nodes = [node("Conv", "x K", "c", pads=[1, 1, 1, 1]), node("Transpose", "c", "t", perm=[3, 0, 1, 2])]
    nodes += [node("Reshape", "t flat", "s"), node("GRU", "s W R", "Y", hidden_size=4, direction="bidirectional")]
    held = {"K": some(1, 1, 3, 3), "flat": ints(0, 0, -1), "W": some(2, 12, height), "R": some(2, 12, 4)}
    return graph(nodes, {"x": (1, 1, height, width)}, ["Y"], held)


def rolled() -> Graph:
    """torch.roll over time by two steps, as PyTorch's dynamo exporter writes it."""
    nodes = [node("Shape", "x", "n", start=1, end=2), node("Mod", "shift n", "at")]
    nodes += [node("Slice", "x at n one", "last"), node("Slice", "x zero at one", "first")]
    nodes += [node("Concat", "last first", "rolled", axis=1), node("Mul", "rolled x", "y")]
    return batch_first(nodes, {"shift": ints(-2), "zero": ints(0), "one": ints(1)})


GRAPHS: dict[str, Graph] = {
    "attention": attention(),
    "attention, mean": attention(node("ReduceMean", "y", "z", axes=[1], keepdims=0)),
    "causal": causal(),
    "causal, filled": causal(filled=True),
    "heads": heads(),
    "mean subtracted": over_time("ReduceMean", axes=[1], keepdims=1),
    "largest subtracted": over_time("ReduceMax", axes=[1], keepdims=1),
    "softmax over time": over_time("Softmax", axis=1),
    "positions": positions(),
    "normalised over time": normalised(),
    "convolved": convolved(),
    "stacked": stacked(),
    "looped": looped(),
    "scanned": scanned(),
    "counted": counted(),
    "rolled": rolled(),
}
