"""What the importer promises: it finds time and state in real layouts, and refuses the rest by name, all at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_cases import CELLS, beside_a_cell, graph, node, weights
from surroundings import ints, number, some
from test_layers import LIMIT, onnx_runtime

from edgernn import importer
from edgernn.errors import BadModelFile, UnsupportedModel
from edgernn.layers.definition import run
from edgernn.layers.model import Model

STEPS = 12
GRU = weights("GRU", 3, 5)
GRU_ON_X = node("GRU", "x W R B", "Y Y_h", hidden_size=5)
EXPORTS = Path(__file__).parent / "exports"


def imported(model: onnx.ModelProto, **state: str) -> Model:
    return importer.read(model.SerializeToString(), state=state)


def problems(model: onnx.ModelProto, **state: str) -> str:
    with pytest.raises(UnsupportedModel) as raised:
        imported(model, **state)
    return str(raised.value)


def answers(model: Model, inputs: dict[str, np.ndarray] | np.ndarray) -> dict[str, np.ndarray]:
    """The definition's answers, always by port name."""
    made = run(model, inputs)
    return made if isinstance(made, dict) else {model.outputs[0].name: made}


def frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).uniform(-1, 1, shape).astype(np.float32)


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
    return graph(nodes, {"x": (batch, time, 3)}, ["y"], {k: v for k, v in constants.items() if k != "P"})


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
        **{k: v for k, v in GRU.items() if k != "P"},
        "minus": np.array([-1]), "minus_1d": ints(-1), "high": ints(2**31 - 1), "zero": ints(0), "one": ints(1), "w": some(5, 2),
    }  # fmt: skip
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
    model = graph(nodes, {"x": ("T", 1, 3)}, ["y"], {k: v for k, v in GRU.items() if k != "P"}, opset=12)
    x = frames(STEPS, 1, 3)
    y = run(imported(model), x[:, 0])
    for t in (1, 5, STEPS):
        assert np.abs(y[t - 1] - onnx_runtime(model, {"x": x[:t]})["y"].reshape(-1)).max() < LIMIT


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
    assert "'p'" in message and "'u' or 'v'" in message and "state={input: output}" in message
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
    held = {k: v for k, v in weights("LSTM", 3, 5).items() if k != "P"}
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
    assert "is not what the cell" in problems(stateful(swapped=True), state="stateN")


def test_an_initial_state_without_an_output_is_carried_from_zero() -> None:
    nodes = [node("GRU", "x W R B - h0", "Y Y_h", hidden_size=5)]
    constants = {k: v for k, v in GRU.items() if k != "P"}
    model = graph(nodes, {"x": ("T", 1, 3), "h0": (1, 1, 5)}, ["Y"], constants)
    report = importer.analyse(model.SerializeToString())
    assert "the state 'h0' starts at zero" in report.notes[0]
    x = frames(STEPS, 1, 3)
    expected = onnx_runtime(model, {"x": x, "h0": np.zeros((1, 1, 5), np.float32)})["Y"]
    assert report.model is not None
    assert np.abs(run(report.model, x[:, 0]) - expected.reshape(STEPS, -1)).max() < LIMIT


def test_a_cell_with_a_constant_start_in_a_step_graph_starts_anew_in_every_frame() -> None:
    held = {k: v for k, v in GRU.items() if k != "P"}
    nodes = [
        node("GRU", "x W R B", "Y Y_h", hidden_size=5),
        node("GRU", "x W R B - h", "Z h_out", hidden_size=5),
        node("Add", "Y Z", "y"),
    ]
    model = graph(nodes, {"x": (1, 1, 3), "h": (1, 1, 5)}, ["y", "h_out"], held)
    x = frames(STEPS, 1, 3)
    expected = stepped(model, x, {"h": "h_out"}, {"h": (1, 1, 5)})
    assert np.abs(run(imported(model), x[:, 0]) - expected).max() < LIMIT


