"""Windows that cannot be: each is refused by name, with the window that would do where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostile_graphs import rows, turning
from loop_cases import CELL, CONSTANTS, COUNT, GO, READ, subgraph
from onnx_cases import graph, node
from surroundings import ints, some
from window_cases import GRAPHS, N_IN
from windows import FRAMES, LIMIT, WINDOW, check, converted, some_frames

import edgernn
from edgernn import importer
from edgernn.conversion.parity import parity
from edgernn.errors import BadInput, UnsupportedModel
from edgernn.importer.walk import repeated
from edgernn.importer.walk.subgraph import walked


@pytest.mark.parametrize("window", [0, -1, 1.5, True, "7", 4097, 10**12])
def test_a_window_is_a_whole_number_of_frames(window: Any) -> None:
    with pytest.raises(BadInput, match="a number of frames from 1 to 4096"):
        converted(GRAPHS["stacked"](1, "T"), window)
    with pytest.raises(BadInput, match=r"hop=.*a number of frames"):
        converted(GRAPHS["stacked"](1, "T"), 5, window)


def test_a_hop_without_a_window_is_refused() -> None:
    with pytest.raises(BadInput, match=r"hop=2.*set window"):
        importer.read(GRAPHS["stacked"](1, "T").SerializeToString(), hop=2)


def test_a_window_too_large_for_its_graph_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedModel, match="smaller window"):
        converted(GRAPHS["attention"](1, "T"), 4096)
    monkeypatch.setattr("edgernn.importer.walk.repeated.MOST_NODES", 100)
    with pytest.raises(UnsupportedModel, match=r"more than .* 100 layers -> use a smaller window"):
        converted(GRAPHS["counted"]("B", "T"), 50)


@pytest.mark.parametrize(("make", "count"), [(turning, 2**62), (turning, 5000), (rows, 5000)])
def test_a_loop_that_turns_too_often_is_refused_before_its_first_turn(
    make: Any, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def walked(*_: Any) -> None:
        raise AssertionError("a turn was made")

    monkeypatch.setattr("edgernn.importer.walk.repeated.walked", walked)
    with pytest.raises(UnsupportedModel, match=r"more than 4096 turns .* -> use a smaller window"):
        converted(make(count))


def test_a_loop_of_too_many_layers_is_refused_after_its_first_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = []
    monkeypatch.setattr(repeated, "walked", lambda *args: turns.append(1) or walked(*args))
    monkeypatch.setattr(repeated, "MOST_NODES", 1000)
    with pytest.raises(UnsupportedModel, match=r"more than .* 1000 layers -> use a smaller window"):
        converted(turning(1200))
    assert len(turns) <= 6 * repeated.FIRST  # in each of three readings, twice the first turns
    assert converted(turning(900)).window == WINDOW


def test_a_state_that_a_loop_starts_from_is_refused_by_name() -> None:
    body = subgraph((READ, *CELL, GO), "i c h", "go_on h2 h2")
    nodes = [*COUNT, node("Loop", "n yes start", "last all", body=body), node("ReduceMax", "all", "y", axes=[0])]
    source = graph(nodes, {"x": ("T", 1, 3), "start": (1, 5)}, ["y", "last"], CONSTANTS)
    with pytest.raises(
        UnsupportedModel, match=r"'start': is a state, but on windows nothing is carried .*--set start=0"
    ):
        converted(source)
    assert converted(source, constants={"start": 0}).inputs[0].size == 3


SPLICED = [node("Slice", f"x from{n} to{n} time", f"x{n}") for n in range(3)] + [
    node("Concat", "x0 x1 x2", "spliced", axis=2),
    node("MatMul", "spliced w", "y"),
]
SPLICING = {f"{end}{n}": ints(k) for n in range(3) for end, k in (("from", 3 * n), ("to", 3 * n - 6 or 99))}
TOO_SHORT = {
    "cut to nothing": (SPLICED, SPLICING | {"time": ints(1), "w": some(3 * N_IN, 2)}),
    "convolved twice": (
        [
            node("Transpose", "x", "t", perm=[0, 2, 1]),
            node("Conv", "t w", "u", dilations=[2]),
            node("MaxPool", "u", "y", kernel_shape=[3]),
        ],
        {"w": some(N_IN, N_IN, 3)},
    ),
}


@pytest.mark.parametrize("window", [1, 3, 6])
@pytest.mark.parametrize("name", TOO_SHORT)
def test_a_window_too_short_for_its_graph_is_told_how_long_it_must_be(name: str, window: int) -> None:
    nodes, held = TOO_SHORT[name]
    source = graph(nodes, {"x": (1, "T", N_IN)}, ["y"], held)
    with pytest.raises(
        UnsupportedModel, match=f"a window of {window} frames is too short: it needs 7 or more -> convert with window=7"
    ) as refused:
        converted(source, window)
    assert "--set" not in str(refused.value)
    check(source, converted(source, 7), some_frames(1, FRAMES, N_IN))


def test_states_are_refused_by_name() -> None:
    exports = Path(__file__).parent / "exports"
    for name, window in (("lstm_state_torchscript", 12), ("lstm_cell_step_torchscript", 16)):
        with pytest.raises(UnsupportedModel, match=r"'h.*': is a state, but on windows nothing is carried"):
            edgernn.convert(exports / f"{name}.onnx", window=window)
    with pytest.raises(BadInput, match=r"state=.*on windows nothing is carried"):
        edgernn.convert(exports / "lstm_state_torchscript.onnx", window=12, state={"h0": "hn"})
    model = edgernn.convert(exports / "lstm_state_torchscript.onnx", window=12, constants={"h0": 0, "c0": 0})
    figures = parity(model, exports / "lstm_state_torchscript.onnx", steps=40)
    assert model.window == 12 and max(found.max_error for found in figures.values()) < LIMIT


@pytest.mark.parametrize(
    "name", [name for name in GRAPHS if name not in ("counted", "convolved", "largest subtracted")]
)
def test_without_a_window_the_node_is_named_and_a_window_suggested(name: str) -> None:
    with pytest.raises(UnsupportedModel, match=r"window=N"):
        importer.read(GRAPHS[name]("batch", "time").SerializeToString())
