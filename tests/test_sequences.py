"""Recurrent layers over several steps and sequences: inside a frame in any direction, and side by side over time."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from conftest import COMPILED, stream_on
from direct import Direct
from onnx_cases import GATES, graph, node, onnx_runtime, weights
from sequence_cases import FRAMES, HIDDEN, IN_FRAME, N_IN, OVER_TIME, Sequences
from surroundings import ints, some

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.kernels.contract import Opcode
from edgernn.kernels.isas import ISAS, REFERENCE
from edgernn.kernels.panels import CpuBackend
from edgernn.layers import GRU, LSTM, RNN, Take
from edgernn.layers.definition import run
from edgernn.layers.model import Model, Node, Port, State
from edgernn.planner import make_plan
from edgernn.quantiser import quantise
from edgernn.stream import Stream

Array = np.ndarray
LIMIT = 1e-5  # float32 against float64, values of order 1


def imported(case: Sequences) -> Model:
    return importer.read(case.model().SerializeToString())


def given(model: Model, case: Sequences) -> dict[str, Array]:
    """The frames of each port that the model has."""
    x = np.stack([case.laid_out(frame).reshape(-1) for frame in case.frames()])
    return {port.name: x if port.name == "x" else np.ones((FRAMES, 1), np.float32) for port in model.inputs}


@pytest.mark.parametrize("case", IN_FRAME, ids=lambda case: case.id)
def test_inside_a_frame_each_one_starts_anew(case: Sequences) -> None:
    model = imported(case)
    definition, stream = run(model, given(model, case)), Stream(model).run(given(model, case))
    for t, frame in enumerate(case.frames()):
        expected = case.expected(frame)
        for name, y in expected.items():
            assert np.abs(definition[name][t] - y.reshape(-1)).max() < LIMIT, name
            assert np.abs(stream[name][t] - y.reshape(-1)).max() < LIMIT, name
        if t == 0 and not case.layout:  # ONNX Runtime refuses layout=1
            feeds = {"x": frame, "f": np.ones((1, 1, 1), np.float32), "h": np.zeros((1, 1, 2), np.float32)}
            answers = onnx_runtime(case.model(), feeds)
            assert all(np.abs(answers[name] - y).max() < LIMIT for name, y in expected.items())


@pytest.mark.parametrize("case", OVER_TIME, ids=lambda case: case.id)
def test_over_time_sequences_run_side_by_side(case: Sequences) -> None:
    model, frames = imported(case), case.frames()[:, 0]
    (x,) = given(model, case).values()
    stream = Stream(model).run(x)
    for steps in (1, FRAMES):
        for name, y in case.expected(frames[:steps]).items():
            now = y[:, -1] if name == "Y" and case.layout else y[-1] if name == "Y" else y
            assert np.abs(stream[name][steps - 1] - now.reshape(-1)).max() < LIMIT, name


@pytest.mark.parametrize("case", [*IN_FRAME[::3], *OVER_TIME[::2]], ids=lambda case: case.id)
def test_a_lowering_equals_the_definition(case: Sequences) -> None:
    model = cell_model(case)
    x = np.random.default_rng(1).standard_normal((FRAMES, model.inputs[0].size))
    expected = run(model, x)
    expected = expected if isinstance(expected, dict) else {"y": expected}
    for name, values in Direct(model).run(x).items():
        assert np.abs(values - expected[name]).max() < 1e-9, name


@pytest.mark.parametrize("case", IN_FRAME, ids=lambda case: case.id)
def test_quantised_bits_are_those_of_the_reference(case: Sequences) -> None:
    model = quantise(imported(case), "int8")
    expected = stream_on(REFERENCE, model).run(given(model, case))
    for name in COMPILED:
        np.testing.assert_equal(stream_on(name, model).run(given(model, case)), expected, err_msg=name)


def layer_of(kind: str, n_in: int = N_IN, hidden: int = HIDDEN) -> RNN | GRU | LSTM:
    """A layer with standard activations."""
    held = weights(kind, n_in, hidden, scale=0.5)
    rows = GATES[kind] * hidden
    bias = held["B"][0][: rows + hidden] if kind == "GRU" else held["B"][0][:rows]
    return {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}[kind](held["W"][0], held["R"][0], bias)


def model_of(layer: RNN | GRU | LSTM, steps: int, count: int) -> Model:
    """x (S, P, n_in) through a layer whose states are carried; the last step's h goes on."""
    hidden, n_in = layer.R.shape[1], layer.W.shape[1]
    size, names = count * hidden, ("h", "c")[: 2 if isinstance(layer, LSTM) else 1]
    last = Take(np.arange((steps - 1) * size, steps * size, dtype=np.int32), (1, count, hidden))
    nodes = (Node("y", layer, ("x", *names), ("y", *(f"{n}.new" for n in names[1:]))), Node("l", last, ("y",), ("l",)))
    states = [State(n, "l" if n == "h" else f"{n}.new", np.zeros((1, count, hidden), np.float32)) for n in names]
    ports = Port("x", "x", steps * count * n_in), Port("y", "y", steps * size)
    return Model(ports[:1], ports[1:], tuple(states), nodes)


