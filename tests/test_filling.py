"""Loops that write each step into a tensor made before, as scripted PyTorch does (`out[:, t] = h`): a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
import pytest
from loop_cases import CELL, CONSTANTS, COUNT, GO, READ, Over, subgraph
from onnx_cases import node, onnx_runtime
from surroundings import ints

from edgernn.errors import UnsupportedModel
from edgernn.importer import read
from edgernn.stream import Stream

CONSTANTS |= {"five_1d": ints(5), "whole": ints(1, 1, 5), "pair": ints(1, 1), "batch": np.array([[[0]]])}
Nodes = Sequence[onnx.NodeProto]
ROOM = [  # zeros (T, 1, 5)
    node("Unsqueeze", "n zero_1d", "n1"), node("Concat", "n1 one_1d five_1d", "size", axis=0),
    node("ConstantOfShape", "size", "room"),
]  # fmt: skip
AT = [node("Unsqueeze", "i zero_1d", "i1"), node("Unsqueeze", "i1 zero_1d", "at")]  # [[i]]
SLICE = node("Unsqueeze", "h2 zero_1d", "u")


def filling(body: Nodes, room: Nodes = ROOM, outputs: str = "last ys", made: str = "go_on h2 o2") -> Over:
    """A plain RNN that writes its states into `o`, which is `o2` afterwards."""
    nodes = [READ, *CELL, *body, GO]
    return Over(nodes, "n yes h0 room", outputs, "i c h o", made, [*COUNT, *room])


BATCH_FIRST = [*ROOM[:1], node("Concat", "one_1d n1 five_1d", "size", axis=0), ROOM[2]]
WAYS = {
    "time first": filling([*AT, SLICE, node("ScatterND", "o at u", "o2")]),
    "batch first": filling(
        [*AT, node("Unsqueeze", "at zero_1d", "t"), node("Concat", "batch t", "bt", axis=2), SLICE,
         node("ScatterND", "o bt u", "o2")], BATCH_FIRST,
    ),
    "in the shape of what was there": filling(
        [*AT, node("Gather", "o i", "was"), node("Shape", "was", "k"), node("Expand", "h2 k", "w"),
         node("Unsqueeze", "w zero_1d", "u"), node("ScatterND", "o at u", "o2")],
    ),
    "expanded places": filling(
        [*AT, node("Expand", "at pair", "wide"), SLICE, node("ScatterND", "o wide u", "o2")],
    ),
    "ScatterElements": filling(
        [*AT, node("Unsqueeze", "at zero_1d", "t"), node("Expand", "t whole", "all"), SLICE,
         node("ScatterElements", "o all u", "o2", axis=0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_what_is_written_in_every_turn_is_a_sequence(way: str) -> None:
    source = WAYS[way].model()
    made = read(source.SerializeToString())
    x = np.random.default_rng(3).uniform(-1, 1, (9, 1, 3)).astype(np.float32)
    expected = onnx_runtime(source, {"x": x})["ys"].reshape(9, 5)
    answers = Stream(made).run(x.reshape(9, 3))
    assert np.abs((answers["ys"] if isinstance(answers, dict) else answers) - expected).max() < 1e-6


ANY = "reads a whole sequence in every step of a loop"
REFUSED = {
    "the next step": (ANY, [
        node("Add", "i one", "k"), node("Unsqueeze", "k zero_1d", "k1"), node("Unsqueeze", "k1 zero_1d", "at"), SLICE,
        node("ScatterND", "o at u", "o2"),
    ]),
    "two numbers of a step": (ANY, [
        *AT, node("Expand", "at column", "t"), node("Concat", "t numbers", "tn", axis=1),
        node("Gather", "h2 first_two", "p", axis=1), node("Squeeze", "p", "u"), node("ScatterND", "o tn u", "o2"),
    ]),
    "added up": (ANY, [*AT, SLICE, node("ScatterND", "o at u", "o2", reduction="add")]),
    "the last step": (ANY, [SLICE, node("ScatterND", "o last_place u", "o2")]),
    "another tensor": (
        "runs along another axis than the stream's time", [*AT, SLICE, node("ScatterND", "room at u", "o2")],
    ),
    "what was written is read as a whole": (
        "runs along another axis than the stream's time",
        [*AT, SLICE, node("ScatterND", "o at u", "o2"), node("ReduceSum", "o2 zero_1d", "sum", keepdims=0)],
    ),
    "what was written and more": (
        "runs along another axis than the stream's time",
        [*AT, SLICE, node("ScatterND", "o at u", "w"), node("Tanh", "w", "o2")],
    ),
}  # fmt: skip
CONSTANTS |= {"column": ints(2, 1), "numbers": np.array([[0, 0], [0, 1]]), "first_two": ints(0, 1)}
CONSTANTS["last_place"] = np.array([[-1]])


@pytest.mark.parametrize("name", REFUSED)
def test_what_writes_anything_else_is_refused(name: str) -> None:
    reason, body = REFUSED[name]
    with pytest.raises(UnsupportedModel, match=reason):
        read(filling(body).model().SerializeToString())


def test_names_of_another_loop_mean_nothing() -> None:
    """The second loop writes, under the first one's name, into a tensor from outside."""
    first = filling([*AT, SLICE, node("ScatterND", "o at u", "o2")])
    body = [READ, *CELL, *AT, SLICE, node("ScatterND", "room at u", "o2"), GO]
    second = node("Loop", "n yes h0", "final zs", body=subgraph(body, "i c h", "go_on h2 o2"))
    with pytest.raises(UnsupportedModel, match="reads a whole sequence in every step of a loop"):
        read(replace(first, after=[second], shown=["ys", "zs"]).model().SerializeToString())


def test_the_tensor_must_be_as_long_as_the_loop() -> None:
    longer = [node("Add", "n one", "more"), node("Unsqueeze", "more zero_1d", "n1"), *ROOM[1:]]
    with pytest.raises(UnsupportedModel, match="runs along another axis than the stream's time"):
        read(filling([*AT, SLICE, node("ScatterND", "o at u", "o2")], longer).model().SerializeToString())