def test_an_unused_input_is_left_out_and_told() -> None:
    constants = {k: v for k, v in GRU.items() if k != "P"}
    model = graph([GRU_ON_X], {"x": ("T", 1, 3), "rate": ()}, ["Y"], constants)
    report = importer.analyse(model.SerializeToString())
    assert report.model is not None and [port.name for port in report.model.inputs] == ["x"]
    assert report.notes == ("the input 'rate' has no effect and is left out",)


def test_an_if_whose_condition_is_constant_becomes_its_branch() -> None:
    branches = {
        name: helper.make_graph([node(kind, "Y", name)], name, [], [helper.make_tensor_value_info(name, 1, None)])
        for name, kind in (("good", "Tanh"), ("bad", "Loop"))
    }
    nodes = [
        GRU_ON_X,
        node("Shape", "Y", "s"),
        node("Gather", "s last", "n"),
        node("Equal", "n five", "same"),
        node("If", "same", "y", then_branch=branches["good"], else_branch=branches["bad"]),
    ]
    constants = {k: v for k, v in GRU.items() if k != "P"} | {"last": np.array(3), "five": np.array(5)}
    model = graph(nodes, {"x": ("T", 1, 3)}, ["y"], constants)
    assert [type(n.layer).__name__ for n in imported(model).nodes][-1] == "Map"


def test_local_functions_are_put_in_place() -> None:
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 17)]
    )
    call = helper.make_node("Twice", ["Y"], ["y"], domain="mine", name="call")
    model = graph([GRU_ON_X, call], {"x": ("T", 1, 3)}, ["y"], {k: v for k, v in GRU.items() if k != "P"})
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    assert [type(n.layer).__name__ for n in imported(model).nodes][-1] == "Combine"


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
    expected = saved["y"]
    y = y if y.size == expected.size else y[-1]
    assert np.abs(y.reshape(expected.shape) - expected).max() < LIMIT


LATER = ("Loop over time", "bidirectional", "pads the time axis", "a window over time", "nothing is carried")


def with_states(model: Model, starts: dict[str, np.ndarray]) -> Model:
    """The model with other initial states, by the name of the graph's input."""
    from dataclasses import replace

    states = [
        replace(s, initial=starts[name].reshape(s.initial.shape)) if (name := s.name.split(".")[0]) in starts else s
        for s in model.states
    ]
    return replace(model, states=tuple(states))


# what is refused, and what the message must say


def on_gru(*nodes: onnx.NodeProto, constants: dict[str, np.ndarray] | None = None, **cell: object) -> onnx.ModelProto:
    """x (T, 1, 3) through a GRU with these attributes to Y (T, 1, 1, 5), then nodes to y."""
    held = {k: v for k, v in GRU.items() if k != "P"} | (constants or {})
    made = node("GRU", "x W R B", "Y Y_h", **({"hidden_size": 5} | cell))
    return graph([made, *nodes], {"x": ("T", 1, 3)}, ["y" if nodes else "Y"], held)


