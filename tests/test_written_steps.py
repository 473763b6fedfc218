"""Assignments to some steps of a sequence, pieces joined over time, and writes that collide, at constant places.

The files of `deltas` in test_exports are what PyTorch's exporters make of the first two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_cases import graph, node, weights

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.layers.base import Array
from edgernn.stream import Stream

SIZE, HIDDEN, T = 4, 5, 20
END = (1 << 63) - 1
Nodes = list[onnx.NodeProto]


def runtime(model: onnx.ModelProto, x: Array) -> Array:
    """ONNX Runtime's answers (n, HIDDEN) to a whole sequence (T, SIZE)."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x.reshape(-1, 1, SIZE)})[0]).reshape(-1, HIDDEN)


def cut(x: str, made: str, low: int, high: int) -> Nodes:
    """made = x[low:high] over time."""
    bounds = [node("Constant", "", f"{made}_{name}", value_ints=[n]) for name, n in (("low", low), ("high", high))]
    return [*bounds, node("Slice", f"{x} {made}_low {made}_high zero", made)]


def on_gru(nodes: Nodes, length: int | str, **constants: Any) -> onnx.ModelProto:
    """What the nodes make of x (length, 1, SIZE), called `s`, through a GRU."""
    gru = [node("GRU", "s W R B", "Y", hidden_size=HIDDEN), node("Squeeze", "Y ways", "y")]
    held = {**weights("GRU", SIZE, HIDDEN), "ways": [1], "zero": [0], "last": [-1], "nought": np.array(0)}
    held |= {"one": np.array(1), "share": np.float32(0.97), "none": np.float32(0)}
    return graph([*nodes, *gru], {"x": [length, 1, SIZE]}, ["y"], {**held, **constants})


def written(length: int | str, data: str, low: int, high: int = END) -> onnx.ModelProto:
    """s[low:high] = x[low:high] - x[:low], where s is x before, or zeros; at constant places or at counted ones."""
    steps = range(T)[low:high]
    count = [node("Shape", "x", "shape"), node("Gather", "shape nought", "T"), node("Range", "nought T one", "all")]
    places = [*count, *cut("all", "from", low, high), node("Unsqueeze", "from last", "at")]
    held = {"at": np.array(steps)[:, None]} if isinstance(length, int) else {}
    values = [*cut("x", "later", low, END), *cut("x", "earlier", 0, -low), node("Sub", "later earlier", "d")]
    values += cut("d", "u", 0, high) if high < 0 else [node("Identity", "d", "u")]
    nodes = [*values, node("Mul", "x none", "zeros"), node("ScatterND", f"{data} at u", "s")]
    return on_gru(nodes if held else [*places, *nodes], length, **held)


def emphasis(length: int | str, stride: int = 1) -> onnx.ModelProto:
    """Pre-emphasis of what a convolution gives, whose first step stays as it is."""
    before = [node("Transpose", "x", "c", perm=[1, 2, 0]), node("Conv", "c K", "v", strides=[stride], pads=[2, 0])]
    before += [node("Transpose", "v", "z", perm=[2, 0, 1]), *cut("z", "earlier", 0, -1), *cut("z", "later", 1, END)]
    after = [node("Mul", "earlier share", "less"), node("Sub", "later less", "rest"), *cut("z", "first", 0, 1)]
    kernel = np.random.default_rng(3).normal(size=(SIZE, SIZE, 2 + stride)).astype(np.float32) / 4
    return on_gru([*before, *after, node("Concat", "first rest", "s", axis=0)], length, K=kernel)


def later(length: int | str) -> onnx.ModelProto:
    """Differences of three steps, after the first three themselves."""
    nodes = [*cut("x", "first", 0, 3), *cut("x", "later", 3, END), *cut("x", "earlier", 0, -3)]
    nodes += [node("Sub", "later earlier", "d"), node("Concat", "first d", "s", axis=0)]
    return on_gru(nodes, length)


def begun(length: int | str) -> onnx.ModelProto:
    """Two steps of their own before a sequence."""
    start = np.random.default_rng(4).normal(size=(2, 1, SIZE)).astype(np.float32)
    return on_gru([*cut("x", "earlier", 0, -2), node("Concat", "start earlier", "s", axis=0)], length, start=start)


