"""Sequences that become faster: transposed convolutions over time, overlapping or not, and repeated steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_cases import Dims, graph, node, weights

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.layers.base import Array
from edgernn.stream import Stream

T = 48
Case = tuple[list[onnx.NodeProto], Dims, dict[str, Any], int, int, int]  # ..., hop, delay, steps an answer


def some(*shape: int) -> Array:
    return np.random.default_rng(shape[-1]).normal(size=shape).astype(np.float32) / 2


def up(x: str, w: str, made: str, **attributes: Any) -> onnx.NodeProto:
    return node("ConvTranspose", f"{x} {w}", made, **attributes)


BACK = [node("Conv", "x d", "c", strides=[4], pads=[4, 0]), node("Relu", "c", "h")]  # four samples become one step
DOWN = {"d": some(6, 2, 8)}
CELL = [
    node("Transpose", "h", "t", perm=[2, 0, 1]),
    node("GRU", "t W R B", "Y", hidden_size=6),
    node("Squeeze", "Y ways", "s"),
    node("Transpose", "s", "g", perm=[1, 2, 0]),
]
FRAMES = [node("Identity", "x", "h"), *CELL]
GRU = {**weights("GRU", 6, 6), "ways": [1]}
CASES: dict[str, Case] = {
    "kernel as long as the stride": (
        [*FRAMES, up("g", "w", "y", strides=[3])], (1, 6, "T"), {**GRU, "w": some(6, 4, 3)}, 1, 0, 3
    ),
    "overlapping": ([up("x", "w", "y", strides=[2])], (1, 2, "T"), {"w": some(2, 4, 5)}, 1, 0, 2),
    "stride longer than the kernel": (
        [*FRAMES, up("g", "w", "y", strides=[4])], (1, 6, "T"), {**GRU, "w": some(6, 4, 3)}, 1, 0, 4
    ),
    "without a stride": ([up("x", "w", "y")], (1, 2, "T"), {"w": some(2, 4, 3)}, 1, 0, 1),
    "dilated, in groups, cut in front": (
        [node("ConvTranspose", "x w b", "y", strides=[2], dilations=[3], group=2, pads=[3, 1], output_padding=[1])],
        (1, 4, "T"),
        {"w": some(4, 3, 3), "b": some(6)},
        1,
        2,
        2,
    ),
    "padded in front by what is cut off": (  # causal, as in GTCRN's decoder
        [node("Pad", "x pads", "p"), up("p", "w", "y", dilations=[2], pads=[4, 4])],
        (1, 2, "T"),
        {"pads": [0, 0, 4, 0, 0, 0], "w": some(2, 4, 3)},
        1,
        0,
        1,
    ),
    "cut on both sides": ([up("x", "w", "y", pads=[1, 1])], (1, 2, "T"), {"w": some(2, 4, 3)}, 1, 1, 1),
    "over bands as well": (
        [up("x", "w", "y", strides=[2, 2], pads=[0, 1, 1, 0])], (1, 2, "T", 5), {"w": some(2, 3, 3, 3)}, 1, 0, 2
    ),
    "an encoder and its decoder": (
        [*BACK, up("h", "u", "y", strides=[4], pads=[2, 2])], (1, 2, "T"), {**DOWN, "u": some(6, 1, 8)}, 4, 4, 4
    ),
    "a cell between them": (
        [*BACK, *CELL, up("g", "u", "y", strides=[4])], (1, 2, "T"), {**DOWN, **GRU, "u": some(6, 1, 8)}, 4, 0, 4
    ),
    "two that overlap and a centred convolution": (
        [
            up("x", "u", "a", strides=[4], pads=[2, 2]),
            up("a", "v", "b", strides=[2], pads=[1, 1]),
            node("Conv", "b k", "y", pads=[3, 3]),
        ],
        (1, 4, "T"),
        {"u": some(4, 3, 8), "v": some(3, 2, 4), "k": some(1, 2, 7)},
        1,
        1,
        8,
    ),
    "a fixed length": ([*BACK, up("h", "u", "y", strides=[4])], (1, 2, T), {**DOWN, "u": some(6, 1, 8)}, 4, 0, 4),
    "repeated steps": (
        [
            *BACK,
            node("Resize", "h - scales", "r", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
            node("Conv", "r k", "y", pads=[1, 1]),
        ],
        (1, 2, "T"),
        {**DOWN, "scales": np.array([1, 1, 4], np.float32), "k": some(2, 6, 3)},
        4,
        4,
        4,
    ),
    "straight lines from step to step": (
        [
            *(node("Conv", "x d", "c", strides=[4], pads=[4, 0]), node("Resize", "c - scales", "r", mode="linear")),
            node("Conv", "r k", "y", pads=[2, 0]),
        ],
        (1, 2, "T"),
        {**DOWN, "scales": np.array([1, 1, 4], np.float32), "k": some(2, 6, 3)},
        4,
        4,
        4,
    ),
    "as many steps as before": (
        [
            *BACK,
            *CELL,
            node("Shape", "x", "sizes"),
            node("Slice", "sizes two three", "frames"),
            node("Concat", "head frames", "wanted", axis=0),
            node("Resize", "g - - wanted", "r"),
            node("Concat", "r x", "y", axis=1),
        ],
        (1, 2, "T"),
        {**DOWN, **GRU, "two": [2], "three": [3], "head": [1, 6]},
        4,
        0,
        4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_step_gives_several(name: str) -> None:
    nodes, dims, held, hop, delay, count = CASES[name]
    model = graph(nodes, {"x": dims}, ["y"], held)
    x = np.random.default_rng(1).normal(size=[T if n == "T" else n for n in dims]).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.moveaxis(session.run(None, {"x": x})[0], 2, 0)
    read = importer.read(model.SerializeToString())
    assert (read.hop, read.delay, read.outputs[0].size) == (hop, delay, count * expected[0].size)
    frames = np.moveaxis(x, 2, 0).reshape(T, -1)
    stream, once = Stream(read), Stream(read)
    made = np.concatenate([stream.run(part) for part in np.split(frames, [1, 6, 31])])
    assert np.array_equal(made, [y for frame in frames if (y := once.step(frame)) is not None])
    late = delay // hop
    assert not made[:late].any()
    rows = made[late:].reshape(-1, *expected.shape[1:])
    shared = min(len(rows), len(expected))  # zeros behind the last step are left out there
    assert shared > len(rows) - count
    np.testing.assert_allclose(rows[:shared], expected[:shared], rtol=1e-4, atol=1e-5)


def test_a_step_graph_that_adds_what_overlaps_itself_is_one() -> None:
    """Frames of eight samples with their overlap as a state, no sequence of single samples."""
    cuts = {"zero": [0], "eight": [8], "sixteen": [16], "last": [2]}
    nodes = [
        *(node("Conv", "x d", "c"), up("c", "w", "a", strides=[8])),
        *(node("Slice", "a zero eight last", "now"), node("Slice", "a eight sixteen last", "ola_out")),
        node("Add", "now ola", "y"),
    ]
    held = {**cuts, "d": some(6, 1, 8), "w": some(6, 1, 16)}
    source = graph(nodes, {"x": [1, 1, 8], "ola": [1, 1, 8]}, ["y", "ola_out"], held).SerializeToString()
    with pytest.raises(UnsupportedModel, match="'ola': may be a state that"):
        importer.read(source)
    read = importer.read(source, state={"ola": "ola_out"})
    x = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    state, expected = np.zeros((1, 1, 8), np.float32), []
    for frame in x:
        y, state = session.run(None, {"x": frame.reshape(1, 1, 8), "ola": state})
        expected.append(y[0, 0])
    np.testing.assert_allclose(Stream(read).run(x), expected, rtol=1e-5, atol=1e-6)


GATHERED: dict[str, tuple[Array, int, int]] = {  # an index over T steps, the delay, and steps an answer
    "each twice": (np.arange(T).repeat(2), 0, 2),
    "a step before": (np.maximum(np.arange(T) - 1, 0), 0, 1),
    "two before and one after": ((np.arange(T)[:, None] + [-2, 1]).clip(0, T - 1).reshape(-1), 1, 2),
    "reflected at the front": (np.abs(np.arange(T) - 3), 3, 1),
}


@pytest.mark.parametrize("name", GATHERED)
def test_steps_around_each_are_gathered(name: str) -> None:
    index, delay, count = GATHERED[name]
    nodes = [node("Gather", "x index", "h", axis=2), *CELL[:-1]]
    source = graph(nodes, {"x": [1, 6, T]}, ["s"], {**GRU, "index": index}).SerializeToString()
    x = np.random.default_rng(1).normal(size=(1, 6, T)).astype(np.float32)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})[0].reshape(-1, 6)
    read = importer.read(source)
    assert (read.hop, read.delay, read.outputs[0].size) == (1, delay, 6 * count)
    stream = Stream(read)
    made = np.concatenate([stream.run(part) for part in np.split(x[0].T, [1, 6, 31])]).reshape(-1, 6)[delay * count :]
    np.testing.assert_allclose(made, expected[: len(made)], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("change", [(20, 3), (30, 31), (0, 40)])
def test_an_index_that_takes_steps_out_of_turn_is_refused(change: tuple[int, int]) -> None:
    index = np.arange(T).repeat(2)
    index[change[0]] = change[1]
    nodes = [node("Gather", "x index", "h", axis=2), *CELL[:-1]]
    with pytest.raises(UnsupportedModel, match=r"takes steps .* of the sequence.*window=N"):
        importer.read(graph(nodes, {"x": [1, 6, T]}, ["s"], {**GRU, "index": index}).SerializeToString())


def test_a_transposed_convolution_multiplies_no_zeros() -> None:
    """Each weight meets each step once."""
    model = graph([up("x", "w", "y", strides=[8])], {"x": (1, 16, "T")}, ["y"], {"w": some(16, 4, 16)})
    assert importer.read(model.SerializeToString()).macs == 16 * 4 * 16


WEIGHT = np.hanning(9)[:8].astype(np.float32) + np.float32(0.25)


def divided(length: int | str) -> onnx.ModelProto:
    """Windows that are added up and divided by the sum of their weights, as an inverse Fourier transform does."""
    steps = T // 4 + 1
    held: dict[str, Any] = {"d": some(6, 1, 8), "u": some(6, 1, 8), "eye": np.eye(8, dtype=np.float32)[:, None]}
    held |= {"two": [2], "three": [3], "four": [4], "minus": [-4], "eight": [1, 8], "weight": WEIGHT[None, :, None]}
    weights_of_each = [
        node("Shape", "h", "shape"),
        node("Slice", "shape two three", "steps"),
        node("Concat", "eight steps", "to", axis=0),
        node("Expand", "weight to", "all"),
    ]
    if isinstance(length, int):
        held["all"], weights_of_each = np.repeat(held["weight"], steps, 2), []
    nodes = [
        *(node("Conv", "x d", "c", strides=[4], pads=[4, 4]), node("Relu", "c", "h"), *weights_of_each),
        *(up("all", "eye", "total", strides=[4]), up("h", "u", "a", strides=[4])),
        *(node("Div", "a total", "b"), node("Slice", "b four minus two", "y")),
    ]
    return graph(nodes, {"x": [1, 1, length]}, ["y"], held)


@pytest.mark.parametrize("length", ["T", T])
def test_what_overlaps_is_divided_by_the_sum_of_its_weights(length: int | str) -> None:
    """That is another one in the first steps, and in the last, which are cut off."""
    source = divided(length).SerializeToString()
    x = np.random.default_rng(1).normal(size=(1, 1, T)).astype(np.float32)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})[0].reshape(-1)
    read = importer.read(source)
    assert (read.hop, read.delay) == (4, 4)
    made = Stream(read).run(x.reshape(-1, 1)).reshape(-1)
    np.testing.assert_allclose(made[4:], expected[: len(made) - 4], rtol=1e-4, atol=1e-5)


MASKS = {"the first steps": True, "the last step": False, "position": True, "its square": False}


@pytest.mark.parametrize(("mask", "fits"), MASKS.items())
def test_a_constant_for_each_step_may_differ_in_the_first_few(mask: str, fits: bool) -> None:
    values = np.ones(T, np.float32)
    values[{"the first steps": slice(0, 5), "the last step": slice(-1, None)}.get(mask, slice(None))] = np.arange(
        {"the first steps": 5, "the last step": 1}.get(mask, T)
    ) ** (2 if mask == "its square" else 1)
    nodes = [node("Mul", "x mask", "h"), *CELL[:-1]]
    model = graph(nodes, {"x": [1, 6, T]}, ["s"], {**GRU, "mask": values})
    source = model.SerializeToString()
    if not fits:
        with pytest.raises(UnsupportedModel, match="reads a constant that differs from step to step"):
            importer.read(source)
        return
    x = np.random.default_rng(1).normal(size=(1, 6, T)).astype(np.float32)
    expected = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0][:, 0]
    np.testing.assert_allclose(Stream(importer.read(source)).run(x[0].T), expected, rtol=1e-5, atol=1e-6)
