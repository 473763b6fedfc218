"""Indices in a model file: regular ones are told as loops, others are tensors, and nothing else is taken for either."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_modelfile_attacks import altered

from edgernn import BadModelFile
from edgernn.layers.model import Model, Node, Port
from edgernn.layers.take import Take
from edgernn.modelfile import container, regular, validate
from edgernn.modelfile.description import encode

KEY = "0.index"


def taking(*indices: np.ndarray, size: int = 1 << 17) -> Model:
    """A model that takes these of the numbers of its input."""
    nodes = [Node(f"n{i}", Take(index, (index.size,)), ("x",), (str(i),)) for i, index in enumerate(indices)]
    outputs = tuple(Port(f"y{i}", str(i), index.size) for i, index in enumerate(indices))
    return Model((Port("x", "x", size),), outputs, (), tuple(nodes))


def stored(model: Model) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(what is told of indices, their tensors) in the file of a model, which is read back as it was."""
    text, tensors = encode(model)
    assert validate(container.pack(text, tensors)).hash == model.hash
    return json.loads(text).get("regular", {}), tensors


def int32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


PLACES = np.arange(120, dtype=np.int32).reshape(2, 3, 4, 5)
VIEWS = {
    "in a row": PLACES,
    "from a place on": PLACES[1],
    "slices": PLACES[:, 1:, ::2, 1:4],
    "backwards": PLACES[:, ::-1, :, ::-1],
    "one": PLACES[1, 2, 3, 4],
    "the same": np.broadcast_to(PLACES[0, 0, 0, 3], (7, 2)),
    "spread": np.broadcast_to(PLACES[:, :1, :, :1], PLACES.shape),
    "tiles": np.tile(PLACES[0, :2, 1], (3, 4)),
    "fill alone": np.full((2, 3), -1, np.int32),
    **{f"turned {order}": PLACES.transpose(order) for order in itertools.permutations(range(4))},
}


@pytest.mark.parametrize("name", VIEWS)
def test_slices_turns_and_repetitions_have_no_tensor(name: str) -> None:
    told, tensors = stored(taking(np.ascontiguousarray(VIEWS[name].reshape(-1))))
    assert list(told) == [KEY] and not tensors
    assert len(told[KEY]) <= 1 + 2 * PLACES.ndim, "a loop for each axis at most"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-1, 3), max_size=9))
def test_any_indices_are_read_back(values: list[int]) -> None:
    told, tensors = stored(taking(int32(*values), size=4))
    assert (KEY in told) != (KEY in tensors)


@pytest.mark.parametrize("values", [(), (0, 1, 3), (0, 1, 2, 0), (0, 1, 5, 7), (0, 1, 2, 3, 0, 1)])
def test_irregular_indices_are_tensors(values: tuple[int, ...]) -> None:
    told, tensors = stored(taking(int32(*values)))
    assert not told and tensors[KEY].tolist() == [*values] and tensors[KEY].dtype == np.int16


def test_large_irregular_indices_stay_wide() -> None:
    _, tensors = stored(taking(int32(0, 1, 1 << 15)))
    assert tensors[KEY].dtype == np.int32


def test_loops_are_few_and_so_are_the_indices_that_they_count(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.arange(512, dtype=np.int32).reshape([2] * 9)
    told, _ = stored(taking(whole[..., :1].transpose().reshape(-1).copy(), whole.transpose().reshape(-1).copy()))
    assert list(told) == [KEY] and len(told[KEY]) == 1 + 2 * regular.MOST_LOOPS
    monkeypatch.setattr(regular, "LARGEST", 10)
    told, tensors = stored(taking(PLACES[0, 0, 0], PLACES[0, 0, 1], PLACES[0, 0, 2]))
    assert list(told) == [KEY, "1.index"] and list(tensors) == ["2.index"]


Change = Callable[[dict[str, Any], dict[str, np.ndarray]], object]


def telling(*value: Any, of: str = "2.index") -> Change:
    """A change of the golden file, whose third node takes four numbers of three: what is told of indices."""
    return lambda described, tensors: described["regular"].update({of: [*value]})


def holding(index: np.ndarray) -> Change:
    """A change of the golden file: the indices are this tensor."""
    return lambda described, tensors: (described.pop("regular"), tensors.update({"2.index": index}))


CHANGES: dict[str, tuple[Change, str]] = {
    "others": (telling(2, 4, 0), "altered: its hash"),
    "outside": (telling(1 << 30, 4, 1), "outside the 3 numbers"),
    "too few": (telling(0, 3, 0), r"\(3,\) indices for the shape"),
    "none": (telling(0, 0, 1), "of 8 loops at most expected"),
    "nothing": (telling(), "of 8 loops at most expected"),
    "without a step": (telling(0, 4), "of 8 loops at most expected"),
    "backwards": (telling(0, -2, 1, -2, 1), "of 8 loops at most expected"),
    "in words": (telling(0, "4", 1), "of 8 loops at most expected"),
    "in fractions": (telling(0, 4, 0.5), "of 8 loops at most expected"),
    "as truth": (telling(True, 4, 0), "of 8 loops at most expected"),
    "in too many loops": (telling(0, *[1, 1] * 9), "of 8 loops at most expected"),
    "beyond int32": (telling(0, 2, 1 << 30), "of 8 loops at most expected"),
    "beyond int64": (telling(0, 1 << 20, 1 << 52), "of 8 loops at most expected"),
    "too many": (telling(0, 1 << 21, 0), "more than 1048576 indices"),
    "too many in all": (telling(0, 1 << 20, 0, of="a"), "more than 1048576 indices"),
    "of no layer": (telling(0, of="9.index"), "'9.index' belongs to no layer"),
    "of weights": (lambda d, t: (telling(0, 4, 0, of="3.bias")(d, t), t.pop("3.bias")), "float32 expected"),
    "a list": (lambda d, t: d.update(regular=["2.index"]), "'regular' is not a JSON object"),
    "a number": (lambda d, t: d["regular"].update({"2.index": 3}), "of 8 loops at most expected"),
    "beside a tensor": (lambda d, t: t.update({"2.index": int32(2, 1, 0, -1)}), "'2.index', which has a tensor"),
    "float": (holding(np.zeros(4, np.float32)), "int32 expected"),
    "tensor outside": (holding(int32(9, 9, 9, 9)), "outside the 3 numbers"),
    "small tensor outside": (holding(np.full(4, -7, np.int16)), "outside the 3 numbers"),
    "another tensor": (holding(int32(2, 1, 0, 0)), "altered: its hash"),
}


@pytest.mark.parametrize("attack", CHANGES)
def test_what_is_told_otherwise_is_refused(attack: str) -> None:
    change, message = CHANGES[attack]
    with pytest.raises(BadModelFile, match=message):
        validate(altered(change))


@pytest.mark.parametrize("index", [int32(2, 1, 0, -1), np.array([2, 1, 0, -1], np.int16)])
def test_regular_indices_may_be_tensors(index: np.ndarray) -> None:
    assert validate(altered(holding(index))).hash == validate(altered(lambda d, t: None)).hash


def test_what_is_told_takes_little_memory() -> None:
    data = altered(telling(0, 1 << 10, 0, 1 << 9, 0, 2, 0))
    tracemalloc.start()
    with pytest.raises(BadModelFile, match=r"\(1048576,\) indices"):
        validate(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 30_000_000
