"""The table of hostile ONNX files: small files that ask for much time or memory. `BOMBS`: name -> what makes its bytes.

tools/hostile.py measures each in a process of its own; tests/test_importer_hostile.py asks for the named error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from hostile_attacks import ATTACKS
from hostile_graphs import (
    attention,
    cells_in_a_window,
    counters,
    joined_steps,
    kernel,
    many_ifs,
    many_states,
    one_base,
    one_weight,
    over_time,
    quantised,
    rates,
    shifted,
    strides,
    summed,
    switched,
    tanhs,
    unsupported,
    vocabulary,
)
from hostile_parts import (
    BIG,
    attribute_list,
    chained_functions,
    declared,
    deep_ifs,
    deep_rank,
    doubled,
    growing,
    if_tree,
    laughs,
    long,
    long_chain,
    looped,
    many_inputs,
    many_lengths,
    many_names,
    nested,
    one,
    ones,
    outer,
    pieces,
    sparse,
    sparse_constant,
    strings,
    symbolic,
    symbols_square,
    wide,
)
from onnx_cases import node, on_gru

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
} | ATTACKS

# files that ask for much less than they seem to: they may convert
HARMLESS = {
    "time, a stride of 4,096",
    "time, dilated 1,000,000",
    "time, padded behind",
    "time, MaxPool of a million",
    "time, AveragePool of a million",
    "time, Pad, cropped",
    "float8 weights",
    "Slice huge",
    "a sequence of no steps",
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
    "20,000 nodes",
    "strides under 30 names",
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