def loop() -> onnx.ModelProto:
    body = helper.make_graph([node("Identity", "c", "d")], "body", [], [])
    return on_gru(node("Loop", "n c Y", "y", body=body), constants={"n": np.array(3), "c": np.array(True)})


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], tuple[str, ...]]] = {
    "reverse": (lambda: on_gru(direction="reverse"), ("GRU 'GRU_Y'", "direction=reverse", "use direction=forward")),
    "bidirectional": (lambda: on_gru(direction="bidirectional"), ("direction=bidirectional",)),
    "unknown activation": (lambda: on_gru(activations=["Tanh", "Wobble"]), ("activations=wobble", "softsign")),
    "one activation": (lambda: on_gru(activations=["Tanh"]), ("2 are needed",)),
    "missing alpha": (
        lambda: on_gru(activations=["Affine", "Tanh"]),
        ("activations=affine: its alpha is missing", "activation_alpha"),
    ),
    "unknown attribute": (lambda: on_gru(bogus=1), ("its attribute bogus=1 is not supported",)),
    "hidden_size": (lambda: on_gru(hidden_size=7), ("hidden_size=7", "[1, 15, 5]")),
    "layout": (lambda: on_gru(layout=2), ("layout=2",)),
    "weights computed at run time": (
        lambda: graph(
            [node("GRU", "x W R", "Y")], {"x": ("T", 1, 3), "W": (1, 15, 3)}, ["Y"], {"R": GRU["R"]}
        ),
        ("input W is computed at run time",),
    ),
    "NaN": (lambda: on_gru(node("MatMul", "Y w", "y"), constants={"w": np.full((5, 2), np.nan, np.float32)}), ("NaN",)),
    "loop": (loop, ("Loop 'Loop_y'", "Loop over time is not supported yet")),
    "if at run time": (
        lambda: on_gru(node("ReduceMax", "x", "m"), node("Cast", "m", "b", to=9), node("If", "b", "y")),
        ("its condition is known only at run time",),
    ),
    "unknown operator": (lambda: on_gru(node("Det", "Y", "y")), ("Det 'Det_y'", "not supported")),
    "other domain": (
        lambda: on_gru(helper.make_node("FusedThing", ["Y"], ["y"], domain="com.microsoft", name="f")),
        ("FusedThing 'f'", "com.microsoft"),
    ),
    "softmax over time": (lambda: on_gru(node("Softmax", "Y", "y", axis=0)), ("over the time axis",)),
    "norm over time": (
        lambda: on_gru(node("LayerNormalization", "Y s", "y", axis=0), constants={"s": some(5)}),
        ("over the time axis",),
    ),
    "first step": (
        lambda: on_gru(node("Gather", "Y i", "y", axis=0), constants={"i": np.array(0)}),
        ("takes step [0]", "index -1"),
    ),
    "middle steps": (
        lambda: on_gru(node("Slice", "Y s e", "y"), constants={"s": ints(2), "e": ints(5)}),
        ("takes steps 2:5:1", "index -1"),
    ),
    "reversed": (
        lambda: on_gru(node("Slice", "Y s e a t", "y"), constants={"s": ints(-1), "e": ints(-(2**62)), "a": ints(0), "t": ints(-1)}),
        ("takes steps",),
    ),
    "padded time": (
        lambda: on_gru(node("Pad", "Y p", "y"), constants={"p": ints(2, 0, 0, 0, 0, 0, 0, 0)}),
        ("pads the time axis",),
    ),
    "concat over time": (lambda: on_gru(node("Concat", "Y Y", "y", axis=0)), ("joins pieces along time",)),
    "split time": (lambda: on_gru(node("Split", "Y", "y z", axis=0)), ("splits the time axis",)),
    "merged time": (
        lambda: on_gru(node("Reshape", "Y s", "y"), constants={"s": ints(-1)}),
        ("mixes the time axis with others",),
    ),
    "last step against all steps": (lambda: on_gru(node("Sub", "Y Y_h", "y")), ("last step of the sequence with every",)),
    "matmul over time": (
        lambda: on_gru(node("Transpose", "Y", "t", perm=[1, 2, 3, 0]), node("MatMul", "t w", "y"), constants={"w": some(4, 2)}),
        ("sums over the time axis",),
    ),
    "conv over time": (
        lambda: beside_a_cell([node("Conv", "x w", "y")], (1, 4, "T"), {"w": some(2, 4, 3)}),
        ("a window over time is not supported yet",),
    ),
    "attention": (
        lambda: on_gru(node("Transpose", "Y", "t", perm=[0, 1, 3, 2]), node("MatMul", "Y t", "y")),
        ("both computed at run time",),
    ),
    "position code": (
        lambda: on_gru(
            node("Shape", "Y", "s"), node("Gather", "s zero", "n"), node("Range", "zero n one", "p"),
            node("Cast", "p", "q", to=1), node("Add", "Y q", "y"),
            constants={"zero": np.array(0), "one": np.array(1)},
        ),
        ("numbers the steps",),
    ),
    "no recurrence": (
        lambda: graph([node("MatMul", "x w", "y")], {"x": (1, "T", 3)}, ["y"], {"w": some(3, 2)}),
        ("nothing is carried from frame to frame",),
    ),
    "batch": (
        lambda: graph([GRU_ON_X], {"x": ("T", 4, 3)}, ["Y"], {k: v for k, v in GRU.items() if k != "P"}),
        ("has a batch of 4", "export with a batch of 1"),
    ),
    "old opset": (lambda: graph([GRU_ON_X], {"x": ("T", 1, 3)}, ["Y"], GRU, opset=6), ("opset 6 is older than 7",)),
    "new opset": (lambda: graph([GRU_ON_X], {"x": ("T", 1, 3)}, ["Y"], GRU, opset=99), ("opset 99 is newer",)),
    "computed start": (
        lambda: graph(
            [node("Tanh", "h", "t"), node("GRU", "x W R B - t", "Y hn")],
            {"x": ("T", 1, 3), "h": (1, 1, 5)}, ["Y", "hn"], {k: v for k, v in GRU.items() if k != "P"},
        ),
        ("its initial state is computed in the graph",),
    ),
    "tokens by arithmetic": (
        lambda: graph(
            [node("Mul", "x two", "t"), node("Gather", "e t", "v"), node("Transpose", "v", "u", perm=[1, 0, 2]),
             node("GRU", "u W R B", "Y")],
            {"x": (1, "T")}, ["Y"], {k: v for k, v in GRU.items() if k != "P"} | {"e": some(9, 3), "two": np.array(2)},
            integers=["x"],
        ),
        ("computed at run time", "feed the token itself"),
    ),
    "constant bomb": (
        lambda: on_gru(
            node("ConstantOfShape", "n", "z"), node("ReduceSum", "z", "s", keepdims=0), node("Mul", "Y s", "y"),
            constants={"n": ints(2**20, 2**20)},
        ),
        ("more than is allowed",),
    ),
    "frame bomb": (
        lambda: on_gru(node("Tile", "Y n", "y"), constants={"n": ints(1, 2**15, 2**15, 1)}),
        ("a frame would grow",),
    ),
    "fmod": (lambda: on_gru(node("Mod", "Y n", "y"), constants={"n": number(2)}), ("fmod=0",)),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_graph_that_cannot_stream_is_refused_by_name(name: str) -> None:
    make, says = REFUSED[name]
    message = problems(make())
    for text in says:
        assert text in message, message


def test_all_problems_come_at_once_and_each_root_once() -> None:
    model = on_gru(
        node("Det", "Y", "a"), node("Tanh", "a", "b"), node("Softmax", "Y", "c", axis=0), node("Add", "b c", "y")
    )
    with pytest.raises(UnsupportedModel) as raised:
        imported(model)
    assert [problem.operator for problem in raised.value.problems] == ["Det", "Softmax"]


# broken files


def cyclic() -> onnx.ModelProto:
    return on_gru(node("Add", "Y b", "a"), node("Tanh", "a", "b"), node("Add", "a b", "y"))


def with_tensor(**changes: object) -> onnx.ModelProto:
    """A good model with one weight changed."""
    model = CELLS["gru"].model()
    tensor = next(t for t in model.graph.initializer if t.name == "W")
    for name, value in changes.items():
        if name == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)  # type: ignore[arg-type]
        else:
            setattr(tensor, name, value)
    return model