def cell_model(case: Sequences) -> Model:
    """The first direction of a case as a layer, carried from frame to frame."""
    held = imported(case)
    (layer, *_) = (
        n.layer for n in held.nodes if isinstance(n.layer, (RNN, GRU, LSTM)) and n.layer.R.shape[1] == HIDDEN
    )
    return model_of(layer, case.steps or 1, case.count)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("format", ["none", "int8"])
def test_a_block_of_steps_answers_as_its_steps_one_by_one(kind: str, count: int, format: str) -> None:
    """In int8 with the same bits: each step of each sequence is quantised by itself."""
    layer = layer_of(kind, 7, 19)
    single, block = (quantise(model_of(layer, steps, count), format) for steps in (1, 4))
    x = np.random.default_rng(2).standard_normal((12, count * 7)).astype(np.float32)
    x[::3] *= 30  # loud steps beside quiet ones
    expected, answers = Stream(single).run(x), Stream(block).run(x.reshape(3, -1)).reshape(12, -1)
    if format == "int8":
        np.testing.assert_array_equal(answers, expected)
    assert np.abs(answers - expected).max() < 1e-6


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("format", ["none", "int8"])
def test_steps_share_their_weights_and_copy_nothing(kind: str, format: str) -> None:
    layer = layer_of(kind, 24, 32)
    backend = CpuBackend(ISAS["avx2"])
    one, many = (make_plan(quantise(model_of(layer, steps, 2), format), backend) for steps in (1, 9))
    assert len(many.weights) == len(one.weights)
    codes = [Opcode(row[0]) for row in many.program]
    assert codes.count(Opcode[kind]) == 18 and codes.count(Opcode.COPY) <= (2 if kind == "LSTM" else 1)
    assert many.arena_bytes < 9 * one.arena_bytes


@pytest.mark.parametrize("kind", GATES)
def test_one_step_of_one_sequence_is_two_products_and_one_instruction(kind: str) -> None:
    made = make_plan(model_of(layer_of(kind), 1, 1), CpuBackend(ISAS["avx2"]))
    codes = [Opcode(row[0]).name for row in made.program]
    assert codes == ["LOAD", "AFFINE_F32", "AFFINE_F32", kind, "STORE", "STOP"]


def test_weights_that_do_not_fit_are_refused() -> None:
    layer = layer_of("LSTM")
    for shapes in [
        ((4,), (5,), (5,)),
        ((3,), (4,), (4,)),
        ((0,), (5,), (5,)),
        ((3,), (5,), (10,)),
        ((9,), (10,), (10,)),
    ]:
        with pytest.raises(ValueError, match=r"do not fit|differ in size"):
            layer.shapes(*shapes)
    with pytest.raises(ValueError, match="at most 16384"):
        layer.shapes((3 * 16385,), (5,), (5,))


# which reading of the axes is right

GRU_1 = {f"{n}1": v for n, v in weights("GRU", 4, 4).items()}
GRU_2 = {f"{n}2": v for n, v in weights("GRU", 4, 4, seed=1).items()}


