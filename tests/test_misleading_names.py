"""Names of states that would mislead: cells go before names, the user before all, and what is open is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from fed_back import frames, streamed
from onnx_cases import GRU, graph, node, weights
from surroundings import ints, some
from test_importer_states import problems, step_graph

from edgernn import UnsupportedModel, importer


def layers(first: str, second: str, time: int | str = 1) -> onnx.ModelProto:
    """Two GRU layers whose states go by h1 and h2; `first` and `second` are the names of what they leave behind."""
    held = {f"{k}{i}": v for i, n in ((1, 3), (2, 5)) for k, v in weights("GRU", n, 5, seed=i).items()}
    nodes = [
        node("GRU", "x W1 R1 B1 - h1", f"Y1 {first}", hidden_size=5),
        node("Squeeze", "Y1 one", "between"),
        node("GRU", "between W2 R2 B2 - h2", f"Y2 {second}", hidden_size=5),
    ]
    dims = {"x": (time, 1, 3), "h1": (1, 1, 5), "h2": (1, 1, 5)}
    return graph(nodes, dims, ["Y2", "h1_out", "h2_out"], {**held, "one": ints(1)})


@pytest.mark.parametrize("swapped", [False, True])
def test_what_cells_leave_behind_goes_before_names(swapped: bool) -> None:
    first, second = ("h2_out", "h1_out") if swapped else ("h1_out", "h2_out")
    streamed(layers(first, second), {"h1": first, "h2": second}, frames(3), "Y2")
    assert dict(importer.analyse(layers(first, second, "T").SerializeToString()).states) == {"h1": first, "h2": second}


@pytest.mark.parametrize(("h_out", "c_out"), [("h_out", "c_out"), ("c_out", "h_out")])
def test_a_cell_that_is_written_out_goes_before_names_too(h_out: str, c_out: str) -> None:
    streamed(step_graph("h", "c", h_out, c_out), {"h": h_out, "c": c_out}, frames(4), "y")


def test_where_a_cell_and_a_name_tell_two_states_the_user_is_asked() -> None:
    """As in PyTorch's file of: y, h = gru(x, h); return y, 0.9 * h."""
    nodes = [node("GRU", "x W R B - h", "Y h2", hidden_size=5), node("Neg", "Y", "h_out"), node("Tanh", "h2", "other")]
    model = graph(nodes, {"x": (1, 1, 3), "h": (1, 1, 5)}, ["h_out", "other", "h2"], GRU)
    with pytest.raises(UnsupportedModel, match=r"may be a state that 'h_out' or 'h2' replaces.*--state h=h_out"):
        importer.read(model.SerializeToString())
    for after in ("h_out", "h2"):
        streamed(model, {"h": after}, frames(3), "other", said=True)


def test_what_the_user_says_goes_before_all() -> None:
    data = step_graph("h", "c", "c_out", "h_out").SerializeToString()
    assert dict(importer.analyse(data, {"h": "h_out", "c": "c_out"}).states) == {"h": "h_out", "c": "c_out"}


def test_a_weight_with_the_name_of_an_output_is_no_state() -> None:
    nodes: list[Any] = [node("GRU", "x W R B", "Y", hidden_size=5), node("Mul", "Y gain", "gain_out")]
    model = graph(nodes, {"x": ("T", 1, 3), "gain": (1,)}, ["gain_out"], {**GRU, "gain": some(1)})
    report = importer.analyse(model.SerializeToString())
    assert report.model is not None and report.states == () and len(report.model.inputs) == 1


def test_a_state_that_is_made_of_what_a_written_out_cell_leaves_behind_goes_by_its_name() -> None:
    nodes = [
        node("Gemm", "x W b", "from_x", transB=1),
        node("Gemm", "h0 U", "from_h", transB=1),
        node("Add", "from_x from_h", "sum"),
        node("Tanh", "sum", "y"),
        node("Mul", "y decay", "hn"),
    ]
    held = {"W": some(4, 3), "b": some(4), "U": some(4, 4), "decay": np.float32(0.9)}
    streamed(graph(nodes, {"x": (1, 3), "h0": (1, 4)}, ["y", "hn"], held), {"h0": "hn"}, frames(3), "y")


@pytest.mark.parametrize(("now", "before", "after"), [("x", "x_prev", "x_next"), ("x", "last_x", "x_out")])
def test_a_frame_beside_what_is_kept_of_it_is_no_state(now: str, before: str, after: str) -> None:
    """y = tanh(W x + U x_prev), and x is handed on."""
    nodes = [
        node("Gemm", f"{now} W", "from_x", transB=1),
        node("Gemm", f"{before} U", "from_before", transB=1),
        node("Add", "from_x from_before", "sum"),
        node("Tanh", "sum", "y"),
        node("Identity", now, after),
    ]
    made = graph(nodes, {now: (1, 3), before: (1, 3)}, ["y", after], {"W": some(4, 3), "U": some(4, 3)})
    report = importer.analyse(made.SerializeToString())
    assert now not in dict(report.states) and (report.problems or before in dict(report.states))
    streamed(made, {before: after}, frames(3), "y", said=True)