def external(location: str, **fields: str) -> onnx.ModelProto:
    model = with_tensor(raw_data=b"", data_location=TensorProto.EXTERNAL)
    tensor = next(t for t in model.graph.initializer if t.name == "W")
    for key, value in {"location": location, **fields}.items():
        tensor.external_data.add(key=key, value=value)
    return model


def ring() -> onnx.ModelProto:
    model = on_gru(helper.make_node("f", ["Y"], ["y"], domain="mine"))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    for name, calls in (("f", "g"), ("g", "f")):
        inner = helper.make_node(calls, ["a"], ["b"], domain="mine")
        model.functions.append(helper.make_function("mine", name, ["a"], ["b"], [inner], opsets))
    return model


def laughs() -> onnx.ModelProto:
    """Ten functions that each call the next one ten times."""
    model = on_gru(helper.make_node("f0", ["Y"], ["y"], domain="mine"))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    for level in range(10):
        kind, domain = (f"f{level + 1}", "mine") if level < 9 else ("Tanh", "")
        inner = [helper.make_node(kind, [f"v{i}"], [f"v{i + 1}"], domain=domain) for i in range(10)]
        model.functions.append(helper.make_function("mine", f"f{level}", ["v0"], ["v10"], inner, opsets))
    return model


def twice() -> onnx.ModelProto:
    return on_gru(node("Tanh", "Y", "y"), node("Sigmoid", "Y", "y"))


