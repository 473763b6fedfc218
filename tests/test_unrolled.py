"""Graphs that hold the computation of a step once for each step: rolled up again, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_cases import graph, node, onnx_runtime
from surroundings import ints, some
from test_exports import FOLDER

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.layers.definition import run
from edgernn.layers.gru import GRU
from edgernn.layers.lstm import LSTM
from edgernn.layers.model import Model
from edgernn.layers.rnn import RNN

LIMIT = 1e-5  # float32 against float64, values of order 1
STEPS = 6
CONSTANTS: dict[str, Any] = {
    "W": some(3, 5), "R": some(5, 5) / 2, "b": some(5), "Rb": some(1, 5), "h": np.zeros((1, 5), np.float32),
    "half": np.array(0.5, np.float32), "axis": ints(1), "V": some(5, 2), "other": some(3, 5),
    "x_before": np.zeros((1, 3), np.float32),
    **{f"i{t}": np.array(t) for t in range(STEPS)}, **{f"t{t}": ints(t) for t in range(STEPS + 1)},
    "ones": np.ones(STEPS, np.int64), "W_rnn": some(1, 5, 3), "R_rnn": some(1, 5, 5),
    "R_odd": some(5, 5),
}  # fmt: skip
CONSTANTS["W4"], CONSTANTS["R4"] = some(3, 20), some(5, 20) / 2
Nodes = list[onnx.NodeProto]


def gathered() -> Nodes:
    """x_t of x (1, T, 3) by Gather."""
    return [node("Gather", f"x i{t}", f"x_{t}", axis=1) for t in range(STEPS)]


def sliced() -> Nodes:
    """The same by Slice and Squeeze."""
    made = [
        (node("Slice", f"x t{t} t{t + 1} axis", f"s_{t}"), node("Squeeze", f"s_{t} axis", f"x_{t}"))
        for t in range(STEPS)
    ]
    return [one for pair in made for one in pair]


def split() -> Nodes:
    """The same by Split and Squeeze."""
    parts = " ".join(f"s_{t}" for t in range(STEPS))
    return [node("Split", "x ones", parts, axis=1), *(node("Squeeze", f"s_{t} axis", f"x_{t}") for t in range(STEPS))]


def rnn(t: int, x: str = "x_", h: str = "h", W: str = "W") -> Nodes:
    """h_t = tanh(W x_t + R h_{t-1} + b); h stands before h_0."""
    before = f"{h}_{t - 1}" if t else h
    return [
        node("MatMul", f"{x}{t} {W}", f"{h}_w{t}"), node("MatMul", f"{before} R", f"{h}_r{t}"),
        node("Add", f"{h}_r{t} b", f"{h}_b{t}"), node("Add", f"{h}_w{t} {h}_b{t}", f"{h}_a{t}"),
        node("Tanh", f"{h}_a{t}", f"{h}_{t}"),
    ]  # fmt: skip


def lstm(t: int, h: str = "h", c: str = "h") -> Nodes:
    """An LSTM whose gates are i, f, g, o in one product; h_t and c_t; h and c stand before h_0 and c_0."""
    h, c = (f"h_{t - 1}", f"c_{t - 1}") if t else (h, c)
    return [
        node("MatMul", f"x_{t} W4", f"w{t}"), node("MatMul", f"{h} R4", f"r{t}"), node("Add", f"w{t} r{t}", f"a{t}"),
        node("Split", f"a{t}", f"p{t} q{t} u{t} v{t}", axis=1), node("Sigmoid", f"p{t}", f"i_{t}"),
        node("Sigmoid", f"q{t}", f"f_{t}"), node("Tanh", f"u{t}", f"g_{t}"), node("Sigmoid", f"v{t}", f"o_{t}"),
        node("Mul", f"f_{t} {c}", f"k{t}"), node("Mul", f"i_{t} g_{t}", f"n{t}"), node("Add", f"k{t} n{t}", f"c_{t}"),
        node("Tanh", f"c_{t}", f"y{t}"), node("Mul", f"o_{t} y{t}", f"h_{t}"),
    ]  # fmt: skip


def every(step: Callable[[int], Nodes]) -> Nodes:
    return [one for t in range(STEPS) for one in step(t)]


def stacked(h: str = "h", y: str = "y") -> Nodes:
    """y (1, T, n) of h_0, h_1, ..."""
    up = [node("Unsqueeze", f"{h}_{t} axis", f"{h}_u{t}") for t in range(STEPS)]
    return [*up, node("Concat", " ".join(f"{h}_u{t}" for t in range(STEPS)), y, axis=1)]


def model(nodes: Nodes, *outputs: str) -> onnx.ModelProto:
    """The graph; states called `state` and `cell`, and `room` for what is written over, are inputs of it."""
    used = {name for made in nodes for name in made.input}
    shapes = {"x": (1, STEPS, 3), "state": (1, 5), "cell": (1, 5), "room": (1, STEPS, 5)}
    given = {name: shape for name, shape in shapes.items() if name in used}
    return graph(nodes, given, outputs, {name: value for name, value in CONSTANTS.items() if name in used})


def folded(t: int) -> Nodes:
    """A plain RNN whose first product with the zero state was computed beforehand."""
    return (
        rnn(t) if t else [node("MatMul", "x_0 W", "h_w0"), node("Add", "h_w0 b", "h_a0"), node("Tanh", "h_a0", "h_0")]
    )


def averaged(t: int) -> Nodes:
    """A plain RNN and, of its states, an exponential average."""
    mean = f"m_{t - 1}" if t else "h"
    rest = [node("Add", f"{mean} h_{t}", f"m_a{t}"), node("Mul", f"m_a{t} half", f"m_{t}")]
    return rnn(t) + rest


def normalised(t: int) -> Nodes:
    """A plain RNN whose product with the state is normalised: of the first state, that is a constant."""
    made = [one for one in rnn(t) if one.output[0] != f"h_r{t}"]
    product = node("MatMul", f"h_{t - 1} R" if t else "h R", f"h_q{t}")
    return [product, node("LayerNormalization", f"h_q{t} b b", f"h_r{t}"), *made]


def differing(t: int) -> Nodes:
    """A plain RNN of x_t - x_{t-1}."""
    return [node("Sub", f"x_{t} " + (f"x_{t - 1}" if t else "x_before"), f"d_{t}"), *rnn(t, "d_")]


TWO = [*gathered(), *every(rnn), *stacked(y="z"), *[node("Gather", f"z i{t}", f"z_{t}", axis=1) for t in range(STEPS)]]
ALIKE: dict[str, tuple[Nodes, tuple[str, ...]]] = {
    "gathered": ([*gathered(), *every(rnn), *stacked()], ("y",)),
    "sliced": ([*sliced(), *every(rnn), *stacked()], ("y",)),
    "split": ([*split(), *every(rnn), *stacked()], ("y",)),
    "folded": ([*gathered(), *every(folded), *stacked()], ("y",)),
    "normalised": ([*gathered(), *every(normalised), *stacked()], ("y",)),
    "two states": ([*gathered(), *every(averaged), *stacked("m")], ("y",)),
    "two sequences": ([*gathered(), *every(averaged), *stacked("m"), *stacked("h", "z")], ("y", "z")),
    "lstm": ([*gathered(), *every(lstm), *stacked()], ("y",)),
    "the frame before": ([*gathered(), *every(differing), *stacked()], ("y",)),
    "the last step": ([*gathered(), *every(rnn), node("MatMul", f"h_{STEPS - 1} V", "y")], ("y",)),
    "the last step, folded": ([*gathered(), *every(folded), node("Exp", f"h_{STEPS - 1}", "y")], ("y",)),
    "the last step of two states": (
        [*sliced(), *every(lstm), node("Add", f"h_{STEPS - 1} c_{STEPS - 1}", "y")],
        ("y",),
    ),
    "a sequence and its last step": (
        [*gathered(), *every(lstm), *stacked(), node("Exp", f"c_{STEPS - 1}", "z")],
        ("y", "z"),
    ),
    "two layers": ([*TWO, *every(lambda t: rnn(t, "z_", "g", "R")), *stacked("g")], ("y",)),
}  # fmt: skip
CONSTANTS["g"] = CONSTANTS["h"]


def imported(made: onnx.ModelProto) -> Model:
    return importer.read(made.SerializeToString())


# what was computed beforehand from a state that is not zero does not show it
STARTS = [(name, "zero") for name in ALIKE] + [(name, "learned") for name in ALIKE if "folded" not in name]


@pytest.mark.parametrize(("name", "start"), STARTS)
def test_steps_that_are_alike_are_rolled_up(name: str, start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a zero state, and from one that the graph holds."""
    if start == "learned":
        monkeypatch.setitem(CONSTANTS, "h", some(1, 5))
    nodes, outputs = ALIKE[name]
    made = model(nodes, *outputs)
    x = np.random.default_rng(5).uniform(-1, 1, (1, STEPS, 3)).astype(np.float32)
    report = importer.analyse(made.SerializeToString())
    assert report.notes == (f"unrolled over {STEPS} steps in the file: rolled up again",) and report.model is not None
    found = run(report.model, x[0])
    answers = found if isinstance(found, dict) else {outputs[0]: found}
    for output, expected in onnx_runtime(made, {"x": x}).items():
        wanted = expected.reshape(-1, answers[output].shape[1])
        assert np.abs(answers[output][-len(wanted) :] - wanted).max() < LIMIT, output


