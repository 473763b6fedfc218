"""Lists of tensors (ONNX's sequences): cut or put together, taken apart and joined, as plain operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx_cases import node, on_gru, onnx_runtime
from surroundings import ints

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.stream import Stream

CONSTANTS = {"i": np.array(1), "last": np.array(-1), "two": np.array(2), "sizes": ints(1, 3, 1), "none": np.array(3)}
CUT = node("SplitToSequence", "Y", "list", axis=3)
LISTS: dict[str, Sequence[onnx.NodeProto]] = {
    "one each": (CUT, node("SequenceAt", "list i", "y")),
    "one each, without the axis": (
        node("SplitToSequence", "Y", "list", axis=-1, keepdims=0),
        node("SequenceAt", "list last", "y"),
    ),
    "of one size": (node("SplitToSequence", "Y two", "list", axis=3), node("SequenceAt", "list i", "y")),
    "of a size with a rest": (node("SplitToSequence", "Y two", "list", axis=3), node("SequenceAt", "list two", "y")),
    "of these sizes": (node("SplitToSequence", "Y sizes", "list", axis=3), node("SequenceAt", "list last", "y")),
    "put together": (
        CUT,
        node("SequenceAt", "list i", "a"),
        node("SequenceAt", "list last", "b"),
        node("SequenceConstruct", "a b Y", "parts"),
        node("ConcatFromSequence", "parts", "y", axis=3),
    ),
    "stacked": (
        node("Tanh", "Y", "t"),
        node("SequenceConstruct", "t Y", "parts"),
        node("ConcatFromSequence", "parts", "y", axis=-1, new_axis=1),
    ),
    "one of those put together": (
        node("Tanh", "Y", "t"),
        node("SequenceConstruct", "t Y", "parts"),
        node("SequenceAt", "parts last", "y"),
    ),
}


@pytest.mark.parametrize("case", LISTS.values(), ids=LISTS)
def test_a_list_becomes_plain_operators(case: Sequence[onnx.NodeProto]) -> None:
    used = {name: CONSTANTS[name] for name in CONSTANTS if any(name in made.input for made in case)}
    file = on_gru(*case, constants=used)
    x = np.random.default_rng(0).standard_normal((7, 1, 3)).astype(np.float32)
    answers = Stream(importer.read(file.SerializeToString())).run(x[:, 0])
    assert np.abs(answers.reshape(-1) - onnx_runtime(file, {"x": x})["y"].reshape(-1)).max() < 1e-5


def test_other_lists_are_refused() -> None:
    made = node("SplitToSequence", "Y two", "list", axis=3), node("SequenceAt", "list last", "y")
    file = on_gru(*made, constants={"two": CONSTANTS["two"], "last": CONSTANTS["last"]})
    with pytest.raises(UnsupportedModel, match=r"SplitToSequence .* not supported"):
        importer.read(file.SerializeToString())
