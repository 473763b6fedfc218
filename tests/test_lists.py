"""Lists of tensors (ONNX's sequences): cut or put together, taken apart and joined, as plain operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from loop_cases import CELL, COUNT, GO, READ, Over
from onnx_cases import Dims, node, on_gru, onnx_runtime
from surroundings import ints

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.layers.definition import run
from edgernn.stream import Stream

CONSTANTS = {"i": np.array(1), "last": np.array(-1), "two": np.array(2), "sizes": ints(1, 3, 1), "none": np.array(3)}
CUT = node("SplitToSequence", "Y", "list", axis=3)
LISTS: dict[str, Sequence[onnx.NodeProto]] = {
    "one each": (CUT, node("SequenceAt", "list i", "y")),
    "one each, without the axis": (
        node("SplitToSequence", "Y", "list", axis=-1, keepdims=0),
        node("SequenceAt", "list last", "y"),
    ),
    "one each, as PyTorch writes them": (
        node("SplitToSequence", "Y i", "list", axis=3, keepdims=0),
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


EMPTY = [*COUNT, node("SequenceEmpty", "", "none")]
APPEND = node("SequenceInsert", "l h2", "l2")


def filling(
    body: Sequence[onnx.NodeProto] = (READ, *CELL, APPEND, GO),
    after: Sequence[onnx.NodeProto] = (node("ConcatFromSequence", "list", "y", axis=0, new_axis=1),),
    before: Sequence[onnx.NodeProto] = EMPTY,
    dims: Dims = ("T", 1, 3),
    shown: Sequence[str] = ("y", "last"),
    made: str = "go_on h2 l2",
) -> Over:
    """A Loop whose turns append the state to a list."""
    return Over(body, "n yes h0 none", "last list", "i c h l", made, before, after, shown, dims)


STEPS = [node("SplitToSequence", "x", "steps", keepdims=0), node("SequenceLength", "steps", "n"), EMPTY[-1]]
FILLED: dict[str, Over] = {
    "stacked": filling(),
    "joined": filling(after=(node("ConcatFromSequence", "list", "y", axis=0),)),
    "joined along an axis from the end": filling(after=(node("ConcatFromSequence", "list", "y", axis=-2),)),
    "stacked along the second axis": filling(
        [
            node("Slice", "x zero_1d end_1d zero_1d one_1d", "all"),
            node("Gather", "all i", "f", axis=1),
            *CELL,
            APPEND,
            GO,
        ],
        (node("ConcatFromSequence", "list", "y", axis=1, new_axis=1),),
        [node("Shape", "x", "s"), node("Gather", "s one", "n"), EMPTY[-1]],
        (1, "T", 3),
    ),
    "its last part": filling(after=(node("SequenceAt", "list minus", "y"),)),
    "read twice": filling(
        after=(
            node("ConcatFromSequence", "list", "a", axis=0, new_axis=1),
            node("SequenceAt", "list minus", "b"),
            node("Add", "a a", "y"),
            node("Tanh", "b", "z"),
        ),
        shown=("y", "z"),
    ),
    "under another name": filling(
        [READ, *CELL, node("SequenceInsert", "l h2", "m"), node("Identity", "m", "l2"), GO],
    ),
    "of steps from a list": filling([node("SequenceAt", "steps i", "f"), *CELL, APPEND, GO], before=STEPS),
    "of steps of one entry from a list": filling(
        [node("SequenceAt", "steps i", "f3"), node("Squeeze", "f3 zero_1d", "f"), *CELL, APPEND, GO],
        before=[node("SplitToSequence", "x one", "steps"), *STEPS[1:]],
    ),
    "of steps from a list as PyTorch writes it": filling(
        [node("SequenceAt", "steps i", "f"), *CELL, APPEND, GO],
        before=[node("SplitToSequence", "x one", "steps", keepdims=0), *STEPS[1:]],
    ),
}


def close(case: Over, length: int, window: int | None = None) -> bool:
    """Whether a loop answers as ONNX Runtime does at a sequence of this length."""
    made = case.model()
    x = np.random.default_rng(5).uniform(-1, 1, (length, 3)).astype(np.float32)
    model = importer.read(made.SerializeToString(), window=window)
    found = run(model, x)
    answers = found if isinstance(found, dict) else {model.outputs[0].name: found}
    shape = tuple(length if n == "T" else int(n) for n in case.dims)
    expected = {name: y.reshape(-1, 5) for name, y in onnx_runtime(made, {"x": x.reshape(shape)}).items()}
    return all(np.abs(answers[name].reshape(-1, 5)[-len(y) :] - y).max() < 1e-5 for name, y in expected.items())


@pytest.mark.parametrize("name", FILLED)
def test_a_list_that_a_loop_fills_is_a_sequence(name: str) -> None:
    assert all(close(FILLED[name], length) for length in (1, 2, 7))
    assert close(FILLED[name], 7, window=7)


OTHER: dict[str, Over] = {
    "at the front": filling([READ, *CELL, node("SequenceInsert", "l h2 zero", "l2"), GO]),
    "twice a turn": filling(
        [READ, *CELL, node("SequenceInsert", "l h2", "m"), node("SequenceInsert", "m h2", "l2"), GO]
    ),
    "read in the loop": filling([READ, *CELL, APPEND, node("SequenceAt", "l2 minus", "g"), GO], made="go_on g l2"),
    "not appended": filling([READ, *CELL, APPEND, node("Identity", "l", "m"), GO], made="go_on h2 m"),
    "not empty at first": filling(before=[*COUNT, node("SequenceConstruct", "h0", "none")]),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_list_that_is_filled_otherwise_is_refused_with_what_works(name: str) -> None:
    with pytest.raises(
        UnsupportedModel, match=r"Sequence.* not supported -> use lists only so: append one tensor a turn"
    ):
        importer.read(OTHER[name].model().SerializeToString())


def test_parts_that_are_longer_are_not_joined_step_by_step() -> None:
    case = filling(after=(node("ConcatFromSequence", "list", "y", axis=1),))
    with pytest.raises(UnsupportedModel, match="ConcatFromSequence_y"):
        importer.read(case.model().SerializeToString())


@pytest.mark.parametrize("axis", [1 << 62, -(1 << 63), 5])
def test_an_axis_that_is_none_is_refused(axis: int) -> None:
    case = filling(after=(node("ConcatFromSequence", "list", "y", axis=axis, new_axis=1),))
    with pytest.raises(UnsupportedModel, match=r"along axis 5|use lists only so"):
        importer.read(case.model().SerializeToString())
