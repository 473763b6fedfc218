"""Every layer's `step`, walked over a sequence in float64, equals ONNX Runtime; and its lowering equals its step."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import oracle
import pytest
from chain_cases import SURROUNDINGS
from direct import Direct
from onnx_cases import CELLS, Cell, graph, node, onnx_runtime

from edgernn import importer
from edgernn.layers.definition import run
from edgernn.layers.model import Model

STEPS = 20
# ONNX Runtime refuses layout=1, and names of functions in lower case that the specification allows
BY_ONNX_RUNTIME = [name for name in CELLS if not name.endswith(("layout-1", "lower-case"))]
LIMIT = 1e-5  # float32 against float64, values of order 1


def frames(model: onnx.ModelProto, steps: int = STEPS) -> tuple[np.ndarray, int]:
    """A random input in the graph's own layout, and which axis of it is time."""
    dims = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    shape = [steps if dim == "T" else dim for dim in dims]
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32), dims.index("T")


def by_frame(values: np.ndarray, time: int) -> np.ndarray:
    """(T, ...) with one row a frame."""
    return np.moveaxis(values, time, 0).reshape(values.shape[time], -1)


def stream(model: onnx.ModelProto) -> tuple[Model, dict[str, np.ndarray], np.ndarray]:
    """The imported model, its answers by port name, and the input that they answer."""
    imported = importer.read(model.SerializeToString())
    x, time = frames(model)
    answers = run(imported, by_frame(x, time))
    if not isinstance(answers, dict):
        answers = {imported.outputs[0].name: answers}
    return imported, answers, x


def expected_of(cell: Cell, x: np.ndarray) -> dict[str, np.ndarray]:
    """The oracle's answers for a cell."""
    held = cell.constants()
    given: dict[str, Any] = {
        {"activation_alpha": "alpha", "activation_beta": "beta"}.get(name, name): value
        for name, value in cell.attributes.items()
    }
    if "activations" in given:
        spelled = {name.lower(): name for name in oracle.ACTIVATIONS}
        given["activations"] = [spelled[name.lower()] for name in given["activations"]]
    initial = {"initial_h": held.get("H"), "initial_c": held.get("C"), "P": held.get("P")}
    optional = {name: value for name, value in initial.items() if value is not None}
    kind = {"RNN": oracle.rnn, "GRU": oracle.gru, "LSTM": oracle.lstm}[cell.kind]
    made = kind(x, held["W"], held["R"], held.get("B"), **optional, **given)
    return dict(zip(("Y", "Y_h", "Y_c"), made, strict=False))


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_equals_the_oracle(name: str) -> None:
    cell = CELLS[name]
    _, answers, x = stream(cell.model())
    expected = expected_of(cell, x)
    time = 1 if cell.attributes.get("layout") else 0
    assert np.abs(answers["Y"] - by_frame(expected["Y"], time)).max() < LIMIT
    for port in expected.keys() - {"Y"}:
        assert np.abs(answers[port][-1] - expected[port].reshape(-1)).max() < LIMIT


@pytest.mark.parametrize("name", BY_ONNX_RUNTIME)
def test_the_oracle_equals_onnx_runtime(name: str) -> None:
    cell = CELLS[name]
    model = cell.model()
    x, _ = frames(model)
    expected = expected_of(cell, x)
    for port, values in onnx_runtime(model, {"x": x}).items():
        assert np.abs(values - expected[port]).max() < LIMIT


@pytest.mark.parametrize("outputs", ["Y", "- Y_h", "- - Y_c", "Y - Y_c", "- Y_h Y_c"])
def test_any_subset_of_outputs(outputs: str) -> None:
    cell = CELLS["lstm"]
    names = outputs.replace("-", "").split()
    model = graph(
        [node("LSTM", "x W R B", outputs, hidden_size=cell.hidden)], {"x": ("T", 1, 3)}, names, cell.constants()
    )
    _, answers, x = stream(model)
    expected = onnx_runtime(model, {"x": x})
    for port in names:
        rows = answers[port] if port == "Y" else answers[port][-1:]
        assert np.abs(rows - expected[port].reshape(rows.shape)).max() < LIMIT


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_an_operator_equals_onnx_runtime(name: str) -> None:
    model = SURROUNDINGS[name].model()
    _, answers, _ = stream(model)
    shapes = {steps: onnx_runtime(model, {"x": frames(model, steps)[0]}) for steps in (STEPS, STEPS + 1)}
    for port, values in shapes[STEPS].items():
        longer = shapes[STEPS + 1][port].shape
        time = next(axis for axis, n in enumerate(values.shape) if longer[axis] != n)
        assert np.abs(answers[port] - by_frame(values, time)).max() < LIMIT, port


@pytest.mark.parametrize("name", [*CELLS, *SURROUNDINGS])
def test_a_lowering_equals_the_step(name: str) -> None:
    model = (CELLS.get(name) or SURROUNDINGS[name]).model()
    imported, answers, x = stream(model)
    _, time = frames(model)
    lowered = Direct(imported).run(by_frame(x, time))
    for port, values in answers.items():
        assert np.abs(lowered[port] - values).max() < 1e-9, port


@pytest.mark.parametrize("tokens", [[3, 0, 9, 9, 1], [-1, -10, 2, 5, -3]])
def test_an_embedding_equals_onnx_runtime(tokens: list[int]) -> None:
    table = np.random.default_rng(0).uniform(-1, 1, (10, 3)).astype(np.float32)
    cell = CELLS["gru"].constants()
    nodes = [
        node("Gather", "table x", "e"),
        node("Transpose", "e", "t", perm=[1, 0, 2]),
        node("GRU", "t W R B", "y", hidden_size=5),
    ]
    model = graph(nodes, {"x": (1, "T")}, ["y"], {"table": table, **cell}, integers=["x"])
    imported = importer.read(model.SerializeToString())
    assert (imported.inputs[0].dtype, imported.inputs[0].low, imported.inputs[0].high) == ("int64", -10, 9)
    expected = onnx_runtime(model, {"x": np.array([tokens])})["y"]
    assert np.abs(run(imported, np.array(tokens)) - by_frame(expected, 0)).max() < LIMIT
    assert np.abs(Direct(imported).run(np.array(tokens))["y"] - by_frame(expected, 0)).max() < LIMIT