def reset(length: int | str) -> onnx.ModelProto:
    """The first three steps are the same numbers."""
    new = np.full((3, 1, SIZE), 0.5, np.float32)
    return on_gru([node("ScatterND", "x at new", "s")], length, at=np.arange(3)[:, None], new=new)


def features(length: int | str) -> onnx.ModelProto:
    """Two numbers of the first step: ScatterElements writes in as many steps as its indices have."""
    new = np.full((1, 1, 2), 0.5, np.float32)
    return on_gru([node("ScatterElements", "x at new", "s", axis=2)], length, at=np.array([[[3, 1]]]), new=new)


def padded(length: int | str, stride: int = 1) -> onnx.ModelProto:
    """A number before the first step, and steps cut off at the end, of what a convolution gives."""
    before = [node("Transpose", "x", "c", perm=[1, 2, 0]), node("Conv", "c K", "v", strides=[stride], pads=[2, 0])]
    pads = {"pads": np.array([2, 0, 0, -2, 0, 0]), "fill": np.array(-0.7, np.float32)}
    after = [node("Transpose", "v", "z", perm=[2, 0, 1]), node("Pad", "z pads fill", "s")]
    kernel = np.random.default_rng(3).normal(size=(SIZE, SIZE, 2 + stride)).astype(np.float32) / 4
    return on_gru([*before, *after], length, K=kernel, **pads)


def corner(length: int | str) -> onnx.ModelProto:
    """s[:2, :, 1:] = 0.5 by places that are counted, as PyTorch's older exporter writes it."""
    count = [node("Shape", "x", "shape"), node("Gather", "shape nought", "T"), node("Range", "nought T one", "all")]
    places = [node("Reshape", "k column", "c"), node("Expand", "c grid", "steps")]
    nodes = [*count, *cut("all", "k", 0, 2), *places, node("Concat", "steps others", "at", axis=3)]
    others = np.stack([np.zeros((2, 1, 3), np.int64), np.tile([1, 2, 3], (2, 1, 1))], axis=3)
    held = {"column": [-1, 1, 1, 1], "grid": [2, 1, 3, 1], "others": others, "new": np.full((2, 1, 3), 0.5, "f4")}
    return on_gru([*nodes, node("ScatterND", "x at new", "s")], length, **held)


def masked(length: int | str, whole_steps: bool) -> onnx.ModelProto:
    """s[mask] = 0.5 by the places where a mask of numbers, or of steps, is not 0, as PyTorch writes it today."""
    mask = [node("ReduceMean", "x", "m", axes=[2], keepdims=0)] if whole_steps else [node("Identity", "x", "m")]
    places = [node("Less", "m none", "mask"), node("NonZero", "mask", "found"), node("Transpose", "found", "at")]
    size = [node("Shape", "found", "sizes"), node("Slice", "sizes onward end", "n")]
    size += [node("Concat", "n width", "to", axis=0)] if whole_steps else [node("Identity", "n", "to")]
    nodes = [*mask, *places, *size, node("Expand", "half to", "u"), node("ScatterND", "x at u", "s")]
    return on_gru(nodes, length, half=np.float32(0.5), onward=[1], end=[2], width=[SIZE])


STREAMED: dict[str, tuple[Callable[[int | str], onnx.ModelProto], int, int]] = {  # with hop and delay
    "differences after zeros": (lambda n: written(n, "zeros", 1), 1, 0),
    "differences after the first step": (lambda n: written(n, "x", 1), 1, 0),
    "differences of two steps": (lambda n: written(n, "x", 2), 1, 0),
    "pre-emphasis": (emphasis, 1, 0),
    "pre-emphasis at half the rate": (lambda n: emphasis(n, 2), 2, 0),
    "the first three steps before the others": (later, 1, 0),
    "steps before the sequence": (begun, 1, 0),
    "a number before the sequence": (padded, 1, 0),
    "a number before half the steps": (lambda n: padded(n, 2), 2, 0),
    "the first steps set": (reset, 1, 0),
    "a part of the first step set": (features, 1, 0),
    "a part of the first steps set": (corner, 1, 0),
    "some numbers set": (lambda n: masked(n, whole_steps=False), 1, 0),
    "some steps set": (lambda n: masked(n, whole_steps=True), 1, 0),
}


