"""What a file may ask for, and what its names may do: each limit is named where it is met."""

from __future__ import annotations

import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime
import pytest
from hostile_attacks import cell, escapes, escapes_in_a_weight, of_type, split_in, strides_and_names
from hostile_cases import made
from hostile_graphs import unsupported
from hostile_parts import value_info
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_cases import GRU, Cell, graph, node, on_gru, weights

import edgernn
from edgernn import conversion, importer
from edgernn.errors import BadModelFile, EdgernnError, UnsupportedModel
from edgernn.importer.file.evaluate import COUNTING, Folder
from edgernn.importer.file.graph import Graph, Operator
from edgernn.importer.file.read import load
from edgernn.importer.file.work import MOST_PROBLEMS
from edgernn.stream import Stream


def test_what_a_name_may_steer_is_spelt_out() -> None:
    for make in (escapes, escapes_in_a_weight):
        with pytest.raises(EdgernnError) as raised:
            importer.read(make().SerializeToString())
        assert str(raised.value).replace("\n  - ", "").isprintable()
        assert "\\x1b[2J" in str(raised.value) and "\\nall is well" in str(raised.value)


@pytest.mark.parametrize(("given", "came"), [({"hidden_size": 5.0}, "FLOAT; INT"), ({"clip": "1"}, "STRING; FLOAT")])
def test_an_attribute_of_another_type_is_refused(given: dict[str, Any], came: str) -> None:
    (name,) = given
    with pytest.raises(BadModelFile, match=f"'{name}' of node 'GRU_y' is {came} expected"):
        importer.read(cell(**given).SerializeToString())


@pytest.mark.parametrize("kind", [*COUNTING, "Cast"])
def test_what_counts_is_computed_as_onnx_does(kind: str) -> None:
    """In one Folder, twice: what is kept costs as much as before."""
    rng, folder = np.random.default_rng(1), Folder(17, 0)
    kinds = COUNTING[kind][1] if kind in COUNTING else "bi"
    dtypes = {"b": ["bool"], "i": ["int32", "int64"], "f": ["float32", "float64"]}
    names = ("x",) if kind in ("Not", "Cast") else ("x", "y")
    for dtype in [dtype for each in kinds for dtype in dtypes[each]]:
        for to in (1, 6, 7, 9, 11) if kind == "Cast" else (0,):
            given = [(4 * rng.normal(size=shape)).astype(dtype) for shape in ((2, 3), (3,))][: len(names)]
            attributes = {"to": to} if to else {}
            model = graph([helper.make_node(kind, names, ["z"], **attributes)], {}, ["z"])
            (expected,) = ReferenceEvaluator(model).run(None, dict(zip(names, given, strict=True)))
            operator, left = Operator("node", kind, "", names, ("z",), attributes), folder.left
            for again in range(2):
                (made,) = folder.fold(operator, given) or ()
                assert folder.left == left - (again + 1) * expected.size
                np.testing.assert_array_equal(made, expected, strict=True)


def test_complex_weights_are_refused() -> None:
    with pytest.raises(BadModelFile, match="'w' holds no real numbers"):
        importer.read(of_type(TensorProto.COMPLEX64, 40).SerializeToString())


def test_text_and_nan_are_no_weights_whatever_their_type() -> None:
    nan, text = np.full((1, 15, 3), np.nan, ml_dtypes.bfloat16), np.full((1, 15, 3), "1", object)
    beyond = np.full((1, 15, 3), 1e300)
    for values, reason in ((text, "W holds text"), (nan, "W holds NaN"), (beyond, "W holds NaN or infinity")):
        held = weights("GRU", 3, 5) | {"W": values}
        source = graph([node("GRU", "x W R B", "y", hidden_size=5)], {"x": ("T", 1, 3)}, ["y"], held)
        with warnings.catch_warnings(action="error"), pytest.raises(UnsupportedModel, match=reason):
            importer.read(source.SerializeToString())


def test_all_readings_of_a_graph_share_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[Graph] = []
    monkeypatch.setattr(
        sys.modules["edgernn.importer.analyse"], "load", lambda *given: graphs.append(load(*given)) or graphs[-1]
    )
    monkeypatch.setattr("edgernn.importer.file.work.WALKED", 2000)
    monkeypatch.setattr("edgernn.importer.readings.free.WALKED", 2000)
    monkeypatch.setattr("edgernn.importer.readings.again.WALKED", 2000)
    with pytest.raises(UnsupportedModel, match="strides over time make one answer of"):
        importer.read(strides_and_names(100).SerializeToString())
    assert graphs[0].work.done < 5000


def test_a_walk_ends_after_many_problems_and_at_many_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedModel) as raised:
        importer.read(unsupported(1100).SerializeToString())
    assert len(raised.value.problems) == MOST_PROBLEMS
    monkeypatch.setattr("edgernn.importer.file.work.MOST_LAYERS", 50)
    with pytest.raises(UnsupportedModel, match="Split 'Split_s0': the graph becomes more than 50 layers"):
        importer.read(split_in(100).SerializeToString())


def test_an_answer_that_would_come_too_late_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="Slice 'Slice_v': comes 1,000,000,000 steps late, more than 8,388,608"):
        importer.read(made("time, Slice from a thousand million"))


