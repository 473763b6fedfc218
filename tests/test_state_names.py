"""What names, sizes and cells say of the inputs of a step graph: states, or parts of the frame beside them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_cases import GRU, graph, node
from surroundings import ints, some
from test_importer_states import LIMIT, STEPS, frames, problems, step_graph, stepped

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.layers.definition import run


def beside_a_state(size: int, second: int, *answers: str) -> onnx.ModelProto:
    """A frame of `size`, a second input `other` and a state of 5; answers y (of `size`), and z (of `second`)."""
    nodes = [
        node("Concat", "x other h", "all", axis=1),
        node("Gemm", "all w", "sum"),
        node("Tanh", "sum", "h_out"),
        node("Gemm", "h_out v", "y"),
        node("Gemm", "h_out u", "z"),
    ]
    held = {"w": some(size + second + 5, 5), "v": some(5, size), "u": some(5, second)}
    return graph(nodes, {"x": (1, size), "other": (1, second), "h": (1, 5)}, [*answers, "h_out"], held)


@pytest.mark.parametrize(("size", "second", "answers"), [(3, 1, "yz"), (3, 4, "yz"), (4, 4, "y"), (4, 4, "yz")])
@pytest.mark.parametrize("named", [{}, {"h": "h_out"}])
def test_an_input_of_the_size_of_an_answer_is_no_state_beside_others(
    size: int, second: int, answers: str, named: dict[str, str]
) -> None:
    """A mask, a second microphone, a speaker's embedding, the voltage beside the current."""
    data = beside_a_state(size, second, *answers).SerializeToString()
    report = importer.analyse(data, named)
    assert dict(report.states) == {"h": "h_out"} and report.model is not None
    assert [port.name for port in report.model.inputs] == ["x", "other"]
    assert any("'other' is taken as a part of the frame" in note for note in report.notes) == (second > 1)
    fed_back = importer.analyse(data, {"h": "h_out", "other": answers[-1]})
    assert dict(fed_back.states) == {"h": "h_out", "other": answers[-1]}


def test_what_only_its_shape_calls_a_state_is_said_and_can_be_none() -> None:
    nodes = [
        node("Concat", "a b", "both", axis=1),
        node("Gemm", "both w", "sum"),
        node("Tanh", "sum", "d"),
        node("Gemm", "d v", "e"),
    ]
    held = {"w": some(7, 4), "v": some(4, 2)}
    feed_forward = graph(nodes, {"a": (1, 3), "b": (1, 4)}, ["e", "d"], held).SerializeToString()
    report = importer.analyse(feed_forward)
    assert report.states == (("b", "d"),) and any("only its shape says that 'b' is a state" in n for n in report.notes)
    with pytest.raises(UnsupportedModel, match="nothing is carried from frame to frame"):
        importer.read(feed_forward, state={"b": ""})
    with pytest.raises(UnsupportedModel, match="'c': is no input"):
        importer.read(feed_forward, state={"c": ""})


def scanned(carry: str, x: str, carried: str, y: str) -> onnx.ModelProto:
    """The step of a scan, (carry, x) -> (carry, y), with everything of one size."""
    nodes = [
        node("Concat", f"{carry} {x}", "both", axis=1),
        node("Gemm", "both w", "sum"),
        node("Tanh", "sum", carried),
        node("Gemm", f"{carried} v", y),
    ]
    return graph(nodes, {carry: (1, 4), x: (1, 4)}, [carried, y], {"w": some(8, 4), "v": some(4, 4)})


@pytest.mark.parametrize("names", ["in_0 in_1 out_0 out_1", "input_1 input_2 output_1 output_2", "prev x new_prev y"])
def test_a_number_is_no_name_and_a_filling_word_alone_calls_no_frame(names: str) -> None:
    carry, x, carried, y = names.split()
    data = scanned(carry, x, carried, y).SerializeToString()
    with pytest.raises(UnsupportedModel, match=f"'{carry}': may be a state"):
        importer.read(data)
    report = importer.analyse(data, {carry: carried})
    assert dict(report.states) == {carry: carried} and report.model is not None
    assert [port.name for port in report.model.inputs] == [x]


def test_a_state_that_its_name_adds_to_those_of_the_user_is_said() -> None:
    report = importer.analyse(step_graph().SerializeToString(), {"h": "h_out"})
    assert dict(report.states) == {"h": "h_out", "c": "c_out"}
    assert any("'c' is a state that 'c_out' replaces, too" in note for note in report.notes)


def test_what_is_called_a_state_is_asked_about_beside_others() -> None:
    nodes = [
        node("GRU", "x W R B - p", "Y q", hidden_size=5),
        node("Reshape", "Y row", "u"),
        node("Concat", "u rnn_h", "both", axis=1),
        node("Gemm", "both w", "sum"),
        node("Sin", "sum", "v"),
        node("Gemm", "v o", "y"),
    ]
    held = {**GRU, "row": ints(1, 5), "w": some(10, 5), "o": some(5, 2)}
    data = graph(nodes, {"x": (1, 1, 3), "p": (1, 1, 5), "rnn_h": (1, 5)}, ["y", "q", "v"], held).SerializeToString()
    with pytest.raises(UnsupportedModel, match="'rnn_h': may be a state that 'v' replaces"):
        importer.read(data)
    assert dict(importer.analyse(data, {"rnn_h": "v"}).states) == {"p": "q", "rnn_h": "v"}
    assert dict(importer.analyse(data, {"rnn_h": ""}).states) == {"p": "q"}


@pytest.mark.parametrize("n_in", [3, 4])
def test_cells_prove_their_states_beside_others_that_have_none(n_in: int) -> None:
    """A cache by its name, and an LSTM written out whose names tell nothing; its frame may be as large as its state."""
    model = step_graph("p", "q", "u", "v")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = n_in
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "W")
    weight.CopyFrom(onnx.numpy_helper.from_array(some(16, n_in), "W"))
    model.graph.node[-1].output[0] = "dense"
    model.graph.node.extend([node("Mul", "dense dense", "cache_out"), node("Add", "cache_in dense", "y")])
    model.graph.input.append(onnx.helper.make_tensor_value_info("cache_in", 1, [1, 4]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("cache_out", 1, None))
    if n_in == 3:
        report = importer.analyse(model.SerializeToString())
        assert dict(report.states) == {"cache_in": "cache_out", "p": "u", "q": "v"}, report
    else:
        assert "'p': may be a state" in problems(model)


@pytest.mark.parametrize("last", ["q", "Y_h"])
def test_what_a_cell_leaves_behind_may_be_the_answer_too(last: str) -> None:
    """Two outputs hold the same numbers: the first is the answer, whatever the names."""
    nodes = [node("GRU", "x W R B - p", f"Y {last}", hidden_size=5), node("Squeeze", "Y zero", "y")]
    model = graph(nodes, {"x": (1, 1, 3), "p": (1, 1, 5)}, ["y", last], {**GRU, "zero": ints(0)})
    report = importer.analyse(model.SerializeToString())
    assert dict(report.states) == {"p": last} and report.model is not None
    x = frames(STEPS, 1, 3)
    expected = stepped(model, x, {"p": last}, {"p": (1, 1, 5)})
    assert np.abs(run(report.model, x[:, 0]) - expected).max() < LIMIT


def test_a_single_number_is_no_state_by_its_shape() -> None:
    nodes = [node("Concat", "features temperature", "both", axis=1), node("Gemm", "both w", "forecast")]
    model = graph(nodes, {"features": (1, 6), "temperature": (1, 1)}, ["forecast"], {"w": some(7, 1)})
    assert "nothing is carried from frame to frame" in problems(model)
