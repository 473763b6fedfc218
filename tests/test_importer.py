"""What the importer promises: it finds time and state in real layouts, and answers as ONNX Runtime does."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_cases import CELLS, GRU, beside_a_cell, graph, node, on_gru, onnx_runtime, weights
from surroundings import ints, some

from edgernn import importer
from edgernn.errors import BadModelFile
from edgernn.importer.file.dims import Time
from edgernn.layers.definition import run
from edgernn.layers.model import Model

LIMIT = 1e-5  # float32 against float64, values of order 1
STEPS = 12
GRU_ON_X = node("GRU", "x W R B", "Y Y_h", hidden_size=5)
EXPORTS = Path(__file__).parent / "exports"


def imported(model: onnx.ModelProto, **state: str) -> Model:
    return importer.read(model.SerializeToString(), state=state)


def answers(model: Model, inputs: dict[str, np.ndarray] | np.ndarray) -> dict[str, np.ndarray]:
    """The definition's answers, always by port name."""
    made = run(model, inputs)
    return made if isinstance(made, dict) else {model.outputs[0].name: made}


def frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).uniform(-1, 1, shape).astype(np.float32)


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name) for name in ("add", "sub", "mul", "floordiv", "eq", "ne", "lt", "le", "gt", "ge")
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_sizes_with_an_unknown_number_of_steps_agree_with_every_number(name: str) -> None:
    def at(size: Any, steps: int) -> int:
        return size.a * steps + size.b if isinstance(size, Time) else int(size)

    def least(*sizes: Any) -> int:
        return max(size.least if isinstance(size, Time) else 1 for size in sizes)

    sizes = [Time(), Time(2), Time(6, 4), Time(1, -1), Time(-1, 3), Time(1, -2, 3), Time(2, -5, 4), -1, 0, 1, 2, 7]
    sizes.append(999999999)  # which stands for the end of a sequence, however long that is
    for a, b in itertools.product(sizes, sizes):
        try:
            made = OPERATIONS[name](a, b)
        except (ValueError, ZeroDivisionError):
            continue
        counted = [steps for steps in range(least(a, b), 12) if at(b, steps) or name != "floordiv"]
        assert all(at(made, n) == OPERATIONS[name](at(a, n), at(b, n)) for n in counted), (a, b)


# layouts: how exporters lay out time and batch


def batch_first(batch: int | str, time: int | str) -> onnx.ModelProto:
    """x (batch, time, 3) -> y (batch, time, 5), as torch exports batch_first=True."""
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("Shape", "x", "s"),
        node("Gather", "s zero", "b", axis=0),
        node("Concat", "one b five", "h_shape", axis=0),
        node("ConstantOfShape", "h_shape", "h0"),
        node("GRU", "t W R B - h0", "Y Y_h", hidden_size=5, linear_before_reset=1),
        node("Squeeze", "Y one", "z"),
        node("Transpose", "z", "y", perm=[1, 0, 2]),
    ]
    constants = {**GRU, "zero": ints(0), "one": ints(1), "five": ints(5)}
    return graph(nodes, {"x": (batch, time, 3)}, ["y"], constants)


@pytest.mark.parametrize("batch", [1, "batch", None])
@pytest.mark.parametrize("time", ["time", None, STEPS])
def test_batch_first_layouts(batch: int | str | None, time: int | str | None) -> None:
    model = batch_first(batch, time)  # type: ignore[arg-type]
    x = frames(1, STEPS, 3)
    expected = onnx_runtime(model, {"x": x})["y"]
    assert np.abs(run(imported(model), x[0]) - expected[0]).max() < LIMIT