def test_what_no_model_file_can_describe_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edgernn.modelfile.CERTAIN", 10)
    monkeypatch.setattr("edgernn.modelfile.container.FREE_PARTS", 100)
    names = ["Y", *(f"v{n}" for n in range(100)), "y"]
    chain = on_gru(*(node("Tanh", a, b) for a, b in pairwise(names)))
    (tmp_path / "m.onnx").write_bytes(chain.SerializeToString())
    with pytest.raises(UnsupportedModel, match="becomes 104 layers, more than a model file can describe"):
        edgernn.convert(tmp_path / "m.onnx")
    (problem,) = conversion.analyse(tmp_path / "m.onnx").problems
    assert "more than a model file can describe" in problem.what


def test_the_largest_window_over_an_lstm_is_its_sequence() -> None:
    made = Cell("LSTM").model().SerializeToString()
    frames = np.random.default_rng(0).normal(size=(4096, Cell.n_in)).astype(np.float32)
    whole, steps = importer.read(made, window=4096).stream().run(frames), importer.read(made).stream().run(frames)
    np.testing.assert_allclose(whole["Y"].reshape(4096, -1), steps["Y"], atol=1e-6)


def test_more_instructions_than_a_plan_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgernn.planner.lower.MOST_INSTRUCTIONS", 100)
    model = importer.read(Cell("LSTM").model().SerializeToString(), window=64)
    with pytest.raises(UnsupportedModel, match="takes more than 100 instructions a frame -> use a smaller window"):
        model.stream()


def test_a_window_is_told_the_length_that_shapes_hold() -> None:
    both = {name: np.concatenate([w, w]) for name, w in GRU.items()}
    nodes = [node("GRU", "x W R B", "Y", hidden_size=5, direction="bidirectional"), node("Reshape", "Y n", "y")]
    made = graph(nodes, {"x": ("T", 1, 3)}, ["y"], {**both, "n": np.array([12, 10])}).SerializeToString()
    with pytest.raises(UnsupportedModel, match=r"exported for sequences of 12 steps, so a window of 7 .* window=12"):
        importer.read(made, window=7)
    assert importer.read(made, window=12).window == 12


def test_a_loop_that_halves_the_number_of_its_step_says_why() -> None:
    inner = [node("Div", "i two", "half"), node("Gather", "x half", "row", axis=0), node("Identity", "go", "still")]
    inner += [node("Add", "h row", "new")]
    ends = [value_info("i", TensorProto.INT64), value_info("go", TensorProto.BOOL), value_info("h")]
    body = helper.make_graph(inner, "body", ends, [value_info("still", TensorProto.BOOL), value_info("new")])
    loop = helper.make_node("Loop", ["many", "yes", "h0"], ["y"], body=body)
    many = [node("Shape", "x", "s"), node("Gather", "s zero", "many")]
    held = {"two": np.int64(2), "zero": np.int64(0), "yes": np.array(True), "h0": np.zeros((1, 3), np.float32)}
    made = graph([*many, loop], {"x": ("T", 1, 3)}, ["y"], held).SerializeToString()
    with pytest.raises(UnsupportedModel, match="computes Div of now: a stream has no first step to count from"):
        importer.read(made)


def test_exp_overflows_nowhere_so_that_no_infinity_enters_a_state() -> None:
    """ONNX Runtime's is infinite above 88.7: where that cancels out the answers agree, and elsewhere ours is finite."""
    nodes = [
        *(node("Neg", "h", "n"), node("Exp", "n", "e"), node("Add", "e one", "d"), node("Div", "one d", "gate")),
        *(node("Exp", "h", "p"), node("Sub", "p e", "s"), node("Add", "p e", "c"), node("Div", "s c", "tanh")),
        node("Add", "h x", "h_out"),
    ]
    outputs = ["gate", "tanh", "h_out"]
    model = graph(nodes, {"x": [1, 2], "h": [1, 2]}, outputs, {"one": np.float32(1)})
    stream = Stream(importer.read(model.SerializeToString(), state={"h": "h_out"}))
    x = np.array([[50, -50]] * 8, np.float32)
    made = stream.run(x)
    assert all(np.isfinite(made[name]).all() for name in outputs[:2])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for step in range(8):
        gate, tanh, _ = session.run(None, {"x": x[None, step], "h": x[None, step] * step})
        np.testing.assert_allclose(made["gate"][step], gate[0], atol=1e-6)
        np.testing.assert_allclose(
            made["tanh"][step], np.where(np.isnan(tanh[0]), np.sign(x[step]), tanh[0]), atol=1e-6
        )


def test_a_stream_of_more_layers_than_a_file_holds_is_refused_before_they_are_joined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgernn.importer.model.assemble.MOST_STREAMED", 20)
    monkeypatch.setattr("edgernn.importer.model.assemble.simplified", lambda model: pytest.fail("layers were joined"))
    chain = [node("Tanh", f"v{n}", f"v{n + 1}") for n in range(20)]
    source = on_gru(*chain, node("Identity", "v20", "y"))
    source.graph.node[1].input[0] = "Y"
    with pytest.raises(UnsupportedModel, match="more than 20 layers -> export a smaller model"):
        importer.read(source.SerializeToString())


def test_lengths_of_too_many_sequences_are_refused() -> None:
    nodes = [node("Cast", "lengths", "n", to=TensorProto.INT32), node("GRU", "x W R B n", "y", hidden_size=5)]
    source = graph(nodes, {"x": ("T", 1, 3), "lengths": (1 << 62,)}, ["y"], GRU, integers=["lengths"])
    with pytest.raises(UnsupportedModel, match=r"'lengths': a frame of .* is too large for a stream"):
        importer.read(source.SerializeToString())
