"""Transforms and scattered writes in sequence graphs: what each step sees, what is refused, and what it costs."""

from __future__ import annotations

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

HIDDEN = 5


def runtime(model: onnx.ModelProto, x: Array) -> Array:
    """ONNX Runtime's answers (n, n_out) to a whole sequence."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    return np.asarray(y).reshape(-1, y.shape[-1])


def on_gru(nodes: list[onnx.NodeProto], dims: list[Any], constants: dict[str, Any], size: int) -> onnx.ModelProto:
    """What the nodes make of x, called `s` (steps, 1, size), through a GRU."""
    gru = [node("GRU", "s W R B", "Y", hidden_size=HIDDEN), node("Squeeze", "Y ways", "y")]
    return graph([*nodes, *gru], {"x": dims}, ["y"], {**weights("GRU", size, HIDDEN), "ways": [1], **constants})


@pytest.mark.parametrize("window", [True, False])
def test_a_spectrum_of_a_signal_takes_a_hop_of_samples_a_step(window: bool) -> None:
    nodes = [
        node("STFT", f"x step {'shape' if window else '- length'}", "z"),  # (1, frames, 5, 2)
        node("ReduceL2", "z", "a", axes=[3], keepdims=0),
        node("Transpose", "a", "s", perm=[1, 0, 2]),
    ]
    shape = np.hanning(8).astype(np.float32)
    held = {"step": np.array(4), "length": np.array(8), "shape": shape}
    model = on_gru(nodes, [1, "T", 1], held, 5)
    x = np.random.default_rng(1).normal(size=(1, 84, 1)).astype(np.float32)
    read = importer.read(model.SerializeToString())
    assert (read.hop, read.delay, read.inputs[0].size) == (4, 4, 1)
    stream = Stream(read)
    made = np.concatenate([stream.run(x[0, :13]), stream.run(x[0, 13:])])
    assert not made[0].any()
    np.testing.assert_allclose(made[1:], runtime(model, x), rtol=1e-4, atol=1e-5)


def test_a_spectrum_of_each_step_is_computed_within_it() -> None:
    nodes = [
        node("Unsqueeze", "x last", "r"),  # (T, 1, 9, 1)
        node("DFT", "r", "z", axis=2, onesided=1),
        node("ReduceL2", "z", "s", axes=[3], keepdims=0),
    ]
    model = on_gru(nodes, ["T", 1, 9], {"last": [3]}, 5)
    x = np.random.default_rng(1).normal(size=(30, 1, 9)).astype(np.float32)
    made = Stream(importer.read(model.SerializeToString())).run(x[:, 0])
    np.testing.assert_allclose(made, runtime(model, x), rtol=1e-4, atol=1e-5)


def scattered(indices: Any, updates: str = "u") -> onnx.ModelProto:
    """The last two of four numbers of each step, turned round, in the place of the first two."""
    nodes = [
        node("Transpose", "x", "t", perm=[2, 1, 0]),  # features first: (4, 1, T)
        node("Gather", "t last", "u"),
        node("ScatterND", f"t at {updates}", "w"),
        node("Transpose", "w", "s", perm=[2, 1, 0]),
    ]
    return on_gru(nodes, ["T", 1, 4], {"last": [3, 2], "at": indices}, 4)


@pytest.mark.parametrize("indices", [[[0], [1]], [[-4], [1]], [[2], [2]]])
def test_what_is_written_at_places_of_each_step(indices: Any) -> None:
    model = scattered(np.array(indices))
    x = np.random.default_rng(1).normal(size=(30, 1, 4)).astype(np.float32)
    stream = Stream(importer.read(model.SerializeToString()))
    np.testing.assert_allclose(stream.run(x[:, 0]), runtime(model, x), rtol=1e-5, atol=1e-6)


def elements(axis: int, at: Array) -> onnx.ModelProto:
    held = {"at": at, "new": np.full(at.shape, 0.5, np.float32)}
    return on_gru([node("ScatterElements", "x at new", "s", axis=axis)], ["T", 1, 4], held, 4)


REFUSED = {
    "an index beyond": (lambda: scattered(np.array([[0], [4]])), "an index is outside"),
    "an index too low": (lambda: scattered(np.array([[0], [-5]])), "an index is outside"),
    "a single step": (lambda: elements(0, np.full((1, 1, 4), 7)), "writes at single steps"),
    "the last step": (lambda: elements(0, np.full((1, 1, 4), -1)), "writes at single steps"),
    "over time": (
        lambda: on_gru([node("DFT", "x", "s", axis=0)], ["T", 1, 1], {}, 2),
        "transforms the time axis",
    ),
    "an endless transform": (
        lambda: on_gru([node("DFT", "x n", "s", axis=1)], ["T", 1, 2], {"n": np.array(1 << 40)}, 2),
        "its matrix would hold more than",
    ),
    "no length": (lambda: on_gru([node("STFT", "x n", "s")], [1, "T", 1], {"n": np.array(4)}, 2), "neither a window"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_step_can_have_is_refused(name: str) -> None:
    make, text = REFUSED[name]
    with pytest.raises(UnsupportedModel, match=text):
        importer.read(make().SerializeToString())


def test_one_step_of_a_free_sequence_is_no_frame() -> None:
    """For each length the cell starts anew, from its last step alone: nothing goes on."""
    nodes = [node("Slice", "x low high axis", "last"), node("GRU", "last W R B", "Y", hidden_size=HIDDEN)]
    held = {**weights("GRU", 4, HIDDEN), "low": [-1], "high": [1 << 40], "axis": [0], "ways": [1]}
    model = graph([*nodes, node("Squeeze", "Y ways", "y")], {"x": ["T", 1, 4]}, ["y"], held)
    with pytest.raises(UnsupportedModel, match="on one step of a sequence, 'T', which is free"):
        importer.read(model.SerializeToString())
    assert importer.read(model.SerializeToString(), window=3).window == 3


@pytest.mark.parametrize("dims", [[1, 16, 6], ["batch", 16, 6]])
def test_a_classifier_of_all_steps_and_features_runs_on_windows_of_its_steps(dims: list[Any]) -> None:
    """Flatten and Gemm sum over both: the features come last."""
    held = {"D": np.random.default_rng(1).normal(size=(96, 3)).astype(np.float32)}
    model = graph([node("Flatten", "x", "f"), node("Gemm", "f D", "y")], {"x": dims}, ["y"], held)
    read = importer.read(model.SerializeToString(), window=16)
    assert (read.window, read.inputs[0].size) == (16, 6)
    with pytest.raises(UnsupportedModel, match="nothing tells which axis is time"):
        importer.read(model.SerializeToString(), window=6)


def test_many_matrices_stand_beside_a_sequence() -> None:
    """(T, bands, 1, k) times (bands, k, n) and (1, k, n)."""
    held = {"many": np.random.default_rng(1).normal(size=(3, 4, 5)).astype(np.float32), "split": [0, 3, 1, 4]}
    nodes = [node("Reshape", "x split", "b"), node("MatMul", "b many", "m"), node("Reshape", "m flat", "s")]
    model = on_gru(nodes, ["T", 1, 12], {**held, "flat": [0, 1, 15]}, 15)
    x = np.random.default_rng(1).normal(size=(20, 1, 12)).astype(np.float32)
    made = Stream(importer.read(model.SerializeToString())).run(x[:, 0])
    np.testing.assert_allclose(made, runtime(model, x), rtol=1e-5, atol=1e-6)


T = 12


def everywhere(writes: str) -> onnx.ModelProto:
    """PyTorch's y[..., 1:3] = something at a fixed length: places or values are written out for every step."""
    grid = np.stack(np.meshgrid(np.arange(T), [0], [1, 2], indexing="ij"), axis=-1)  # (T, 1, 2, 3)
    held: dict[str, Any] = {"low": [2], "high": [4], "axis": [2], "zeros": np.zeros((T, 1, 2), np.float32)}
    held |= {"grid": grid, "features": np.array([[1], [2]]), "same": np.zeros((2, T, 1), np.float32)}
    cut = node("Slice", "x low high axis", "u")
    turned = [node("Transpose", "x", "t", perm=[2, 0, 1]), node("ScatterND", "t features same", "w")]
    nodes = {
        "computed values": [cut, node("ScatterND", "x grid u", "s")],
        "constant values": [node("ScatterND", "x grid zeros", "s")],
        "constant values, features first": [*turned, node("Transpose", "w", "s", perm=[1, 2, 0])],
    }[writes]
    return on_gru(nodes, [T, 1, 4], held, 4)


@pytest.mark.parametrize("writes", ["computed values", "constant values", "constant values, features first"])
def test_what_is_written_at_every_step_of_a_fixed_length_is_written_at_each(writes: str) -> None:
    model = everywhere(writes)
    x = np.random.default_rng(1).normal(size=(T, 1, 4)).astype(np.float32)
    read = importer.read(model.SerializeToString())
    assert read.inputs[0].size == 4
    np.testing.assert_allclose(Stream(read).run(x[:, 0]), runtime(model, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("change", ["another place", "another value", "a step left out"])
def test_what_is_not_the_same_at_every_step_is_refused(change: str) -> None:
    model = everywhere("constant values")
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    name = "zeros" if change == "another value" else "grid"
    array = onnx.numpy_helper.to_array(tensors[name]).copy()
    if change == "another place":
        array[5, 0, 1, 2] = 3
    elif change == "another value":
        array[5, 0, 1] = 1
    else:
        array[5, :, :, 0] = 4
    tensors[name].CopyFrom(onnx.numpy_helper.from_array(array, name))
    with pytest.raises(UnsupportedModel, match="writes at single steps"):
        importer.read(model.SerializeToString())