def dual_path(frames: int | str, bands: int | str) -> bytes:
    """x (1, T, F, 4): a GRU over the bands of each frame, then one over time, each with the other axis as batch."""
    nodes = [
        node("Reshape", "x as_rows", "rows"),  # (T, F, 4)
        node("Transpose", "rows", "t", perm=[1, 0, 2]),  # (F, T, 4)
        node("GRU", "t W1 R1 B1", "Y1", hidden_size=4),
        node("Squeeze", "Y1 one", "u"),  # (F, T, 4)
        node("Transpose", "u", "v", perm=[1, 0, 2]),  # (T, F, 4)
        node("GRU", "v W2 R2 B2", "Y2", hidden_size=4),
        node("Squeeze", "Y2 one", "y"),
    ]
    constants = {**GRU_1, **GRU_2, "as_rows": ints(-1, bands, 4), "one": ints(1)}
    return graph(nodes, {"x": (1, frames, bands, 4)}, ["y"], constants).SerializeToString()


@pytest.mark.parametrize("frames", ["T", 6])
def test_a_dual_path_network_recurs_over_time_and_starts_anew_over_frequency(frames: int | str) -> None:
    report = importer.analyse(dual_path(frames, 5))
    assert report.model is not None and report.time_axes == (("x", 1),)
    assert report.model.inputs[0].size == 20 and [s.initial.shape for s in report.model.states] == [(1, 5, 4)]
    x = np.random.default_rng(3).uniform(-1, 1, (1, 6, 5, 4)).astype(np.float32)
    expected = onnx_runtime(onnx.load_from_string(dual_path(frames, 5)), {"x": x})["y"]
    assert np.abs(Stream(report.model).run(x.reshape(6, -1)) - expected.reshape(6, -1)).max() < LIMIT


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", GATES)
def test_steps_that_each_run_over_their_bands_may_be_pooled(kind: str, direction: str) -> None:
    """x (T, 5, 3): a cell over the bands of each frame from nothing, a mean of two frames, then a GRU over time."""
    case = Sequences(kind, direction, count=1)
    size = 5 * HIDDEN * (2 if direction == "bidirectional" else 1)
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2])]
    nodes += [node(kind, "t W R B", "Y", hidden_size=HIDDEN, direction=direction)]  # (F, ways, T, H)
    nodes += [node("Transpose", "Y", "u", perm=[0, 1, 3, 2]), node("Reshape", "u channels", "c")]  # (1, C, T)
    nodes += [node("AveragePool", "c", "p", kernel_shape=[2], strides=[2]), node("Transpose", "p", "s", perm=[2, 0, 1])]
    nodes += [node("GRU", "s W2 R2 B2", "y", hidden_size=4)]
    over_time = {f"{name}2": value for name, value in weights("GRU", size, 4).items()}
    source = graph(nodes, {"x": ("T", 5, 3)}, ["y"], case.values() | over_time | {"channels": ints(1, size, -1)})
    model = importer.read(source.SerializeToString())
    x = np.random.default_rng(3).uniform(-1, 1, (12, 5, 3)).astype(np.float32)
    assert model.hop == 2
    expected = onnx_runtime(source, {"x": x})["y"]
    assert np.abs(Stream(model).run(x.reshape(12, 15)) - expected.reshape(6, 4)).max() < LIMIT


@pytest.mark.parametrize("dims", [("B", "T", 3), (1, 9, 3), (4, 9, 3)])
def test_of_two_axes_the_one_that_is_run_along_is_time(dims: tuple[int | str, ...]) -> None:
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2]), node("GRU", "t W R B", "y", hidden_size=5)]
    report = importer.analyse(graph(nodes, {"x": dims}, ["y"], weights("GRU", 3, 5)).SerializeToString())
    assert report.time_axes == (("x", 1),)


@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
@pytest.mark.parametrize("dims", [("B", "T", 3), (1, 9, 3), (4, 9, 3)])
def test_backwards_over_time_is_refused_with_a_remedy(dims: tuple[int | str, ...], direction: str) -> None:
    case = Sequences("GRU", direction)
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2])]
    nodes += [node("GRU", "t W R B", "y", hidden_size=HIDDEN, direction=direction)]
    with pytest.raises(UnsupportedModel, match=f"direction={direction} needs the end.*window=N"):
        importer.read(graph(nodes, {"x": dims}, ["y"], case.values()).SerializeToString())


