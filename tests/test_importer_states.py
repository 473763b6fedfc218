"""States in the graph: which ports they are is found by dataflow, names and shapes, proved, or asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_cases import GRU, graph, node, onnx_runtime, weights
from surroundings import ints, some

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.layers.definition import run
from edgernn.layers.model import Model

LIMIT = 1e-5  # float32 against float64, values of order 1
STEPS = 12


def imported(model: onnx.ModelProto, **state: str) -> Model:
    return importer.read(model.SerializeToString(), state=state)


def problems(model: onnx.ModelProto, **state: str) -> str:
    with pytest.raises(UnsupportedModel) as raised:
        imported(model, **state)
    return str(raised.value)


def frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).uniform(-1, 1, shape).astype(np.float32)


def stepped(
    model: onnx.ModelProto, x: np.ndarray, states: dict[str, str], shapes: dict[str, tuple[int, ...]]
) -> np.ndarray:
    """ONNX Runtime's y for each frame of x (T, n), with the states fed back."""
    held = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    rows = []
    for frame in x:
        made = onnx_runtime(model, {"x": frame[None], **held})
        rows.append(made["y"].reshape(-1))
        held = {name: made[output] for name, output in states.items()}
    return np.array(rows)


def step_graph(
    h: str = "h", c: str = "c", h_out: str = "h_out", c_out: str = "c_out", batch: int | str = 1
) -> onnx.ModelProto:
    """An LSTM cell written out: x (1, 4), h and c (1, 4) -> y, h_out, c_out (1, 4): shapes tell nothing."""
    nodes = [
        node("Gemm", "x W B", "from_x", transB=1),
        node("Gemm", f"{h} R", "from_h", transB=1),
        node("Add", "from_x from_h", "sum"),
        node("Split", "sum", "a b d e", axis=1),
        *(node("Sigmoid", gate, f"s{gate}") for gate in "abd"),
        node("Tanh", "e", "te"),
        node("Mul", f"sb {c}", "kept"),
        node("Mul", "sa te", "added"),
        node("Add", "kept added", c_out),
        node("Tanh", c_out, "tc"),
        node("Mul", "sd tc", h_out),
        node("Gemm", f"{h_out} V", "y", transB=1),
    ]
    constants = {"W": some(16, 4), "B": some(16), "R": some(16, 4), "V": some(4, 4)}
    return graph(nodes, {"x": (batch, 4), h: (batch, 4), c: (batch, 4)}, ["y", h_out, c_out], constants)


@pytest.mark.parametrize(
    "names",
    [
        ("h", "c", "h_out", "c_out"),
        ("h0", "c0", "hn", "cn"),
        ("hidden_in", "cell_in", "hidden_out", "cell_out"),
        ("state_h", "state_c", "next_state_h", "next_state_c"),
        ("h1", "h2", "hn1", "hn2"),
        ("cache_0", "cache_1", "new_cache_0", "new_cache_1"),
    ],
)
@pytest.mark.parametrize("batch", [1, "batch"])
def test_a_step_graph_hides_the_states_that_its_names_tell(names: tuple[str, str, str, str], batch: int | str) -> None:
    h, c, h_out, c_out = names
    model = step_graph(*names, batch=batch)
    report = importer.analyse(model.SerializeToString())
    assert dict(report.states) == {h: h_out, c: c_out}
    assert report.model is not None
    x = frames(STEPS, 4)
    expected = stepped(model, x, {h: h_out, c: c_out}, {h: (1, 4), c: (1, 4)})
    assert np.abs(run(report.model, x) - expected).max() < LIMIT


def test_a_step_graph_whose_names_tell_nothing_asks_for_its_states() -> None:
    model = step_graph("p", "q", "u", "v")
    message = problems(model)
    for name in "pq":
        assert f"'{name}': may be a state that 'y' or 'u' or 'v' replaces" in message and f"--state {name}=" in message
    x = frames(STEPS, 4)
    expected = stepped(model, x, {"p": "u", "q": "v"}, {"p": (1, 4), "q": (1, 4)})
    assert np.abs(run(imported(model, p="u", q="v"), x) - expected).max() < LIMIT


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"nothing": "h_out"}, "'nothing': is no input"),
        ({"h": "nothing"}, "'nothing': is no output"),
    ],
)
def test_a_state_that_is_not_there_is_refused(state: dict[str, str], says: str) -> None:
    assert says in problems(step_graph(), **state)