@pytest.mark.parametrize("last", ["gather", "slice", "Y_h"])
def test_a_classifier_answers_as_if_the_sequence_ended_now(last: str) -> None:
    picks = {
        "gather": [node("Gather", "Y minus", "h", axis=0), node("Squeeze", "h one", "s")],
        "slice": [
            node("Slice", "Y minus_1d high zero", "h"),
            node("Squeeze", "h zero", "h2"),
            node("Squeeze", "h2 zero", "s"),
        ],
        "Y_h": [node("Squeeze", "Y_h zero", "s")],
    }
    constants = {
        **GRU,
        "minus": np.array([-1]),
        "minus_1d": ints(-1),
        "high": ints(2**31 - 1),
        "zero": ints(0),
        "one": ints(1),
        "w": some(5, 2),
    }
    if last == "gather":
        constants["minus"] = np.array(-1)
        picks["gather"] = [node("Gather", "Y minus", "h", axis=0), node("Squeeze", "h zero", "s")]
    model = graph([GRU_ON_X, *picks[last], node("MatMul", "s w", "y")], {"x": ("T", 1, 3)}, ["y"], constants)
    x = frames(STEPS, 1, 3)
    y = run(imported(model), x[:, 0])
    for t in (1, 5, STEPS):
        assert np.abs(y[t - 1] - onnx_runtime(model, {"x": x[:t]})["y"].reshape(-1)).max() < LIMIT


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceL2"])
def test_a_reduction_over_time_answers_as_if_the_sequence_ended_now(kind: str) -> None:
    nodes = [GRU_ON_X, node(kind, "Y", "y", axes=[0, 1], keepdims=0)]
    model = graph(nodes, {"x": ("T", 1, 3)}, ["y"], GRU, opset=12)
    x = frames(STEPS, 1, 3)
    y = run(imported(model), x[:, 0])
    for t in (1, 5, STEPS):
        assert np.abs(y[t - 1] - onnx_runtime(model, {"x": x[:t]})["y"].reshape(-1)).max() < LIMIT


def test_an_unused_input_is_left_out_and_told() -> None:
    constants = GRU
    model = graph([GRU_ON_X], {"x": ("T", 1, 3), "rate": ()}, ["Y"], constants)
    report = importer.analyse(model.SerializeToString())
    assert report.model is not None and [port.name for port in report.model.inputs] == ["x"]
    assert report.notes == ("the input 'rate' has no effect and is left out",)


def test_an_if_whose_condition_is_constant_becomes_its_branch() -> None:
    branches = {
        name: helper.make_graph([node(kind, inputs, name)], name, [], [helper.make_tensor_value_info(name, 1, None)])
        for name, kind, inputs in (("good", "Tanh", "Y"), ("bad", "Loop", "- Y"))
    }
    nodes = [
        GRU_ON_X,
        node("Shape", "Y", "s"),
        node("Gather", "s last", "n"),
        node("Equal", "n five", "same"),
        node("If", "same", "y", then_branch=branches["good"], else_branch=branches["bad"]),
    ]
    constants = GRU | {"last": np.array(3), "five": np.array(5)}
    model = graph(nodes, {"x": ("T", 1, 3)}, ["y"], constants)
    assert [type(n.layer).__name__ for n in imported(model).nodes][-1] == "Map"


def test_local_functions_are_put_in_place() -> None:
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 17)]
    )
    call = helper.make_node("Twice", ["Y"], ["y"], domain="mine", name="call")
    model = graph([GRU_ON_X, call], {"x": ("T", 1, 3)}, ["y"], GRU)
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    assert [type(n.layer).__name__ for n in imported(model).nodes][-1] == "Combine"


def test_values_go_by_the_places_of_their_nodes_and_what_a_user_sees_by_its_name_in_the_file() -> None:
    lstm = node("LSTM", "1 W R B", "Y Y_h Y_c", hidden_size=5)
    model = imported(graph([lstm, node("Tanh", "Y", "y")], {"1": ("T", 1, 3)}, ["y", "Y_c"], weights("LSTM", 3, 5)))
    assert [node.outputs for node in model.nodes] == [("0",), ("1.", "1.1"), ("2",), ("3",)], "the input is called 1"
    assert [node.inputs for node in model.nodes] == [("1",), ("0", "LSTM_Y.state", "LSTM_Y.state.2"), ("1.",), ("2",)]
    assert [state.source for state in model.states] == ["1.", "1.1"]
    assert [(port.name, port.value) for port in model.outputs] == [("y", "3"), ("Y_c", "1.1")]
    assert [model.nodes[place].name for place in (1, 3)] == ["Y", "y"]


def test_a_version_that_is_named_twice_is_one() -> None:
    model = graph([GRU_ON_X], {"x": ("T", 1, 3)}, ["Y"], GRU)
    model.opset_import.append(helper.make_opsetid("", 17))
    assert imported(model).outputs[0].name == "Y"
    model.opset_import.append(helper.make_opsetid("", 16))
    with pytest.raises(BadModelFile, match="one version"):
        imported(model)


