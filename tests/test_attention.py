"""Attention over time: sums weighted by a softmax over all steps, answered as if the sequence ended here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx_cases import GRU, graph, node, on_gru, onnx_runtime
from surroundings import ints, some

from edgernn.errors import UnsupportedModel
from edgernn.importer import read
from edgernn.quantiser import quantise
from edgernn.quantiser.drift import drift
from edgernn.stream import Stream

STEPS = 40
CONSTANTS = {
    "w": some(5, 1) * 8, "w3": some(5, 3) * 3, "first": ints(0), "last": ints(2), "two": ints(1), "flat": ints(-1, 5),
    "flat1": ints(-1), "column": ints(1, -1, 1), "sizes": ints(1, -1, 5), "large": np.float32(300),
}  # fmt: skip
H = node("Reshape", "Y sizes", "h")  # (1, T, 5)
SCORES = [H, node("MatMul", "h w", "e")]  # (1, T, 1)
WEIGHTS = [*SCORES, node("Softmax", "e", "a", axis=1)]
SUM = node("ReduceSum", "p two", "y", keepdims=0)
CASES = {
    "product and sum": [*WEIGHTS, node("Mul", "a h", "p"), SUM],
    "the sequence first, the axis kept": [*WEIGHTS, node("Mul", "h a", "p"), node("ReduceSum", "p two", "y")],
    "matrix product": [*WEIGHTS, node("Transpose", "a", "at", perm=[0, 2, 1]), node("MatMul", "at h", "y")],
    "matrix product from the right": [
        *WEIGHTS, node("Transpose", "h", "ht", perm=[0, 2, 1]), node("MatMul", "ht a", "y"),
    ],
    "three heads": [
        H, node("MatMul", "h w3", "e"), node("Softmax", "e", "a", axis=1), node("Transpose", "a", "at", perm=[0, 2, 1]),
        node("MatMul", "at h", "y"),
    ],
    "scores without their axis": [
        *SCORES, node("Squeeze", "e last", "s"), node("Softmax", "s", "b", axis=-1), node("Unsqueeze", "b last", "a"),
        node("Mul", "a h", "p"), SUM,
    ],
    "scores reshaped": [
        *SCORES, node("Reshape", "e flat1", "s"), node("Softmax", "s", "b", axis=0), node("Reshape", "b column", "a"),
        node("Mul", "a h", "p"), SUM,
    ],
    "mean and deviation": [
        *WEIGHTS, node("Mul", "a h", "p"), node("ReduceSum", "p two", "m", keepdims=0), node("Mul", "p h", "q"),
        node("ReduceSum", "q two", "s", keepdims=0), node("Mul", "m m", "mm"), node("Sub", "s mm", "v"),
        node("Concat", "m v", "y", axis=1),
    ],
    "scores far apart": [
        H, node("MatMul", "h w", "u"), node("Mul", "u large", "e"), node("Softmax", "e", "a", axis=1),
        node("Mul", "a h", "p"), SUM,
    ],
}  # fmt: skip


def attending(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    used = {name for one in nodes for name in one.input}
    return on_gru(*nodes, constants={name: value for name, value in CONSTANTS.items() if name in used})


def frames() -> np.ndarray:
    return np.random.default_rng(4).standard_normal((STEPS, 1, 3)).astype(np.float32) * 2


@pytest.mark.parametrize("name", CASES)
def test_every_answer_is_that_of_the_sequence_so_far(name: str) -> None:
    source, x = attending(CASES[name]), frames()
    answers = Stream(read(source.SerializeToString())).run(x.reshape(STEPS, 3))
    for length in (1, 2, 7, STEPS):
        expected = onnx_runtime(source, {"x": x[:length]})["y"].reshape(-1)
        assert np.abs(answers[length - 1] - expected).max() < 1e-5, length


def test_it_can_be_quantised() -> None:
    model = read(attending(CASES["three heads"]).SerializeToString())
    x = frames().reshape(STEPS, 3)
    assert drift(Stream(quantise(model)).run(x), Stream(model).run(x)).snr > 25


def test_strides_and_lookahead_before_it() -> None:
    """Steps that come late, two at once, of which the first evaluation holds none."""
    rng = np.random.default_rng(8)
    nodes = [
        node("Conv", "x k", "c", strides=[1], pads=[0, 0]), node("MaxPool", "c", "d", kernel_shape=[2], strides=[2]),
        node("Transpose", "d", "t", perm=[2, 0, 1]), node("GRU", "t W R B", "Y", hidden_size=5),
        *CASES["product and sum"],
    ]  # fmt: skip
    held = {**GRU, "k": rng.normal(size=(3, 3, 4)).astype(np.float32)}
    used = {name for one in nodes for name in one.input}
    held |= {name: value for name, value in CONSTANTS.items() if name in used}
    source = graph(nodes, {"x": (1, 3, "T")}, ["y"], held)
    model, x = read(source.SerializeToString()), frames()[:, 0]
    answers = Stream(model).run(x)
    for length in (STEPS, STEPS - 10):
        expected = onnx_runtime(source, {"x": np.ascontiguousarray(x[:length].T[None])})["y"].reshape(-1)
        assert np.abs(answers[length // 2 - 1] - expected).max() < 1e-5


REFUSED: dict[str, Callable[[], list[onnx.NodeProto]]] = {
    "the weights are an answer": lambda: [*WEIGHTS, node("Identity", "a", "y")],
    "the weighted steps are": lambda: [*WEIGHTS, node("Mul", "a h", "y")],
    "weights of weights": lambda: [*WEIGHTS, node("Mul", "a a", "p"), SUM],
    "a sum over something else": lambda: [*WEIGHTS, node("Mul", "a h", "p"), node("ReduceSum", "p last", "y")],
    "a function of the weights": lambda: [*WEIGHTS, node("Sqrt", "a", "r"), node("Mul", "r h", "p"), SUM],
}


@pytest.mark.parametrize("name", REFUSED)
def test_weights_by_themselves_cannot_be_had(name: str) -> None:
    with pytest.raises(UnsupportedModel, match="Softmax 'Softmax_a': runs over the time axis"):
        read(attending(REFUSED[name]()).SerializeToString())