def test_a_graph_whose_cells_all_run_inside_frames_is_refused() -> None:
    nodes = [
        node("Reshape", "x nine", "r"),  # (T, 9, 3)
        node("Transpose", "r", "t", perm=[1, 0, 2]),
        node("GRU", "t W R B", "y", hidden_size=5),
    ]
    source = graph(nodes, {"x": ("T", 27)}, ["y"], weights("GRU", 3, 5) | {"nine": ints(-1, 9, 3)})
    with pytest.raises(UnsupportedModel, match="GRU 'GRU_y': runs along another axis than the stream's time"):
        importer.read(source.SerializeToString())


def test_steps_fed_in_blocks_go_on_from_an_explicit_state() -> None:
    """The dense layer reads all steps of a call, so no axis of x can be time."""
    nodes = [node("GRU", "x W R B - h", "y hn", hidden_size=5)]
    nodes += [node("Flatten", "y", "z", axis=0), node("MatMul", "z w", "o")]
    constants = weights("GRU", 3, 5) | {"w": some(20, 2)}
    source = graph(nodes, {"x": (4, 1, 3), "h": (1, 1, 5)}, ["o", "hn"], constants)
    report = importer.analyse(source.SerializeToString())
    assert report.model is not None and report.states == (("h", "hn"),)
    x, h = np.random.default_rng(3).uniform(-1, 1, (7, 4, 1, 3)).astype(np.float32), np.zeros((1, 1, 5), np.float32)
    answers = Stream(report.model).run(x.reshape(7, -1))
    for block, answer in zip(x, answers, strict=True):
        made = onnx_runtime(source, {"x": block, "h": h})
        h = made["hn"]
        assert np.abs(answer - made["o"].reshape(-1)).max() < LIMIT


def test_a_convolution_over_time_streams_though_the_only_cell_runs_within_each_frame() -> None:
    made = [
        node("Pad", "x pads", "padded"),
        node("Conv", "padded k", "c"),
        node("Transpose", "c", "t", perm=[3, 2, 0, 1]),
        node("Reshape", "t rows", "bands"),
        node("GRU", "bands W R B", "- Y_h", hidden_size=HIDDEN),
        node("Reshape", "Y_h frames", "y"),
    ]
    held = {
        **weights("GRU", 2, HIDDEN),
        "pads": ints(0, 0, 2, 0, 0, 0, 0, 0),
        "k": some(2, 1, 3, 1),
        "rows": ints(4, -1, 2),
        "frames": ints(1, -1, HIDDEN),
    }
    file = graph(made, {"x": (1, 1, "T", 4)}, ["y"], held)
    report = importer.analyse(file.SerializeToString())
    assert report.model is not None and report.time_axes == (("x", 2),)
    x = np.random.default_rng(0).standard_normal((1, 1, 9, 4)).astype(np.float32)
    assert np.abs(Stream(report.model).run(x[0, 0]) - onnx_runtime(file, {"x": x})["y"][0]).max() < LIMIT


def test_a_mask_of_truth_values_is_a_port_of_zeros_and_others() -> None:
    made = [node("GRU", "x W R B", "Y", hidden_size=HIDDEN), node("Where", "keep Y zero", "y")]
    held = {**weights("GRU", N_IN, HIDDEN), "zero": np.zeros(1, np.float32)}
    file = graph(made, {"x": ("T", 1, N_IN), "keep": ("T", 1, 1, 1)}, ["y"], held)
    file.graph.input[1].type.tensor_type.elem_type = onnx.TensorProto.BOOL
    rng = np.random.default_rng(0)
    x, keep = rng.standard_normal((9, N_IN)).astype(np.float32), rng.random((9, 1)) < 0.5
    whole = onnx_runtime(file, {"x": x[:, None], "keep": keep.reshape(9, 1, 1, 1)})["y"].reshape(9, HIDDEN)
    model = importer.read(file.SerializeToString())
    for one in (1.0, -0.5):
        given = {"x": x, "keep": (keep * one).astype(np.float32)}
        assert np.abs(Stream(model).run(given) - whole).max() < LIMIT
