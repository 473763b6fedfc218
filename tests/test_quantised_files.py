"""Files that ONNX Runtime's quantisers wrote: weights in 8 bits as they are, and activations as far as a stream can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from dequantised import dequantised
from onnx_cases import graph, node, weights

import edgernn
from edgernn.conversion.parity import parity
from edgernn.importer import analyse
from edgernn.layers.base import Array

N_IN, HIDDEN, T = 6, 5, 40
LSTM = node("LSTM", "xt W R B", "Y", hidden_size=HIDDEN)
SEQUENCE = [node("Transpose", "x", "xt", perm=[1, 0, 2]), LSTM, node("Squeeze", "Y one", "h")]
DENSE = [node("MatMul", "h D", "m"), node("Add", "m d", "y")]


def held(n_in: int = N_IN) -> dict[str, Any]:
    """Weights of the LSTM and of the dense layer behind it."""
    rng = np.random.default_rng(1)
    dense = {"D": rng.normal(size=(HIDDEN, 4)).astype(np.float32), "d": rng.normal(size=4).astype(np.float32)}
    return {**weights("LSTM", n_in, HIDDEN), **dense, "one": np.array([1])}


def answers(model: onnx.ModelProto, x: Array) -> Array:
    """(T, n): ONNX Runtime's answers."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    runtime = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(runtime.run(None, {runtime.get_inputs()[0].name: x[None]})[0]).reshape(len(x), -1)


def quantised(model: onnx.ModelProto, folder: Path, **given: Any) -> Path:
    """The file that quantize_dynamic makes of a model."""
    from onnxruntime.quantization import quantize_dynamic

    onnx.save(model, folder / "float.onnx")
    quantize_dynamic(folder / "float.onnx", folder / "int8.onnx", **given)
    return folder / "int8.onnx"


def dense_lstm() -> onnx.ModelProto:
    return graph([*SEQUENCE, *DENSE], {"x": [1, "time", N_IN]}, ["y"], held())


def convolved() -> onnx.ModelProto:
    rng = np.random.default_rng(2)
    k = {"K": rng.normal(size=(N_IN, N_IN, 3)).astype(np.float32), "k": rng.normal(size=N_IN).astype(np.float32)}
    nodes = [
        node("Transpose", "x", "c", perm=[0, 2, 1]),
        node("Conv", "c K k", "a", pads=[2, 0]),
        node("Transpose", "a", "xt", perm=[2, 0, 1]),
    ]
    return graph([*nodes, *SEQUENCE[1:], *DENSE], {"x": [1, "time", N_IN]}, ["y"], {**held(), **k})


def tagger() -> onnx.ModelProto:
    table = {"table": np.random.default_rng(3).normal(size=(11, N_IN)).astype(np.float32)}
    nodes = [node("Gather", "table tokens", "x"), *SEQUENCE, *DENSE]
    return graph(nodes, {"tokens": [1, "time"]}, ["y"], {**held(), **table}, integers=["tokens"])


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("make", [dense_lstm, convolved, tagger], ids=lambda make: str(make.__name__))
def test_dynamic_files_are_the_float_graph_with_their_weights(make: Any, per_channel: bool, tmp_path: Path) -> None:
    path = quantised(make(), tmp_path, per_channel=per_channel, reduce_range=True)  # else it saturates without VNNI
    file = onnx.load(path)
    kinds = {n.op_type for n in file.graph.node}
    assert {"DynamicQuantizeLSTM", "MatMulInteger"} <= kinds
    model = edgernn.convert(path)
    assert any("quantised at run time" in note for note in model.origin["notes"])
    rng = np.random.default_rng(4)
    x = rng.integers(0, 11, T) if make is tagger else rng.standard_normal((T, N_IN)).astype(np.float32)
    expected = answers(dequantised(file), x)
    assert np.abs(model.stream().run(x) - expected).max() < 1e-5
    (found,) = parity(model, path, steps=200).values()
    assert 20 < found.snr < 80, "ONNX Runtime rounds the activations"


def test_a_window_tells_of_its_rounding_too(tmp_path: Path) -> None:
    model = edgernn.convert(quantised(dense_lstm(), tmp_path), window=8)
    assert any("quantised at run time" in note for note in model.origin["notes"])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
@pytest.mark.parametrize("each", [False, True])
def test_fixed_scales_round_and_saturate_as_the_file_says(dtype: Any, each: bool) -> None:
    rng, low = np.random.default_rng(5), np.iinfo(dtype).min
    scale = (rng.uniform(0.01, 0.03, HIDDEN) if each else np.array(0.02)).astype(np.float32)
    scale = scale / 256 if dtype == np.int16 else scale
    point = np.full(scale.shape, low // 2 + 70, dtype)
    nodes = [
        *SEQUENCE,
        node("QuantizeLinear", "h s p", "q", axis=2),
        node("DequantizeLinear", "q s p", "r", axis=2),
        node("MatMul", "r D", "m"),
        node("Add", "m d", "y"),
    ]
    constants = {**held(), "s": scale, "p": point, "W": 4 * held()["W"]}
    model = graph(nodes, {"x": [1, "time", N_IN]}, ["y"], constants, opset=21)
    x = rng.standard_normal((T, N_IN)).astype(np.float32)
    report = analyse(model.SerializeToString())
    assert report.model is not None and not report.notes
    found, expected = report.model.stream().run(x), answers(model, x)
    rounded = np.abs(found - expected).max(axis=1) >= 1e-5  # a number that stood on the edge between two
    assert rounded.mean() < 0.06 and np.abs(found - expected)[~rounded].max() < 1e-5


def test_rounding_at_run_time_is_refused_where_no_product_follows() -> None:
    nodes = [*SEQUENCE, node("DynamicQuantizeLinear", "h", "q s p"), node("DequantizeLinear", "q s p", "y")]
    (problem,) = analyse(graph(nodes, {"x": [1, "time", N_IN]}, ["y"], held()).SerializeToString()).problems
    assert problem.operator == "DynamicQuantizeLinear" and "something else than a product" in problem.what


def test_what_is_quantised_otherwise_is_refused() -> None:
    nodes = [
        *SEQUENCE,
        node("QuantizeLinear", "h s", "q", block_size=5, axis=2, output_dtype=3),
        node("DequantizeLinear", "q s", "y", axis=2, block_size=5),
    ]
    constants = {**held(), "s": np.ones((1, 1, 1), np.float32)}
    model = graph(nodes, {"x": [1, "time", N_IN]}, ["y"], constants, opset=21)
    (problem,) = analyse(model.SerializeToString()).problems
    assert problem.operator == "QuantizeLinear" and "block_size=5" in problem.what and "--quantize" in problem.remedy