def stateful(swapped: bool = False) -> onnx.ModelProto:
    """A sequence graph with its state as one tensor (2, 1, 5): an LSTM whose h and c are cut out and put back."""
    held = weights("LSTM", 3, 5)
    nodes = [
        node("Split", "state", "h c", axis=0),
        node("LSTM", "x W R B - h c", "Y Y_h Y_c", hidden_size=5),
        node("Concat", "Y_c Y_h" if swapped else "Y_h Y_c", "stateN", axis=0),
        node("Squeeze", "Y one", "y"),
    ]
    return graph(nodes, {"x": ("T", 1, 3), "state": (2, 1, 5)}, ["y", "stateN"], {**held, "one": ints(1)})


def test_a_sequence_graph_with_its_state_as_a_port() -> None:
    model = stateful()
    report = importer.analyse(model.SerializeToString())
    assert report.states == (("state", "stateN"),)
    x = frames(STEPS, 1, 3)
    expected = onnx_runtime(model, {"x": x, "state": np.zeros((2, 1, 5), np.float32)})["y"]
    assert report.model is not None and [port.name for port in report.model.outputs] == ["y"]
    assert np.abs(run(report.model, x[:, 0]) - expected.reshape(STEPS, -1)).max() < LIMIT


def test_a_state_that_does_not_lead_back_is_refused() -> None:
    assert "is not what a cell" in problems(stateful(swapped=True), state="stateN")


def test_an_initial_state_without_an_output_is_carried_from_zero() -> None:
    nodes = [node("GRU", "x W R B - h0", "Y Y_h", hidden_size=5)]
    constants = GRU
    model = graph(nodes, {"x": ("T", 1, 3), "h0": (1, 1, 5)}, ["Y"], constants)
    report = importer.analyse(model.SerializeToString())
    assert "the state 'h0' starts at zero" in report.notes[0]
    x = frames(STEPS, 1, 3)
    expected = onnx_runtime(model, {"x": x, "h0": np.zeros((1, 1, 5), np.float32)})["Y"]
    assert report.model is not None
    assert np.abs(run(report.model, x[:, 0]) - expected.reshape(STEPS, -1)).max() < LIMIT


def test_a_cell_with_a_constant_start_in_a_step_graph_starts_anew_in_every_frame() -> None:
    held = GRU
    nodes = [
        node("GRU", "x W R B", "Y Y_h", hidden_size=5),
        node("GRU", "x W R B - h", "Z h_out", hidden_size=5),
        node("Add", "Y Z", "y"),
    ]
    model = graph(nodes, {"x": (1, 1, 3), "h": (1, 1, 5)}, ["y", "h_out"], held)
    x = frames(STEPS, 1, 3)
    expected = stepped(model, x, {"h": "h_out"}, {"h": (1, 1, 5)})
    assert np.abs(run(imported(model), x[:, 0]) - expected).max() < LIMIT


def test_a_frame_is_no_state_though_names_and_shapes_would_allow_it() -> None:
    nodes = [
        node("Concat", "spec state", "both", axis=1),
        node("Gemm", "both w", "sum"),
        node("Tanh", "sum", "state_out"),
        node("Mul", "spec state_out", "spec_out"),
    ]
    dims = {"spec": (1, 4), "state": (1, 4)}
    model = graph(nodes, dims, ["spec_out", "state_out"], {"w": some(8, 4)})
    report = importer.analyse(model.SerializeToString())
    assert report.states == (("state", "state_out"),)


def test_a_state_of_a_shape_of_its_own_needs_no_name() -> None:
    nodes = [
        node("Concat", "a b", "both", axis=1),
        node("Gemm", "both w", "sum"),
        node("Tanh", "sum", "d"),
        node("Gemm", "d v", "e"),
    ]
    model = graph(nodes, {"a": (1, 3), "b": (1, 4)}, ["e", "d"], {"w": some(7, 4), "v": some(4, 2)})
    assert importer.analyse(model.SerializeToString()).states == (("b", "d"),)


