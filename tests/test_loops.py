"""Loops over time, as Loop and Scan: the body becomes the step of a stream, or the loop is refused with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from loop_cases import CELL, COUNT, GO, READ, Over, Scanned, subgraph
from onnx_cases import node, onnx_runtime
from test_exports import FOLDER

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.importer.file.dims import Time
from edgernn.importer.walk.steps import BEFORE_LAST, Now
from edgernn.layers.definition import run
from edgernn.layers.gru import GRU
from edgernn.layers.lstm import LSTM
from edgernn.layers.model import Model
from edgernn.layers.rnn import RNN

LIMIT = 1e-5  # float32 against float64, values of order 1
STEPS = 12
COUNTED = [node("Add", "k one", "k2"), node("Less", "k2 n", "go_on")]
GRU_IN_BODY = [
    READ, node("Unsqueeze", "f zero_1d", "f3"), node("Unsqueeze", "h zero_1d", "h3"),
    node("GRU", "f3 gW gR - - h3", "- gh", hidden_size=5), node("Squeeze", "gh zero_1d", "h2"), GO,
]  # fmt: skip

WITH_A_COUNT = ("i c h k", "go_on h2 k2 h2")
AGAIN = subgraph([node("Gather", "ys i", "f"), node("MatMul", "f R", "wx"), *CELL[1:], GO], "i c h", "go_on h2 h2")

OVER: dict[str, Over | Scanned] = {
    "loop": Over(),
    "loop without a first condition": Over(inputs="n - h0"),
    "loop that counts": Over([READ, *CELL, *COUNTED], "n yes h0 zero", "last count ys", "i c h k", "go_on h2 k2 h2"),
    "loop by its own count": Over(
        [node("Gather", "x k", "f"), *CELL, *COUNTED], "n yes h0 zero", "last count ys", "i c h k", "go_on h2 k2 h2"
    ),
    "loop while": Over(
        [READ, *CELL, *COUNTED],
        "huge begins h0 zero",
        "last count ys",
        "i c h k",
        "go_on h2 k2 h2",
        before=[*COUNT, node("Less", "zero n", "begins")],
    ),
    "loop while, as floats": Over(
        [READ, *CELL, node("Add", "k one", "k2"), node("Cast", "k2", "ka", to=1), node("Cast", "n", "kb", to=1),
         node("Less", "ka kb", "c1"), node("And", "c1 c", "go_on")],
        "- yes h0 zero", "last count ys", "i c h k", "go_on h2 k2 h2",
    ),
    "what is carried unchanged": Over(
        [READ, node("MatMul", "f V", "wx"), *CELL[1:], GO, node("Identity", "V", "V2")],
        "n yes h0 W", "last weights ys", "i c h V", "go_on h2 V2 h2", shown=("ys",),
    ),
    "last state only": Over(made="go_on h2", outputs="last", shown=("last",)),
    "an initial state": Over(inputs="n yes h1"),
    "states that change places": Over(
        [READ, *CELL, GO, node("Identity", "h", "g2")], "n yes h0 h1", "last other ys", "i c h g", "go_on g h2 h2",
        shown=("ys", "other"),
    ),
    "the frame before": Over(
        [READ, node("Sub", "f p", "d"), node("MatMul", "d W", "wx"), *CELL[1:], GO],
        "n yes h0 x0", "last count ys", "i c h p", "go_on h2 f h2",
    ),
    "a slice": Over(
        [node("Unsqueeze", "i zero_1d", "i1"), node("Add", "i1 one_1d", "i2"), node("Slice", "x i1 i2 zero_1d", "f3"),
         node("Squeeze", "f3 zero_1d", "f"), *CELL, GO],
    ),
    "an index that may be negative": Over(
        [node("Less", "i zero", "c1"), node("Add", "i n", "i1"), node("Where", "c1 i1 i", "i2"),
         node("Gather", "x i2", "f"), *CELL, GO],
    ),
    "batch first": Over(
        [node("Gather", "x i", "f", axis=1), *CELL, GO],
        before=[node("Shape", "x", "s"), node("Gather", "s one", "n")],
        after=[node("Transpose", "ys", "y", perm=[1, 0, 2])], shown=("y",), dims=("B", "T", 3),
    ),
    "a mask": Over(
        [READ, *CELL[:3], node("Tanh", "a", "new"), node("ReduceSum", "f one_1d", "sum"),
         node("Less", "sum zero_f", "c1"), node("Where", "c1 h new", "h2"), GO],
    ),
    "a cell as one node": Over(GRU_IN_BODY),
    "what does not change": Over([READ, *CELL, GO, node("Identity", "third", "y2")], made="go_on h2 y2"),
    "two loops with the same names": Over(
        after=[node("Loop", "n yes h0", "last2 zs", body=AGAIN)], shown=("zs", "last2")
    ),
    "scan": Scanned(),
    "scan along another axis": Scanned(
        attributes=(("scan_input_axes", [1]), ("scan_output_axes", [-2])), dims=(1, "T", 3)
    ),
    "scan of two sequences": Scanned(
        [node("Sub", "f e", "d"), node("MatMul", "d W", "wx"), *CELL[1:]], "h0 x z", "h f e", "h2 h2",
        (("num_scan_inputs", 2),), [node("Sin", "x", "z")],
    ),
}  # fmt: skip


def imported(model: onnx.ModelProto) -> Model:
    return importer.read(model.SerializeToString())


@pytest.mark.parametrize("name", OVER)
def test_a_loop_over_time_answers_as_onnx_runtime(name: str) -> None:
    """Sequences of every step, and what is left after the last: as if the sequence ended there."""
    made = OVER[name].model()
    x = np.random.default_rng(5).uniform(-1, 1, (STEPS, 3)).astype(np.float32)
    model = imported(made)
    found = run(model, x)
    answers = found if isinstance(found, dict) else {model.outputs[0].name: found}
    for length in (1, 2, STEPS):
        shape = tuple(length if n == "T" else n if isinstance(n, int) else 1 for n in OVER[name].dims)
        for output, expected in onnx_runtime(made, {"x": x[:length].reshape(shape)}).items():
            wanted = expected.reshape(-1, answers[output].shape[1])
            assert np.abs(answers[output][length - len(wanted) : length] - wanted).max() < LIMIT, output


def test_a_state_of_the_graph_is_hidden() -> None:
    """What a Loop starts from and leaves behind is carried on, from file to file of frames and in a stream."""
    made = Over(inputs="n yes start", given={"start": (1, 5)}).model()
    x = np.random.default_rng(5).uniform(-1, 1, (STEPS, 1, 3)).astype(np.float32)
    model = imported(made)
    assert [port.name for port in model.inputs + model.outputs] == ["x", "ys"]
    first = onnx_runtime(made, {"x": x[:5], "start": np.zeros((1, 5), np.float32)})
    second = onnx_runtime(made, {"x": x[5:], "start": first["last"]})
    expected = np.concatenate([first["ys"], second["ys"]]).reshape(STEPS, 5)
    assert np.abs(run(model, x[:, 0]) - expected).max() < LIMIT


REFUSED: dict[str, tuple[Over | Scanned, str]] = {
    "ends by its data": (
        Over([READ, *CELL, node("ReduceMax", "h2", "m", keepdims=0), node("Less", "m one_f", "go_on")]),
        "ends by a condition that is computed at run time",
    ),
    "begins by its data": (
        Over(inputs="n begins h0", before=[*COUNT, node("ReduceMax", "x", "m", keepdims=0),
                                           node("Less", "m one_f", "begins")]),
        "whether it begins is computed at run time",
    ),
    "runs five times": (Over(inputs="five yes h0"), "runs over 5 steps of a sequence of T"),
    "runs as often as its data says": (
        Over(before=[node("ReduceMax", "x", "m", keepdims=0), node("Cast", "m", "n", to=7)]),
        "how often it runs is computed at run time",
    ),
    "stops one step early": (
        Over([READ, *CELL, node("Add", "i two", "k2"), node("Less", "k2 n", "go_on")]),
        "depends on the step",
    ),
    "never ends": (Over(inputs="huge yes h0"), "does not end with the sequence"),
    "reads the step before": (
        Over([node("Sub", "i one", "i1"), node("Gather", "x i1", "f"), *CELL, GO]),
        "reads step now + (-1)",
    ),
    "reads backwards": (
        Over([node("Sub", "n one", "n1"), node("Sub", "n1 i", "i1"), node("Gather", "x i1", "f"), *CELL, GO]),
        "reads step -now + (T-1)",
    ),
    "reads the first step": (
        Over([READ, *CELL[:3], node("Gather", "x zero", "e"), node("MatMul", "e W", "we"), node("Add", "a we", "b"),
              node("Tanh", "b", "h2"), GO]),
        "takes step [0] of the sequence in every step",
    ),
    "reads the whole sequence": (
        Over([READ, *CELL[:3], node("ReduceMean", "x", "e", axes=[0], keepdims=0), node("MatMul", "e W", "we"),
              node("Add", "a we", "b"), node("Tanh", "b", "h2"), GO]),
        "reads a whole sequence in every step",
    ),
    "reads what comes at the end": (
        Over([READ, *CELL[:3], node("Add", "a end", "b"), node("Tanh", "b", "h2"), GO],
             before=[*COUNT, node("MatMul", "x W", "e"), node("Gather", "e minus", "end")]),
        "at the end of the sequence only",
    ),
    "starts from what comes at the end": (
        Over(inputs="n yes end", before=[*COUNT, node("MatMul", "x W", "e"), node("Gather", "e minus", "end")]),
        "starts from what is known at the end",
    ),
    "starts from the first step": (
        Over(inputs="n yes first", before=[*COUNT, node("MatMul", "x W", "e"), node("Gather", "e zero", "first")]),
        "takes step [0]",
    ),
    "a table by the number of the step": (
        Over([READ, *CELL[:3], node("Gather", "R i", "p"), node("Add", "a p", "b"), node("Tanh", "b", "h2"), GO]),
        "picks from a constant by the number of the step",
    ),
    "computes with the number of the step": (
        Over([READ, *CELL[:3], node("Cast", "i", "p", to=1), node("Add", "a p", "b"), node("Tanh", "b", "h2"), GO]),
        "computes with the number of steps",
    ),
    "counts by two": (
        Over([READ, *CELL, node("Add", "k two", "k2"), GO], "n yes h0 zero", "last count ys", *WITH_A_COUNT),
        "do not count the steps one by one",
    ),
    "counts what it sees": (
        Over([READ, *CELL, node("ReduceMax", "h2", "m", keepdims=0), node("Cast", "m", "k1", to=7),
              node("Add", "k k1", "k2"), GO], "n yes h0 zero", "last count ys", "i c h k", "go_on h2 k2 h2"),
        "computes with the number of steps",
    ),
    "grows": (
        Over([READ, *CELL, GO, node("Concat", "e h2", "e2", axis=0)], "n yes h0 h1", "last all ys", "i c h e",
             "go_on h2 e2 h2", shown=("ys", "all")),
        "whose shape changes",
    ),
    "a loop in a loop": (
        Over([READ, *CELL[:3], node("Loop", "n yes a", "h2", body=subgraph([node("Tanh", "b", "b2"), node(
            "Identity", "c2", "go2")], "i2 c2 b", "go2 b2")), GO]),
        "a loop in the body of another loop",
    ),
    "gives the number of the step": (Over(made="go_on h2 i"), "the number of the step"),
    "divides the number of the step": (
        Over([node("Div", "i two", "i2"), node("Gather", "x i2", "f"), *CELL, GO]), "computes Div of now",
    ),
    "scan of a constant beside the sequence": (
        Scanned([node("Sub", "f e", "d"), node("MatMul", "d W", "wx"), *CELL[1:]], "h0 x rows", "h f e", "h2 h2",
                (("num_scan_inputs", 2),), dims=(4, 1, 3)),
        "scans a constant, by the number of the step",
    ),
    "scan backwards": (Scanned(attributes=(("scan_input_directions", [1]),)), "needs the end of the sequence"),
    "scan prepends": (Scanned(attributes=(("scan_output_directions", [1]),)), "needs the end of the sequence"),
    "scan of opset 8": (Scanned(opset=8), "is a Scan of opset 8"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_loop_is_refused_with_its_reason(name: str) -> None:
    case, reason = REFUSED[name]
    with pytest.raises(UnsupportedModel) as raised:
        imported(case.model())
    assert reason in str(raised.value)
    assert "--set" not in str(raised.value) and "scanned axis" not in str(raised.value)


LAYERS: dict[str, tuple[type, ...]] = {
    "elman_keras": (RNN,),
    "deep_rnn_keras": (RNN, RNN, RNN),
    "deep_gru_keras": (GRU, GRU, GRU),
    "keras_gru_reset_after": (GRU,),
    "keras_gru_reset_before": (GRU,),
    "keras_masked_embedding": (LSTM,),
    "scripted_torchscript": (LSTM,),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_cell_in_a_loop_is_one_layer(name: str) -> None:
    found = [node.layer for node in importer.read(FOLDER / f"{name}.onnx").nodes]
    cells = [layer for layer in found if isinstance(layer, (RNN, GRU, LSTM))]
    assert tuple(map(type, cells)) == LAYERS[name]
    assert all(
        layer.linear_before_reset == (name != "keras_gru_reset_before") for layer in cells if isinstance(layer, GRU)
    )


NOW: list[tuple[Callable[[Any, Any], Any], Any]] = [
    (lambda now, T: now < T, True),
    (lambda now, T: now >= 0, True),
    (lambda now, T: now + 1 < T, BEFORE_LAST),
    (lambda now, T: now <= T - 2, BEFORE_LAST),
    (lambda now, T: now == T, False),
    (lambda now, T: now == -1, False),
    (lambda now, T: now - T < 0, True),
    (lambda now, T: (T - now) - T == -now, True),
    (lambda now, T: (now + 1 < T) & True & (now < T), BEFORE_LAST),
    (lambda now, T: (now < 0) | (now + 1 < T), BEFORE_LAST),
]


@pytest.mark.parametrize("length", [Time(), 7])
@pytest.mark.parametrize(("says", "expected"), NOW)
def test_conditions_on_the_number_of_the_step(says: Callable[[Any, Any], Any], expected: Any, length: Any) -> None:
    assert says(Now(length), length) is expected


@pytest.mark.parametrize("length", [Time(), 7])
def test_what_depends_on_the_step_is_not_decided(length: Any) -> None:
    now = Now(length)
    for says in (lambda: now == 0, lambda: now + 2 < length, lambda: now > 3, lambda: now * 2, lambda: now + 0.5, bool):
        with pytest.raises(ValueError):
            says() if says is not bool else bool(now + 1 < length)
