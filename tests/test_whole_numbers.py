"""Inputs of whole numbers: sound in narrow ones, tokens that also decide, and what is neither."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx_cases import graph, node, weights

from edgernn import importer
from edgernn.conversion.parity import parity
from edgernn.errors import UnsupportedModel
from edgernn.layers.base import Array
from edgernn.stream import Stream


def session(model: onnx.ModelProto) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("kind", ["int8", "int16", "uint8", "uint16"])
def test_narrow_whole_numbers_are_numbers_of_a_frame(kind: str) -> None:
    held = {**weights("GRU", 4, 5), "ways": [1], "scale": np.float32(1 / 64)}
    nodes = [node("Cast", "x", "c", to=1), node("Mul", "c scale", "s"), node("GRU", "s W R B", "Y", hidden_size=5)]
    model = graph([*nodes, node("Squeeze", "Y ways", "y")], {"x": ["T", 1, 4]}, ["y"], held)
    model.graph.input[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    span = np.iinfo(kind)
    x = np.random.default_rng(1).integers(max(span.min, -200), min(span.max, 200), (30, 4), kind, endpoint=True)
    read = importer.read(model.SerializeToString())
    made = Stream(read).run(x.astype(np.float32))
    np.testing.assert_allclose(made, session(model).run(None, {"x": x[:, None]})[0][:, 0], rtol=1e-5, atol=1e-6)
    wild = x.astype(np.float32) + 0.75
    wild[3], wild[4] = 1e6, -1e6
    tame = np.clip(wild, span.min, span.max).astype(kind)
    assert np.array_equal(Stream(read).run(wild), Stream(read).run(tame.astype(np.float32)))


def test_what_is_fed_to_narrow_inputs_compares_with_onnx_runtime(tmp_path: Any) -> None:
    held = {**weights("GRU", 4, 5), "ways": [1]}
    nodes = [node("Cast", "x", "c", to=1), node("GRU", "c W R B", "Y", hidden_size=5), node("Squeeze", "Y ways", "y")]
    model = graph(nodes, {"x": ["T", 1, 4]}, ["y"], held)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    path = tmp_path / "bytes.onnx"
    onnx.save(model, path)
    frames = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32) * 200
    (found,) = parity(importer.read(path), path, frames).values()
    assert found.max_error < 1e-5


def decided_by_a_token() -> onnx.ModelProto:
    """h = tanh(E[x] + h), doubled where x is 0, else plus 2."""
    branches = {
        name: helper.make_graph([node(kind, "s two", name)], name, [], [helper.make_empty_tensor_value_info(name)])
        for name, kind in (("yes", "Mul"), ("no", "Add"))
    }
    table = np.random.default_rng(2).normal(size=(7, 4)).astype(np.float32)
    nodes = [
        node("Gather", "E x", "e"),
        node("Add", "e h", "a"),
        node("Tanh", "a", "s"),
        node("Equal", "x nought", "same"),
        node("Squeeze", "same", "zero"),
        node("If", "zero", "hn", then_branch=branches["yes"], else_branch=branches["no"]),
    ]
    held = {"E": table, "two": np.float32(2), "nought": np.array(0)}
    return graph(nodes, {"x": [1], "h": [1, 4]}, ["hn"], held, integers=["x"])


def test_a_token_that_is_embedded_may_decide() -> None:
    model = decided_by_a_token()
    tokens = np.random.default_rng(3).integers(0, 3, 40)
    made = Stream(importer.read(model.SerializeToString())).run(tokens)
    run, state = session(model), np.zeros((1, 4), np.float32)
    expected: list[Array] = []
    for token in tokens:
        (state,) = run.run(None, {"x": [token], "h": state})
        expected.append(state[0])
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-6)


def test_several_tokens_a_frame_are_refused_as_such() -> None:
    held = {**weights("GRU", 4, 5), "E": np.ones((7, 4), np.float32), "one": np.array(1), "ways": [1]}
    nodes = [
        node("Gather", "x one", "t", axis=1),
        node("Gather", "E t", "e"),
        node("Transpose", "e", "s", perm=[1, 0, 2]),
    ]
    cell = [node("GRU", "s W R B", "Y", hidden_size=5), node("Squeeze", "Y ways", "y")]
    model = graph([*nodes, *cell], {"x": [1, 2, "T"]}, ["y"], held, integers=["x"])
    with pytest.raises(UnsupportedModel, match=r"one of the 2 numbers of 'x' in a frame.*an input for each token"):
        importer.read(model.SerializeToString())


def test_the_only_input_is_no_state_whatever_it_holds() -> None:
    """Samples less their mean over all time: that needs the whole sequence, and no state is meant."""
    nodes = [node("Cast", "x", "c", to=1), node("ReduceMean", "c", "m", axes=[2]), node("Sub", "c m", "y")]
    model = graph(nodes, {"x": [1, 1, "T"]}, ["y"])
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT16
    with pytest.raises(UnsupportedModel, match=r"combines the last step of the sequence with every step.*window=N"):
        importer.read(model.SerializeToString())


def test_a_counter_is_a_state_beside_cells_whose_states_are_proved() -> None:
    """Names do not tell which states b and d are; n counts the calls, in eight bits."""
    rng = np.random.default_rng(1)
    held = {"one": np.float32(1), "axis": np.array([1])}
    held |= {
        name: rng.uniform(-1, 1, (4, n)).astype(np.float32) for name, n in (("W", 3), ("R", 4), ("V", 4), ("S", 4))
    }
    nodes = [
        *(node("Gemm", f"{x} {w}", y, transB=1) for x, w, y in (("a", "W", "p"), ("b", "R", "q"))),
        *(node("Add", "p q", "s"), node("Tanh", "s", "c")),
        *(node("Gemm", f"{x} {w}", y, transB=1) for x, w, y in (("c", "V", "t"), ("d", "S", "u"))),
        *(node("Add", "t u", "v"), node("Tanh", "v", "f")),
        *(node("Cast", "n", "m", to=1), node("Add", "m one", "k"), node("Cast", "k", "e", to=TensorProto.INT8)),
        *(node("Mul", "f m", "w"), node("ReduceSum", "w axis", "y")),
    ]
    model = graph(nodes, {"a": [1, 3], "b": [1, 4], "d": [1, 4], "n": [1, 1]}, ["y", "c", "f", "e"], held)
    model.graph.input[3].type.tensor_type.elem_type = model.graph.output[3].type.tensor_type.elem_type = (
        TensorProto.INT8
    )
    with pytest.raises(UnsupportedModel, match="'n': is a state of int8, which 'e' replaces") as refused:
        importer.read(model.SerializeToString())
    assert len(refused.value.problems) == 1