def no_outputs() -> onnx.ModelProto:
    model = CELLS["gru"].model()
    del model.graph.output[:]
    return model


def negative_dim() -> onnx.ModelProto:
    model = CELLS["gru"].model()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -5
    return model


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "the file is empty"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01", "not an ONNX file"),
    "text": (lambda: b"hello, this is no model\n", "not an ONNX file"),
    "zeros": (lambda: bytes(1000), "not an ONNX file"),
    "truncated": (lambda: CELLS["gru"].model().SerializeToString()[:-40], "truncated"),
    "cycle": (lambda: cyclic().SerializeToString(), "a cycle through"),
    "made twice": (lambda: twice().SerializeToString(), "'y' is made twice"),
    "made by nothing": (lambda: on_gru(node("Tanh", "nowhere", "y")).SerializeToString(), "nothing makes the value 'nowhere'"),
    "no outputs": (lambda: no_outputs().SerializeToString(), "no outputs"),
    "negative input": (lambda: negative_dim().SerializeToString(), "a dimension of -5"),
    "negative dims": (lambda: with_tensor(dims=[1, -15, 3]).SerializeToString(), "negative dimension"),
    "huge dims": (lambda: with_tensor(dims=[2**40, 2**40, 3]).SerializeToString(), "needs"),
    "short data": (lambda: with_tensor(dims=[1, 15, 4]).SerializeToString(), "needs 240 bytes but has 180"),
    "unknown type": (lambda: with_tensor(data_type=99).SerializeToString(), "malformed"),
    "ring of functions": (lambda: ring().SerializeToString(), "call each other in a ring"),
    "billion laughs": (lambda: laughs().SerializeToString(), "unfolds to"),
    "external data in bytes": (lambda: external("w.bin").SerializeToString(), "give the path of the model"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_says_what_is_wrong(name: str) -> None:
    make, says = BROKEN[name]
    with pytest.raises(BadModelFile, match=says.replace("(", r"\(")):
        importer.read(make())


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadModelFile, match="there is no file"):
        importer.read(tmp_path / "none.onnx")
    with pytest.raises(BadModelFile, match="is a folder"):
        importer.read(tmp_path)


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    held = GRU["W"]
    (tmp_path / "w.bin").write_bytes(b"1234" + held.tobytes())
    (tmp_path / "m.onnx").write_bytes(external("w.bin", offset="4", length="180").SerializeToString())
    assert importer.read(tmp_path / "m.onnx").hash == imported(CELLS["gru"].model()).hash


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("../w.bin", "outside the model's folder"),
        ("/etc/passwd", "outside the model's folder"),
        ("sub/../../w.bin", "outside the model's folder"),
        ("", "outside the model's folder"),
        ("link.bin", "is a link"),
        ("linked/w.bin", "is a link"),
        ("hard.bin", "not a plain file"),
        ("sub", "not a plain file"),
        ("none.bin", "not beside the model"),
        ("short.bin", "does not hold the 180 bytes"),
    ],
)
def test_external_data_elsewhere_are_refused(tmp_path: Path, location: str, says: str) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "w.bin").write_bytes(bytes(180))
    (folder / "short.bin").write_bytes(bytes(100))
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "hard.bin").hardlink_to(tmp_path / "w.bin")
    (folder / "m.onnx").write_bytes(external(location).SerializeToString())
    with pytest.raises(BadModelFile, match=says):
        importer.read(folder / "m.onnx")


def test_any_damage_ends_in_a_named_error() -> None:
    good = stateful().SerializeToString()
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(len(data))] = rng.integers(256)
        try:
            importer.read(bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data))
        except (BadModelFile, UnsupportedModel):
            continue


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