def crossed(first: str = "h1", second: str = "h2") -> onnx.ModelProto:
    """h2_out = tanh(W x + U h1_in), h1_out = tanh(V h2_out + U h2_in): what one leaves behind has another's name."""
    nodes = [node("Gemm", "x W", "a", transB=1), node("Gemm", "h1_in U", "b", transB=1), node("Add", "a b", "c")]
    nodes += [node("Tanh", "c", "h2_out"), node("Gemm", "h2_out V", "d", transB=1)]
    nodes += [node("Gemm", "h2_in U", "e", transB=1), node("Add", "d e", "f"), node("Tanh", "f", "h1_out")]
    nodes += [node("Gemm", "h1_out A", "y", transB=1)]
    held = {"W": some(4, 3), "U": some(4, 4), "V": some(4, 4), "A": some(2, 4)}
    for one in nodes:
        for values in (one.input, one.output):
            values[:] = [value.replace("h1", first).replace("h2", second) for value in values]
    ports = {"x": (1, 3), f"{first}_in": (1, 4), f"{second}_in": (1, 4)}
    return graph(nodes, ports, ["y", f"{first}_out", f"{second}_out"], held)


def test_an_input_that_is_called_a_state_is_no_part_of_the_frame() -> None:
    """Where names and cells disagree, cells decide and it is said; where only names are left, they are asked about."""
    assert "'q_in': may be a state that 'q_out' or 'p_out' replaces" in problems(crossed("p", "q"))
    model = crossed()
    streamed(model, {"h1_in": "h2_out", "h2_in": "h1_out"}, frames(3), "y")
    notes = importer.analyse(model.SerializeToString()).notes
    assert any("if by 'h1_out', as they are called: --state h1_in=h1_out" in note for note in notes)
    streamed(model, {"h1_in": "h1_out", "h2_in": "h2_out"}, frames(3), "y", said=True)
    report = importer.analyse(model.SerializeToString(), {"h1_in": "h1_out"})
    assert dict(report.states) == {"h1_in": "h1_out", "h2_in": "h2_out"}


def test_a_memory_that_only_keeps_what_came_is_found_by_its_name() -> None:
    """The overlap of a transform: no next value depends on the one before, and all have the size of the frame."""
    nodes = [node("Concat", "analysis_mem x", "seen", axis=1), node("Gemm", "seen W", "s", transB=1)]
    nodes += [node("Tanh", "s", "both"), node("Split", "both", "now new_synthesis_mem", axis=1)]
    nodes += [node("Add", "now synthesis_mem", "frame_out"), node("Identity", "x", "new_analysis_mem")]
    ports = dict.fromkeys(("x", "analysis_mem", "synthesis_mem"), (1, 4))
    model = graph(nodes, ports, ["frame_out", "new_analysis_mem", "new_synthesis_mem"], {"W": some(8, 8)})
    streamed(model, {name: f"new_{name}" for name in ("analysis_mem", "synthesis_mem")}, frames(4), "frame_out")


def test_what_is_asked_of_a_kept_frame_is_the_right_pair() -> None:
    nodes = [node("Concat", "x x_prev h", "all", axis=1), node("Gemm", "all W", "s", transB=1)]
    nodes += [node("Tanh", "s", "hn"), node("Identity", "x", "x_next"), node("Gemm", "hn A", "y", transB=1)]
    dims = {"x": (1, 3), "x_prev": (1, 3), "h": (1, 4)}
    model = graph(nodes, dims, ["y", "x_next", "hn"], {"W": some(4, 10), "A": some(3, 4)})
    assert "'x_prev': may be a state that 'x_next' or 'y' replaces" in problems(model)
    assert "--state x_prev=x_next" in problems(model) and "'x':" not in problems(model)
    streamed(model, {"x_prev": "x_next", "h": "hn"}, frames(3), "y", said=True)


def test_a_frame_beside_a_setting_is_no_state() -> None:
    """Of two inputs that are left, the one that is called a frame is it, though the answer has its size."""
    nodes = [node("Concat", "input_frame states", "all", axis=1), node("Gemm", "all W", "s", transB=1)]
    nodes += [node("Tanh", "s", "new_states"), node("Gemm", "new_states A", "m", transB=1)]
    nodes += [node("Mul", "m limit", "enhanced_frame")]
    ports = {"input_frame": (1, 3), "states": (1, 4), "limit": (1, 1)}
    model = graph(nodes, ports, ["enhanced_frame", "new_states"], {"W": some(4, 7), "A": some(3, 4)})
    report = importer.analyse(model.SerializeToString())
    assert dict(report.states) == {"states": "new_states"}, report.problems
