"""What exporters write out in plain operators, or optimisers in their own: tokens as one-hot rows, and last steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx_cases import graph, node, on_gru, onnx_runtime, weights
from surroundings import ints

from edgernn import importer
from edgernn.conversion.parity import parity
from edgernn.errors import BadInput, UnsupportedModel
from edgernn.layers.definition import run
from edgernn.stream import Stream

WORDS = 7
TO_FLOAT = node("Cast", "hot", "e", to=TensorProto.FLOAT)
ONE_HOT = {  # x (1, T) -> e (1, T, WORDS), as both of PyTorch's exporters write F.one_hot
    "OneHot": [node("OneHot", "x words ends", "hot", axis=-1), TO_FLOAT],
    "OneHot before time": [
        node("OneHot", "x words ends", "h", axis=0),
        node("Transpose", "h", "hot", perm=[1, 2, 0]),
        TO_FLOAT,
    ],
    "Equal": [
        node("Unsqueeze", "x last", "u"),
        node("Equal", "u all", "told"),
        node("Cast", "told", "hot", to=TensorProto.INT64),
        TO_FLOAT,
    ],
}
HELD = {"words": np.array(WORDS), "ends": ints(0, 1), "last": ints(-1), "all": np.arange(WORDS)}


def of_tokens(name: str) -> onnx.ModelProto:
    nodes = [*ONE_HOT[name], node("Transpose", "e", "t", perm=[1, 0, 2])]
    nodes += [node("LSTM", "t W R B", "y", hidden_size=4)]
    return graph(nodes, {"x": (1, "T")}, ["y"], weights("LSTM", WORDS, 4) | HELD, integers=["x"])


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("name", ONE_HOT)
def test_a_token_may_be_a_row_of_ones(name: str, window: int | None) -> None:
    source = of_tokens(name)
    model = importer.read(source.SerializeToString(), window=window)
    assert (model.inputs[0].dtype, model.inputs[0].high) == ("int64", WORDS - 1)
    x = np.array([3, 0, 6, 1, 1, 5, -1, -7, 2], np.int64)  # a negative one counts from the end, or equals none
    made, definition = Stream(model).run(x), run(model, x)
    ends = [len(x)] if window is None else range(window, len(x) + 1)
    for row, end in enumerate(ends):
        y = onnx_runtime(source, {"x": x[None, end - (window or end) : end]})["y"]
        expected = y.reshape(len(y), -1) if window is None else y.reshape(-1)
        for answers in (made, definition):
            assert np.abs((answers if window is None else answers[row]) - expected).max() < 1e-5
    with pytest.raises(BadInput, match="token"):
        Stream(model).run(np.array([WORDS]))


def test_a_whole_number_of_a_frame_that_is_no_token_is_compared_as_one() -> None:
    nodes = [node("Cast", "x", "i", to=TensorProto.INT64), node("Equal", "i all", "told")]
    nodes += [node("Cast", "told", "e", to=TensorProto.FLOAT), node("GRU", "e W R B", "y", hidden_size=4)]
    source = graph(nodes, {"x": ("T", 1, WORDS)}, ["y"], weights("GRU", WORDS, 4) | HELD)
    x = np.random.default_rng(0).uniform(0, WORDS, (9, 1, WORDS)).astype(np.float32)
    made = Stream(importer.read(source.SerializeToString())).run(x[:, 0])
    assert np.abs(made - onnx_runtime(source, {"x": x})["y"].reshape(9, -1)).max() < 1e-5


def last(count: int, *then: onnx.NodeProto, before: tuple[onnx.NodeProto, ...] = (), **held: Any) -> onnx.ModelProto:
    """The last steps of what a GRU makes, which is (T, 1, 1, 5), and what follows."""
    source = before[-1].output[0] if before else "Y"
    cut = node("Slice", f"{source} from to zero", "last" if then else "y")
    return on_gru(*before, cut, *then, constants={"from": ints(-count), "to": ints(2**63 - 1), "zero": ints(0)} | held)


LAST = {
    "themselves": last(3),
    "their mean": last(4, node("ReduceMean", "last", "y", axes=[0])),
    "through a weight": last(
        2,
        node("Reshape", "last flat", "f"),
        node("MatMul", "f w", "y"),
        flat=ints(1, 10),
        w=np.random.default_rng(0).uniform(-1, 1, (10, 3)).astype(np.float32),
    ),
    "of every second": last(
        3,
        before=(node("Slice", "Y zero to zero two", "h"),),
        two=ints(2),
    ),
}


@pytest.mark.parametrize("name", LAST)
def test_the_last_steps_are_those_until_now(name: str, tmp_path: Any) -> None:
    source = LAST[name]
    report = importer.analyse(source.SerializeToString())
    assert report.model is not None and "have not come yet are zero" in " ".join(report.notes)
    x = np.random.default_rng(1).uniform(-1, 1, (12, 3)).astype(np.float32)
    made, definition = Stream(report.model).run(x), run(report.model, x)
    for row, end in enumerate(range(report.model.hop, 13, report.model.hop)):
        if end < report.model.receptive_field:
            continue
        expected = onnx_runtime(source, {"x": x[:end, None]})["y"].reshape(-1)
        assert np.abs(made[row] - expected).max() < 1e-5 and np.abs(definition[row] - expected).max() < 1e-5
    onnx.save(source, tmp_path / "m.onnx")
    assert all(found.max_error < 1e-5 for found in parity(report.model, tmp_path / "m.onnx", steps=40).values())


def test_last_steps_behind_padding_are_refused() -> None:
    pads = node("Pad", "Y ends", "p")
    with pytest.raises(UnsupportedModel, match="the sequence ends with padding that a stream never sees"):
        importer.read(last(2, before=(pads,), ends=ints(0, 0, 0, 0, 1, 0, 0, 0)).SerializeToString())


def test_one_half_of_the_sequence_is_refused_by_name() -> None:
    nodes = [node("Squeeze", "Y middle", "s"), node("Trilu", "s", "y")]
    with pytest.raises(UnsupportedModel, match=r"Trilu 'Trilu_y': cuts a triangle .* window=N"):
        importer.read(on_gru(*nodes, constants={"middle": ints(1, 2)}).SerializeToString())


def test_channels_become_steps() -> None:
    """DepthToSpace with time along its width: two steps of each, as a convolution over sub-pixels has it."""
    nodes = [node("DepthToSpace", "x", "d", blocksize=2), node("Transpose", "d", "t", perm=[3, 0, 1, 2])]
    nodes += [node("Reshape", "t rows", "r"), node("GRU", "r W R B", "y", hidden_size=4)]
    source = graph(nodes, {"x": (1, 8, 1, "T")}, ["y"], weights("GRU", 4, 4) | {"rows": ints(-1, 1, 4)})
    x = np.random.default_rng(2).uniform(-1, 1, (1, 8, 1, 6)).astype(np.float32)
    made = Stream(importer.read(source.SerializeToString())).run(np.ascontiguousarray(x[0, :, 0].T))
    assert np.abs(made.reshape(12, 4) - onnx_runtime(source, {"x": x})["y"].reshape(12, 4)).max() < 1e-5
