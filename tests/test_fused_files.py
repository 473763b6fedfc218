"""Nodes of com.microsoft that ONNX Runtime's optimiser writes, and branches that only a frame decides on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx_cases import graph, node, weights

import edgernn
from edgernn.importer.file.read import ADOPTED

T, N, H = 30, 6, 8


def fused(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    made = node(kind, inputs, outputs, **attributes)
    made.domain = "com.microsoft"
    return made


def constants() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    shapes = {
        "D": (H, H), "d": (H,), "gamma": (H,), "beta": (H,), "K": (H, H, 3), "one": (1, 1, H)
    }  # fmt: skip
    held = {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    return {**weights("GRU", N, H), **held, "axis": np.array([1])}


GRU = [node("GRU", "x W R B", "Y", hidden_size=H, linear_before_reset=1), node("Squeeze", "Y axis", "h")]
TURNED = [node("Transpose", "h", "c", perm=[1, 2, 0])]
GRAPHS = {
    "FusedMatMul": [fused("FusedMatMul", "h D", "y", alpha=0.5, transB=1)],
    "FusedGemm": [
        node("Squeeze", "h axis", "f"),
        fused("FusedGemm", "f D d", "y", transB=1, activation="LeakyRelu", activation_alpha=0.2),
    ],
    **{
        f"FusedGemm, {name}": [
            node("Squeeze", "h axis", "f"),
            fused("FusedGemm", "f D d", "y", activation=name, **parameters),
        ]
        for name, parameters in (
            ("Selu", {"activation_alpha": 1.6732632, "activation_gamma": 1.050701}),
            ("Elu", {"activation_alpha": 0.7}),
            ("Softplus", {}),
            ("Softsign", {}),
            ("ThresholdedRelu", {"activation_alpha": 0.1}),
        )
    },
    "FusedConv": [*TURNED, fused("FusedConv", "c K d", "y", pads=[2, 0], activation="Relu")],
    "FusedConv, a sum and two parameters": [
        *TURNED, fused("FusedConv", "c K d c", "y", pads=[2, 0], activation="Clip", activation_params=[-0.5, 0.4]),
    ],
    "Gelu": [fused("Gelu", "h", "y")],
    "QuickGelu": [fused("QuickGelu", "h", "y", alpha=1.3)],
    "FastGelu": [fused("FastGelu", "h d", "y")],
    "BiasGelu": [fused("BiasGelu", "h d", "y")],
    "SimplifiedLayerNormalization": [node("SimplifiedLayerNormalization", "h gamma", "y", axis=-1, epsilon=1e-5)],
    "SkipSimplifiedLayerNormalization": [
        node("Add", "h one", "s"),
        fused("SkipSimplifiedLayerNormalization", "h s gamma d", "n - - z", epsilon=1e-5),
        node("Add", "n z", "y"),
    ],
    "SkipLayerNormalization": [
        node("Add", "h one", "s"),
        fused("SkipLayerNormalization", "h s gamma beta d", "n - - z", epsilon=1e-5),
        node("Add", "n z", "y"),
    ],
}  # fmt: skip


def model(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    made = graph([*GRU, *nodes], {"x": [T, 1, N]}, ["y"], constants())
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return made


def compare(made: onnx.ModelProto, path: Path) -> None:
    """The streamed answers are ONNX Runtime's."""
    onnx.save(made, path)
    x = np.random.default_rng(3).normal(size=(T, N)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    runtime = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (expected,) = runtime.run(None, {"x": x[:, None]})
    if expected.shape[-1] == T:
        expected = expected.transpose(2, 0, 1)
    np.testing.assert_allclose(edgernn.convert(path).stream().run(x), expected.reshape(T, -1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_answers_are_those_of_onnx_runtime(name: str, tmp_path: Path) -> None:
    compare(model(GRAPHS[name]), tmp_path / "m.onnx")


def test_every_operator_that_is_not_onnx_s_is_tried() -> None:
    tried = {name.partition(",")[0] for name in GRAPHS} - {"SimplifiedLayerNormalization"}  # which is in no domain
    assert tried | {"DynamicQuantizeLSTM"} == ADOPTED  # which test_quantised_files tries


def test_what_is_fused_otherwise_is_refused_by_name(tmp_path: Path) -> None:
    for nodes, text in (
        ([*TURNED, fused("FusedConv", "c K d", "y", pads=[2, 0], activation="Sine")], "activation=Sine"),
        ([fused("Inverse", "h", "y")], "com.microsoft"),
    ):
        onnx.save(model(nodes), tmp_path / "m.onnx")
        with pytest.raises(edgernn.UnsupportedModel, match=text):
            edgernn.convert(tmp_path / "m.onnx")


@pytest.mark.parametrize("turned", [0, 1])
def test_attention_whose_heads_stand_beside_each_other_runs_on_windows(turned: int, tmp_path: Path) -> None:
    """Two heads of four numbers, in the middle axis: FusedMatMul moves the steps behind them."""
    nodes = [
        node("Reshape", "h heads", "q"),  # (T, 2, 4)
        fused("FusedMatMul", "q q", "scores", transBatchA=1, transBatchB=1, transB=1, alpha=0.5),  # (2, T, T)
        node("Softmax", "scores", "w", axis=-1),
        node("Transpose", "w", "v", perm=[0, 2, 1] if turned else [0, 1, 2]),
        fused("FusedMatMul", "v q", "y", transBatchB=1, transA=turned),  # (2, T, 4)
    ]
    made = graph([*GRU, *nodes], {"x": [T, 1, N]}, ["y"], {**constants(), "heads": [T, 2, 4]})
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(made, tmp_path / "m.onnx")
    x = np.random.default_rng(3).normal(size=(T, N)).astype(np.float32)
    runtime = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = runtime.run(None, {"x": x[:, None]})
    answers = edgernn.convert(tmp_path / "m.onnx", window=T).stream().run(x)
    np.testing.assert_allclose(answers, expected.reshape(1, -1), rtol=1e-5, atol=1e-5)


def branch(name: str, *nodes: onnx.NodeProto, shape: tuple[int, ...] = (1, H)) -> onnx.GraphProto:
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)])