def test_a_state_input_that_does_more_than_start_a_cell_over_time_is_refused() -> None:
    nodes = [
        node("GRU", "x W R B - h", "Y hn", hidden_size=5),
        node("Add", "Y h", "y"),
    ]
    model = graph(nodes, {"x": ("T", 1, 3), "h": (1, 1, 5)}, ["y", "hn"], GRU)
    assert "starts a cell over time and is used otherwise too" in problems(model)


@pytest.mark.parametrize("lengths", [("T", "T"), ("Ta", "Tb"), (None, None)])
def test_inputs_may_name_their_lengths_differently(lengths: tuple[str | None, str | None]) -> None:
    """Keras gives the length of every input a name of its own; it is one time all the same."""
    held = {f"{name}{i}": value for i in "ab" for name, value in weights("GRU", 3, 4, seed=ord(i)).items()}
    nodes = [node("GRU", f"{i} W{i} R{i} B{i}", f"Y{i}", hidden_size=4) for i in "ab"]
    dims = {name: (length, 1, 3) for name, length in zip("ab", lengths, strict=True)}
    model = graph([*nodes, node("Add", "Ya Yb", "y")], dims, ["y"], held).SerializeToString()
    x = np.random.default_rng(0).standard_normal((2, 20, 3)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(model).run(None, {"a": x[0][:, None], "b": x[1][:, None]})
    answer = run(importer.read(model), {"a": x[0], "b": x[1]})
    assert np.abs(answer - expected.reshape(20, 4)).max() < 1e-5


def test_a_free_length_that_is_no_time_is_said() -> None:
    """Two frames of a for each of v: the stream takes the last v of the two."""
    nodes = [
        node("Reshape", "a two", "pairs"),
        node("Concat", "pairs v", "both", axis=2),
        node("Transpose", "both", "X", perm=[1, 0, 2]),
        node("RNN", "X W R B", "Y", hidden_size=5),
    ]
    held = {**weights("RNN", 10, 5), "two": np.array([1, -1, 6])}
    model = graph(nodes, {"a": (1, "Ta", 3), "v": (1, "Tv", 4)}, ["Y"], held)
    report = importer.analyse(model.SerializeToString())
    assert report.notes == ("the free dimension 'Tv', axis 1 of 'v', is no time and counts as 1",)


def test_a_cell_beside_time_must_have_time_itself() -> None:
    held = {f"{name}{i}": value for i in "ab" for name, value in weights("GRU", 3, 4, seed=ord(i)).items()}
    nodes = [node("GRU", f"{i} W{i} R{i} B{i}", f"Y{i}", hidden_size=4) for i in "ab"]
    model = graph(nodes, {"a": ("T", 1, 3), "b": (9, 1, 3)}, ["Ya", "Yb"], held)
    with pytest.raises(UnsupportedModel, match="an input without time beside one that has it"):
        importer.read(model.SerializeToString())


def test_one_output_cannot_replace_two_states() -> None:
    nodes = [node("Add", "x a", "p"), node("Tanh", "p", "h"), node("Mul", "h b", "y")]
    model = graph(nodes, {"x": (1, 4), "a": (1, 4), "b": (1, 4)}, ["y", "h"])
    with pytest.raises(UnsupportedModel, match="cannot replace two states"):
        importer.read(model.SerializeToString(), state={"a": "h", "b": "h"})


def test_a_state_that_is_turned_around_leads_back_to_itself() -> None:
    backwards = {"from": ints(-1), "to": ints(-9), "axis": ints(1), "by": ints(-1)}
    nodes = [node("Slice", "s from to axis by", "s_out"), node("Add", "x s_out", "y")]
    model = graph(nodes, {"x": (1, 3), "s": (1, 3)}, ["y", "s_out"], backwards)
    (state,) = imported(model, s="s_out").states
    held = replace(imported(model, s="s_out"), states=(replace(state, initial=np.float32([[1, 2, 3]])),))
    assert run(held, np.zeros((3, 3), np.float32)).tolist() == [[3, 2, 1], [1, 2, 3], [3, 2, 1]]