@pytest.mark.parametrize("name", sorted(path.stem for path in EXPORTS.glob("*.onnx")))
def test_every_export_converts_and_agrees_or_says_what_it_is(name: str) -> None:
    report = importer.analyse(EXPORTS / f"{name}.onnx")
    if report.model is None:
        assert any(text in str(report.problems) for text in LATER)
        return
    saved = np.load(EXPORTS / f"{name}.npz")
    given = {port.name: saved[port.name if port.name in saved else "x"] for port in report.model.inputs}
    starts = {i: saved[i].reshape(-1) for i, _ in report.states if i in saved}
    y = answers(with_states(report.model, starts), given)[report.model.outputs[0].name]
    expected = saved["y"].reshape(-1, y.shape[-1])
    y = y[-1:] if len(expected) == 1 else y[report.model.delay // report.model.hop :]
    assert 0 < len(y) <= len(expected)
    assert np.abs(y - expected[: len(y)]).max() < LIMIT


LATER = ("bidirectional", "takes the mean over time")


def with_states(model: Model, starts: dict[str, np.ndarray]) -> Model:
    """The model with other initial states, by the name of the graph's input."""
    states = [
        replace(s, initial=starts[name].reshape(s.initial.shape)) if (name := s.name.split(".")[0]) in starts else s
        for s in model.states
    ]
    return replace(model, states=tuple(states))


def test_the_origin_tells_where_a_model_came_from() -> None:
    model = CELLS["gru"].model()
    model.producer_name, model.producer_version = "somebody", "1.2"
    origin = imported(model).origin
    assert origin["producer"] == "somebody 1.2" and origin["opset"] == 17 and len(origin["sha256"]) == 64


def test_half_precision_weights_are_taken(tmp_path: Path) -> None:
    model = on_gru(
        node("Cast", "w", "v", to=1), node("MatMul", "Y v", "y"), constants={"w": some(5, 2).astype(np.float16)}
    )
    assert imported(model).nodes[-1].layer.weights().__next__()[1].dtype == np.float32  # type: ignore[union-attr]


def test_what_is_computed_twice_is_computed_once() -> None:
    same = np.full((3, 3), 0.5, np.float32)
    nodes = [node("MatMul", "x a", "p"), node("MatMul", "x b", "q"), node("Tanh", "p", "s"), node("Tanh", "q", "t")]
    nodes += [node("Mul", "s t", "m"), node("GRU", "m W R B", "y", hidden_size=5)]
    held = weights("GRU", 3, 5) | {"a": same, "b": same.copy()}
    model = importer.read(graph(nodes, {"x": ("T", 1, 3)}, ["y"], held).SerializeToString())
    assert [type(n.layer).__name__ for n in model.nodes if type(n.layer).__name__ != "Reshape"] == [
        "Affine",
        "Map",
        "Combine",
        "GRU",
    ]


@pytest.mark.parametrize("opset", [11, 13])
def test_a_softmax_of_constants_is_that_of_its_opset(opset: int) -> None:
    nodes = [node("Softmax", "c", "weights", axis=1), node("Mul", "x weights", "y")]
    file = beside_a_cell(nodes, ("T", 2, 3), {"c": some(1, 2, 3)}, opset)
    x = np.random.default_rng(0).standard_normal((7, 2, 3)).astype(np.float32)
    answers = run(imported(file), x.reshape(7, 6))
    assert isinstance(answers, dict)
    assert np.abs(answers["y"].reshape(x.shape) - onnx_runtime(file, {"x": x})["y"]).max() < 1e-6


def test_an_answer_may_be_empty() -> None:
    """Cut to nothing beside the answer that counts, then divided: one number meets none."""
    held = {"none": ints(0), "feature": ints(3), "c": some(1)}
    model = imported(on_gru(node("Slice", "Y none none feature", "e"), node("Div", "c e", "y"), constants=held))
    x = some(STEPS, 3)
    assert [port.size for port in model.outputs] == [0]
    assert answers(model, x)["y"].shape == model.stream().run(x).shape == (STEPS, 0)
