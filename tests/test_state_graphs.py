"""Step graphs of many kinds against ONNX Runtime, stepped with its states fed back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from fed_back import STEPS, frames, streamed
from onnx import TensorProto, helper, numpy_helper
from onnx_cases import GRU, graph, node, weights
from surroundings import ints, some
from test_importer_states import problems, step_graph

import edgernn
from edgernn import importer
from edgernn.conversion.parity import parity
from edgernn.importer.model.parts import states_parted
from edgernn.layers.base import Array
from edgernn.layers.definition import run
from edgernn.layers.lstm import LSTM


def jordan(outputs: str = "y", n_in: int = 3) -> onnx.ModelProto:
    """Jordan 1986: h = tanh(W x + U y' + b), y = V h + c, where y' is the answer to the frame before."""
    nodes = [
        node("Gemm", "x W b", "from_x", transB=1),
        node("Gemm", "y_prev U", "from_y", transB=1),
        node("Add", "from_x from_y", "sum"),
        node("Tanh", "sum", "h"),
        node("Gemm", "h V c", "y", transB=1),
    ]
    held = {"W": some(6, n_in), "b": some(6), "U": some(6, 2), "V": some(2, 6), "c": some(2)}
    return graph(nodes, {"x": (1, n_in), "y_prev": (1, 2)}, outputs.split(), held)


@pytest.mark.parametrize("outputs", ["y", "y h", "h y"])
@pytest.mark.parametrize("n_in", [2, 3])
def test_a_jordan_network_feeds_its_answer_back_and_shows_it(outputs: str, n_in: int) -> None:
    model = jordan(outputs, n_in)
    streamed(model, {"y_prev": "y"}, frames(n_in), "y")
    shown = importer.read(model.SerializeToString()).outputs
    assert [port.name for port in shown] == outputs.split()


def test_an_input_that_was_said_to_be_no_state_is_none_when_the_model_is_compared(tmp_path: Path) -> None:
    nodes = [
        node("Concat", "x y_prev h", "seen", axis=1),
        node("Gemm", "seen W", "sum"),
        node("Tanh", "sum", "h_new"),
        node("Gemm", "h_new V", "y"),
    ]
    inputs = {"x": (1, 3), "y_prev": (1, 2), "h": (1, 4)}
    onnx.save(graph(nodes, inputs, ["y", "h_new"], {"W": some(9, 4), "V": some(4, 2)}), path := tmp_path / "step.onnx")
    model = edgernn.convert(path, state={"y_prev": ""})
    assert [port.name for port in model.inputs] == ["x", "y_prev"]
    assert parity(model, path, steps=50)["y"].max_error < 1e-5


BESIDE = {  # what a GRU with a state hears or is heard by, and how many numbers a frame then has
    "nothing": ([], "x", "Y", 3),
    "the step before": (
        [node("Slice", "x zero last", "but_last"), node("Concat", "none but_last", "before", axis=0),
         node("Sub", "x before", "seen")], "seen", "Y", 12),
    "a GRU without a state": ([node("GRU", "Y_ W2 R2 B2", "Z", hidden_size=5)], "x", "Z", 12),
    "a sum": ([node("ReduceSum", "Y zero", "total", keepdims=1)], "x", "total", 12),
}  # fmt: skip


@pytest.mark.parametrize("beside", BESIDE)
def test_in_a_call_of_several_steps_only_states_go_on(beside: str, tmp_path: Path) -> None:
    """What else reaches back begins anew in every call, so that a frame is then a whole call."""
    others, heard, shown, size = BESIDE[beside]
    cell = [node("GRU", f"{heard} W R B - h", "Y hn", hidden_size=5), node("Squeeze", "Y one", "Y_")]
    before, after = (others, []) if heard == "seen" else ([], others)
    second = {f"{name}2": array for name, array in weights("GRU", 5, 5, seed=1).items()}
    held = {**GRU, **second, "zero": ints(0), "last": ints(-1), "one": ints(1), "none": np.zeros((1, 1, 3), np.float32)}
    built = graph([*before, *cell, *after], {"x": (4, 1, 3), "h": (1, 1, 5)}, [shown, "hn"], held)
    onnx.save(built, path := tmp_path / "chunk.onnx")
    model = edgernn.convert(path)
    assert [port.size for port in model.inputs] == [size]
    assert max(found.max_error for found in parity(model, path, steps=80).values()) < 1e-5
    assert any("a frame is a whole call" in note for note in model.origin["notes"]) == (size == 12)


def test_a_hopfield_network_settles_as_it_should() -> None:
    """Hopfield 1982: binary states, s = sign(W s + x), W of outer products: a damaged pattern is completed."""
    rng = np.random.default_rng(2)
    patterns = rng.choice([-1.0, 1.0], (3, 64)).astype(np.float32)
    matrix = (patterns.T @ patterns / 64 * (1 - np.eye(64))).astype(np.float32)
    nodes = [node("Gemm", "s W x", "field", transB=1), node("Sign", "field", "s_next")]
    model = graph(nodes, {"x": (1, 64), "s": (1, 64)}, ["s_next"], {"W": matrix})
    damaged = patterns[1] * rng.choice([-1, 1], 64, p=[0.2, 0.8])
    x = np.concatenate([damaged[None], np.zeros((STEPS - 1, 64))]).astype(np.float32)
    streamed(model, {"s": "s_next"}, x, "s_next")
    assert (run(importer.read(model.SerializeToString()), x)[-1] == patterns[1]).all()


def ring(names: tuple[str, str, str]) -> onnx.ModelProto:
    """A causal convolution in a step graph: the last four frames are a cache that goes in and comes out."""
    cache, after, y = names
    nodes = [
        node("Concat", f"{cache} x", "both", axis=2),
        node("Conv", "both K b", y),
        node("Slice", "both one five two", after),
    ]
    held = {"K": some(3, 2, 5), "b": some(3), "one": ints(1), "five": ints(5), "two": ints(2)}
    return graph(nodes, {"x": (1, 2, 1), cache: (1, 2, 4)}, [y, after], held)


@pytest.mark.parametrize("names", [("cache", "cache_out", "y"), ("p", "q", "r")])
def test_a_ring_buffer_is_a_state(names: tuple[str, str, str]) -> None:
    streamed(ring(names), {names[0]: names[1]}, frames(2), names[2])


def test_cells_prove_states_of_equal_shape_in_a_row() -> None:
    nodes = []
    for i, (x, h) in enumerate((("x", "p"), ("u", "q")), 1):
        nodes += [node("Gemm", f"{x} W{i} B", f"a{i}", transB=1), node("Gemm", f"{h} R", f"b{i}", transB=1)]
        nodes += [node("Add", f"a{i} b{i}", f"s{i}"), node("Tanh", f"s{i}", "uv"[i - 1])]
    held = {"W1": some(5, 3), "W2": some(5, 5), "R": some(5, 5), "B": some(5), "V": some(2, 5)}
    model = graph(
        [*nodes, node("Gemm", "v V", "y", transB=1)], {"x": (1, 3), "p": (1, 5), "q": (1, 5)}, ["y", "u", "v"], held
    )
    streamed(model, {"p": "u", "q": "v"}, frames(3), "y")


def stacked(name: str = "s", after: str = "t", frame: int = 6) -> onnx.ModelProto:
    """An LSTM cell written out whose h and c are one tensor (1, 4, 2), with a frame and an answer of another size."""
    nodes = [
        node("Split", f"{name}", "h3 c3", axis=2),
        node("Squeeze", "h3 two", "h"),
        node("Squeeze", "c3 two", "c"),
        node("Gemm", "x W B", "from_x", transB=1),
        node("Gemm", "h R", "from_h", transB=1),
        node("Add", "from_x from_h", "sum"),
        node("Split", "sum", "a b d e", axis=1),
        *(node("Sigmoid", gate, f"s{gate}") for gate in "abd"),
        node("Tanh", "e", "te"),
        node("Mul", "sb c", "kept"),
        node("Mul", "sa te", "added"),
        node("Add", "kept added", "c_new"),
        node("Tanh", "c_new", "tc"),
        node("Mul", "sd tc", "h_new"),
        node("Unsqueeze", "h_new two", "h4"),
        node("Unsqueeze", "c_new two", "c4"),
        node("Concat", "h4 c4", after, axis=2),
        node("Gemm", "h_new V", "y", transB=1),
    ]
    held = {"W": some(16, frame), "B": some(16), "R": some(16, 4), "V": some(frame, 4), "two": ints(2)}
    return graph(nodes, {"x": (1, frame), name: (1, 4, 2)}, ["y", after], held)


def test_cells_prove_what_names_and_shapes_leave_open() -> None:
    model = stacked()
    streamed(model, {"s": "t"}, frames(6), "y")
    assert [type(node.layer) for node in importer.read(model.SerializeToString()).nodes].count(LSTM) == 1


def test_a_state_in_pieces_computes_the_same_as_in_one() -> None:
    model = importer.read(stacked().SerializeToString())
    assert len(model.states) == 2 and states_parted(model) is model


def test_a_state_takes_pieces_of_another_that_is_cut_up_too() -> None:
    """The second keeps what the first was a frame ago."""
    nodes = [
        node("Split", "s", "a b", axis=1),
        node("Split", "t kept", "c d", axis=1),
        node("Gemm", "x W", "from_x"),
        node("Add", "from_x a", "sum"),
        node("Tanh", "sum", "a_new"),
        node("Mul", "a_new b", "b_new"),
        node("ReduceSum", "c one", "past", keepdims=1),
        node("Add", "past d", "d_sum"),
        node("Tanh", "d_sum", "d_new"),
        node("Concat", "a_new b_new", "s_new", axis=1),
        node("Concat", "a b d_new", "t_new", axis=1),
        node("Add", "b_new d_new", "y"),
    ]
    held = {"W": some(3, 4), "kept": ints(8, 4), "one": ints(1)}
    model = graph(nodes, {"x": (1, 3), "s": (1, 8), "t": (1, 12)}, ["y", "s_new", "t_new"], held)
    streamed(model, {"s": "s_new", "t": "t_new"}, frames(3), "y")


def test_an_lstm_cannot_tell_its_frame_from_a_state_of_the_same_size() -> None:
    assert "'p': may be a state" in problems(step_graph("p", "q", "u", "v"))


def test_a_batch_of_1_may_stand_elsewhere_in_the_output() -> None:
    nodes = [node("GRU", "x W R B - h0", "Y hn", hidden_size=5), node("Squeeze", "hn zero", "h_last")]
    held = {**GRU, "zero": ints(0)}
    step = graph(nodes, {"x": (1, 1, 3), "h0": (1, 1, 5)}, ["Y", "h_last"], held)
    streamed(step, {"h0": "h_last"}, frames(3), "Y")
    sequence = graph(nodes, {"x": ("T", 1, 3), "h0": (1, 1, 5)}, ["Y", "h_last"], held)
    assert dict(importer.analyse(sequence.SerializeToString()).states) == {"h0": "h_last"}


def counting(integer: bool) -> onnx.ModelProto:
    """A state t that counts the frames, in int64 or float32."""
    nodes = [
        node("Add", "t one", "t_out"),
        node("Cast", "t", "now", to=TensorProto.FLOAT),
        node("Concat", "x h", "both", axis=1),
        node("Gemm", "both w", "sum"),
        node("Add", "sum now", "later"),
        node("Sin", "later", "h_out"),
    ]
    held = {"one": np.ones(1, np.int64 if integer else np.float32), "w": some(7, 4)}
    model = graph(nodes, {"x": (1, 3), "h": (1, 4), "t": (1,)}, ["h_out", "t_out"], held, integers=["t"] * integer)
    for value in model.graph.output:
        value.type.tensor_type.elem_type = TensorProto.INT64 if integer and value.name == "t_out" else TensorProto.FLOAT
    return model


def test_a_counter_streams_as_float32_and_is_refused_as_a_whole_number() -> None:
    streamed(counting(False), {"h": "h_out", "t": "t_out"}, frames(3), "h_out")
    message = problems(counting(True))
    assert "'t': is a state of int64, which 't_out' replaces; the states of a stream are float32" in message
    assert "--set t=VALUE" in message
    model = importer.read(counting(True).SerializeToString(), constants={"t": 3})
    assert [state.name for state in model.states] == ["h.frame"] and len(model.outputs) == 2


def test_a_state_in_half_precision_is_said_to_be_computed_in_float32() -> None:
    model = step_graph()
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    report = importer.analyse(model.SerializeToString())
    assert dict(report.states) == {"h": "h_out", "c": "c_out"}
    assert any("without their rounding" in note for note in report.notes)


def with_default(time: int | str, ir_version: int, **arrays: Array) -> onnx.ModelProto:
    """A GRU with h0 and hn as ports; what `arrays` holds are defaults of inputs."""
    nodes = [node("GRU", "x W R B - h0", "Y hn", hidden_size=5)]
    model = graph(nodes, {"x": (time, 1, 3), "h0": (1, 1, 5)}, ["Y", "hn"], GRU)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    model.ir_version = ir_version
    if ir_version < 4:  # which lists every constant as an input
        model.graph.input.extend(helper.make_tensor_value_info(name, 1, array.shape) for name, array in GRU.items())
    return model


@pytest.mark.parametrize("time", [1, "T"])
def test_a_state_begins_at_the_default_of_its_input(time: int | str, tmp_path: Path) -> None:
    start = some(1, 1, 5)
    onnx.save(with_default(time, 8, h0=start), path := tmp_path / "m.onnx")
    model = edgernn.convert(path)
    assert model.origin["states"] == {"h0": "hn"} and (model.states[0].initial == start).all()
    (found,) = parity(model, path, steps=STEPS).values()
    assert found.frames == STEPS and found.max_error < 1e-5
    if time == 1:
        streamed(onnx.load(path), {"h0": "hn"}, frames(3), "Y", h0=start)


def test_a_constant_that_only_old_files_list_as_an_input_stays_one() -> None:
    report = importer.analyse(with_default("T", 3, h0=some(1, 1, 5)).SerializeToString())
    assert report.states == () and report.model is not None and [port.name for port in report.model.inputs] == ["x"]