@pytest.mark.parametrize("length", ["T", T])
@pytest.mark.parametrize("name", STREAMED)
def test_what_is_written_from_a_step_on_streams(name: str, length: int | str) -> None:
    make, hop, delay = STREAMED[name]
    model = make(length)
    x = np.random.default_rng(1).normal(size=(T, SIZE)).astype(np.float32)
    read = importer.read(model.SerializeToString())
    assert (read.hop, read.delay) == (hop, delay)
    stream, once = Stream(read), Stream(read)
    made = np.concatenate([stream.run(part) for part in np.split(x, [1, 4, 11])])
    np.testing.assert_allclose(made, runtime(model, x), rtol=1e-5, atol=1e-6)
    steps = [y for row in x if (y := once.step(row)) is not None]
    assert np.array_equal(made, steps)


def test_the_end_of_a_sequence_is_not_written_before_it_is_known() -> None:
    """All steps but the last one: the last is the data's, and no stream knows which one that is."""
    with pytest.raises(UnsupportedModel, match=r"adds steps to the end.*window=N"):
        importer.read(written("T", "x", 1, -1).SerializeToString())


def test_the_first_steps_of_any_sequence_are_no_sequence_of_their_own() -> None:
    with pytest.raises(UnsupportedModel, match=r"takes steps 0:3:1 of the sequence.*window=N"):
        importer.read(on_gru(cut("x", "s", 0, 3), "T").SerializeToString())


def elements(at: Array, axis: int, reduction: str) -> onnx.ModelProto:
    nodes = [node("ScatterElements", "x at x", "s", axis=axis, reduction=reduction)]
    model = on_gru(nodes, T, at=at)
    model.opset_import[0].version = 18
    return model


@pytest.mark.parametrize("reduction", ["add", "mul", "max", "min"])
def test_writes_that_collide_in_a_step_are_combined(reduction: str) -> None:
    model = elements(np.tile([[[2, 0, 2, 2]]], (T, 1, 1)), 2, reduction)
    x = np.random.default_rng(1).normal(size=(T, SIZE)).astype(np.float32)
    made = Stream(importer.read(model.SerializeToString())).run(x)
    np.testing.assert_allclose(made, runtime(model, x), rtol=1e-5, atol=1e-6)


WRITES = "writes at single steps of a sequence"
OVER_TIME = {
    "scatter_add": (lambda: elements(np.arange(T)[:, None, None].repeat(SIZE, 2) // 3, 0, "add"), WRITES),
    "other features in each step": (
        lambda: elements(np.random.default_rng(5).integers(0, SIZE, (T, 1, SIZE)), 2, "add"),
        WRITES,
    ),
    "one step in the middle": (
        lambda: on_gru([node("ScatterND", "x at new", "s")], T, at=[[7]], new=np.ones((1, 1, SIZE), np.float32)),
        WRITES,
    ),
    "GatherND": (
        lambda: on_gru([node("GatherND", "x at", "s")], T, at=np.arange(T)[::-1, None]),
        "takes steps 19, 18, 17, 16, ... of the sequence",
    ),
    "GatherElements": (
        lambda: on_gru([node("GatherElements", "x at", "s", axis=0)], T, at=np.full((T, 1, SIZE), 3)),
        "picks single steps of a sequence",
    ),
}


@pytest.mark.parametrize("name", OVER_TIME)
def test_what_takes_steps_in_another_order_runs_on_windows(name: str) -> None:
    make, text = OVER_TIME[name]
    model = make()
    with pytest.raises(UnsupportedModel, match=rf"{re.escape(text)}.*window=N"):
        importer.read(model.SerializeToString())
    x = np.random.default_rng(1).normal(size=(T + 3, SIZE)).astype(np.float32)
    made = Stream(importer.read(model.SerializeToString(), window=T)).run(x)
    expected = [runtime(model, x[first : first + T]).reshape(-1) for first in range(4)]
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("length", ["T", T])
def test_places_within_a_step_are_picked_in_each(length: int | str) -> None:
    nodes = [node("Transpose", "x", "t", perm=[2, 0, 1]), node("GatherND", "t at", "p")]
    model = on_gru([*nodes, node("Transpose", "p", "s", perm=[1, 2, 0])], length, at=[[3], [-3], [0], [0]])
    x = np.random.default_rng(1).normal(size=(T, SIZE)).astype(np.float32)
    made = Stream(importer.read(model.SerializeToString())).run(x)
    np.testing.assert_allclose(made, runtime(model, x), rtol=1e-5, atol=1e-6)