GIVEN: dict[str, tuple[Nodes, dict[str, str]]] = {
    "gathered": ([*gathered(), *every(lambda t: rnn(t, h="state")), *stacked("state")], {"state": "state_5"}),
    "split": ([*split(), *every(lambda t: rnn(t, h="state")), *stacked("state")], {"state": "state_5"}),
    "lstm": (
        [*sliced(), *every(lambda t: lstm(t, "state", "cell")), *stacked()], {"state": "h_5", "cell": "c_5"}
    ),
    "the last step": (
        [*gathered(), *every(lambda t: lstm(t, "state", "cell")), node("MatMul", "h_5 V", "y")],
        {"state": "h_5", "cell": "c_5"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GIVEN)
def test_states_that_are_inputs_and_outputs_are_hidden(name: str) -> None:
    """The stream goes on where ONNX Runtime is handed back its state, STEPS frames at a time."""
    nodes, pairs = GIVEN[name]
    made = model(nodes, "y", *pairs.values())
    report = importer.analyse(made.SerializeToString())
    assert report.model is not None and dict(report.states) == pairs and len(report.model.nodes) < 4
    assert report.notes == (f"unrolled over {STEPS} steps in the file: rolled up again",)
    x = np.random.default_rng(6).uniform(-1, 1, (1, 3 * STEPS, 3)).astype(np.float32)
    answers = np.asarray(run(report.model, x[0]))
    held = {state: np.zeros((1, 5), np.float32) for state in pairs}
    for start in range(0, 3 * STEPS, STEPS):
        expected = onnx_runtime(made, {"x": x[:, start : start + STEPS], **held})
        held = {state: expected[output] for state, output in pairs.items()}
        wanted = expected["y"].reshape(-1, answers.shape[1])
        assert np.abs(answers[start + STEPS - len(wanted) : start + STEPS] - wanted).max() < LIMIT


def test_a_state_that_nothing_brings_back_starts_at_zero() -> None:
    nodes, _ = GIVEN["gathered"]
    notes = importer.analyse(model(nodes, "y").SerializeToString()).notes
    assert "the state 'state' starts at zero and is carried inside the stream" in notes


def changed(t: int) -> Nodes:
    return rnn(t, W="other" if t == 3 else "W")


def backwards(t: int) -> Nodes:
    """The last step first."""
    u = STEPS - 1 - t
    return [one for one in rnn(t) if one.output[0] != f"h_w{t}"] + [node("MatMul", f"x_{u} W", f"h_w{t}")]


def two_before(t: int) -> Nodes:
    """A recurrence over every other step."""
    before = f"h_{t - 2}" if t > 1 else "h"
    return [one for one in rnn(t) if one.output[0] != f"h_r{t}"] + [node("MatMul", f"{before} R", f"h_r{t}")]


def with_context(t: int) -> Nodes:
    """A plain RNN with what another one leaves behind as its bias."""
    return [one for one in rnn(t) if one.output[0] != f"h_b{t}"] + [node("Add", f"h_r{t} context", f"h_b{t}")]


def in_turn(t: int) -> Nodes:
    """Two cells, one for every other step."""
    names = {"W": "other", "R": "R_odd"} if t % 2 else {}
    return [node(one.op_type, " ".join(names.get(name, name) for name in one.input), one.output[0]) for one in rnn(t)]


UNLIKE: dict[str, tuple[Nodes, str]] = {
    "other weights in one step": ([*gathered(), *every(changed), *stacked()], "is not computed as"),
    "two cells in turn": ([*gathered(), *every(in_turn), *stacked()], "is not computed as"),
    "backwards": ([*gathered(), *every(backwards), *stacked()], "not joined in their order"),
    "every other step": ([*gathered(), *every(two_before), *stacked()], "of step"),
    "joined in another order": (
        [*gathered(), *every(rnn), *stacked()[:-1],
         node("Concat", " ".join(f"h_u{t}" for t in (1, 0, *range(2, STEPS))), "y", axis=1)],
        "not joined in their order",
    ),
    "other weights, last step": (
        [*gathered(), *every(changed), node("Exp", f"h_{STEPS - 1}", "y")],
        "nothing that step 4 carries is like it",
    ),
    "what is known at the end": (
        [node("Transpose", "x", "xt", perm=[1, 0, 2]), node("RNN", "xt W_rnn R_rnn", "- end", hidden_size=5),
         node("Squeeze", "end axis", "context"), *gathered(), *every(with_context), *stacked()],
        "known at the end of the sequence only",
    ),
    "from what is computed of an input": (
        [node("Exp", "state", "e"), *gathered(), *every(lambda t: rnn(t, h="e")), *stacked("e")],
        "neither a constant nor an input",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNLIKE)
def test_steps_that_are_not_alike_are_refused(name: str) -> None:
    nodes, reason = UNLIKE[name]
    with pytest.raises(UnsupportedModel) as raised:
        imported(model(nodes, "y"))
    for text in (f"is unrolled over {STEPS} steps, and could not be rolled up", reason, "dynamo=False", "window=N"):
        assert text in str(raised.value)


LAYERS: dict[str, tuple[type, ...]] = {"elman_dynamo": (RNN,), "deep_rnn_dynamo": (RNN, RNN, RNN)}


@pytest.mark.parametrize("name", LAYERS)
def test_the_rnn_of_torch_is_one_layer(name: str) -> None:
    found = [made.layer for made in importer.read(FOLDER / f"{name}.onnx").nodes]
    assert tuple(type(layer) for layer in found if isinstance(layer, (RNN, GRU, LSTM))) == LAYERS[name]


def test_a_cell_is_one_layer_and_nothing_else_is() -> None:
    """With a term that no LSTM has, the same arithmetic stays as it is."""
    (cell,) = [made.layer for made in imported(model([*gathered(), *every(lstm), *stacked()], "y")).nodes]
    assert isinstance(cell, LSTM)

    def peeping(t: int) -> Nodes:
        nodes = [one for one in lstm(t) if one.output[0] != f"o_{t}"]
        peep = [node("Add", f"v{t} c_{t}", f"e{t}"), node("Sigmoid", f"e{t}", f"o_{t}")]
        return [*nodes[:-1], *peep, nodes[-1]]

    found = imported(model([*gathered(), *every(peeping), *stacked()], "y")).nodes
    assert not any(isinstance(made.layer, (RNN, GRU, LSTM)) for made in found)


def test_two_steps_are_too_few_to_tell() -> None:
    nodes = [*gathered()[:2], *rnn(0), *rnn(1), *stacked()[:2], node("Concat", "h_u0 h_u1", "y", axis=1)]
    held = {name: value for name, value in CONSTANTS.items() if any(name in made.input for made in nodes)}
    with pytest.raises(UnsupportedModel, match=r"unrolled over 2 steps, .*fewer than 3 steps.*export one step"):
        importer.read(graph(nodes, {"x": (1, 2, 3)}, ["y"], held).SerializeToString())