def step(then: onnx.GraphProto, otherwise: onnx.GraphProto) -> onnx.ModelProto:
    """A step graph that takes another way where its largest hidden number is above 0.6."""
    nodes = [
        node("Unsqueeze", "state axis", "s"),
        node("Unsqueeze", "x axis", "xt"),
        node("GRU", "xt W R B - s", "- hn", hidden_size=H, linear_before_reset=1),
        node("Squeeze", "hn axis", "state_out"),
        node("ReduceMax", "state_out", "top", keepdims=0),
        node("Greater", "top limit", "high"),
        node("If", "high", "y", then_branch=then, else_branch=otherwise),
    ]
    held = {**constants(), "axis": np.array([0]), "limit": np.array(0.6, np.float32)}
    return graph(nodes, {"x": [1, N], "state": [1, H]}, ["y", "state_out"], held)


def test_a_branch_that_a_frame_decides_on_is_taken_frame_by_frame(tmp_path: Path) -> None:
    then, otherwise = branch("a", node("MatMul", "state_out D", "a")), branch("b", node("Neg", "state_out", "b"))
    made = step(then, otherwise)
    onnx.save(made, tmp_path / "m.onnx")
    x = np.random.default_rng(3).normal(size=(60, N)).astype(np.float32)
    runtime, state, expected, ways = (
        onnxruntime.InferenceSession(made.SerializeToString()),
        np.zeros((1, H), "f4"),
        [],
        set(),
    )
    for row in x:
        y, state = runtime.run(None, {"x": row[None], "state": state})
        expected.append(y[0])
        ways.add(bool(state.max() > 0.6))
    assert ways == {True, False}
    stream = edgernn.convert(tmp_path / "m.onnx").stream()
    np.testing.assert_allclose(stream.run(x), expected, rtol=1e-5, atol=1e-6)


def test_branches_of_other_shapes_are_refused(tmp_path: Path) -> None:
    then = branch("a", node("ReduceSum", "state_out", "a"), shape=(1, 1))
    onnx.save(step(then, branch("b", node("Neg", "state_out", "b"))), tmp_path / "m.onnx")
    with pytest.raises(edgernn.UnsupportedModel, match="known only at run time"):
        edgernn.convert(tmp_path / "m.onnx")


def test_what_counts_numbers_that_are_not_0_is_a_sum(tmp_path: Path) -> None:
    """A state that is all zeros is taken for another start: y = where(count_nonzero(state) == 0, 1, state) + x."""
    nodes = [
        node("NonZero", "state", "places"),
        node("Shape", "places", "sizes"),
        node("Gather", "sizes last", "count"),
        node("Equal", "count none", "fresh"),
        node("Where", "fresh ones state", "start"),
        node("Gemm", "x D d", "m", transB=1),
        node("Add", "start m", "sum"),
        node("Tanh", "sum", "state_out"),
        node("Neg", "state_out", "y"),
    ]
    held = {"last": np.array(1), "none": np.array(0), "ones": np.ones((1, H), np.float32), "d": constants()["d"]}
    held["D"] = np.random.default_rng(1).normal(size=(H, N)).astype(np.float32)
    made = graph(nodes, {"x": [1, N], "state": [1, H]}, ["y", "state_out"], held)
    onnx.save(made, tmp_path / "m.onnx")
    runtime, state, expected = onnxruntime.InferenceSession(made.SerializeToString()), np.zeros((1, H), "f4"), []
    x = np.random.default_rng(3).normal(size=(20, N)).astype(np.float32)
    for row in x:
        y, state = runtime.run(None, {"x": row[None], "state": state})
        expected.append(y[0])
    stream = edgernn.convert(tmp_path / "m.onnx").stream()
    np.testing.assert_allclose(stream.run(x), expected, rtol=1e-5, atol=1e-6)
