"""Inputs of whole numbers: sound in narrow ones, tokens that also decide, and what is neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import COMPILED, stream_on
from onnx import TensorProto, helper
from onnx_cases import graph, node, weights

import edgernn
from edgernn import importer
from edgernn.conversion.parity import parity
from edgernn.errors import BadInput, UnsupportedModel
from edgernn.kernels.isas import REFERENCE
from edgernn.layers.base import Array
from edgernn.layers.model import Port
from edgernn.pipelines.ports import as_frames
from edgernn.quantiser import quantise
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


def by_tokens(*nodes: onnx.NodeProto, size: int, length: int | str = "T", **constants: Any) -> onnx.ModelProto:
    """What the nodes make of x (1, length, 2), called `s` (1, length, size), through a GRU."""
    rng = np.random.default_rng(4)
    held = {name: rng.normal(size=(rows, 4)).astype(np.float32) for name, rows in (("E", 7), ("F", 7), ("small", 3))}
    cell = [node("Transpose", "s", "t", perm=[1, 0, 2]), node("GRU", "t W R B", "Y", hidden_size=5)]
    held |= {**weights("GRU", size, 5), "first": np.array(0), "second": np.array(1), "ways": [1], **constants}
    return graph([*nodes, *cell, node("Squeeze", "Y ways", "y")], {"x": [1, length, 2]}, ["y"], held, integers=["x"])


ONE_OF_EACH = [node("Gather", "x first", "a", axis=2), node("Gather", "x second", "b", axis=2)]
# what is made of two tokens a frame, and of how many numbers it is
PAIRS: dict[str, tuple[list[onnx.NodeProto], int, dict[str, Any]]] = {
    "summed": ([node("Gather", "E x", "e"), node("ReduceSum", "e axis", "s", keepdims=0)], 4, {"axis": [2]}),
    "side by side": ([node("Gather", "E x", "e"), node("Reshape", "e to", "s")], 8, {"to": [1, -1, 8]}),
    "each by a table of its own": (
        [*ONE_OF_EACH, node("Gather", "E b", "e"), node("Gather", "F a", "f"), node("Add", "e f", "s")], 4, {}
    ),
    "turned": (
        [
            node("Transpose", "x", "p", perm=[2, 1, 0]),
            node("Gather", "E p", "e"),
            node("ReduceMean", "e", "m", axes=[2]),
            node("Transpose", "m", "q", perm=[2, 1, 0, 3]),
            node("Reshape", "q to", "s"),
        ],
        8,
        {"to": [1, -1, 8]},
    ),
    "masked by one of them": (
        [
            *ONE_OF_EACH,
            node("Gather", "E x", "e"),
            node("Reshape", "e to", "r"),
            node("Equal", "b nought", "pad"),
            node("Unsqueeze", "pad last", "wide"),
            node("Where", "wide none r", "s"),
        ],
        8,
        {"to": [1, -1, 8], "nought": np.array(0), "last": [-1], "none": np.float32(0)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_a_frame_may_be_several_tokens(name: str, tmp_path: Path) -> None:
    nodes, size, constants = PAIRS[name]
    source = by_tokens(*nodes, size=size, **constants)
    x = np.random.default_rng(5).integers(0, 7, (30, 2))
    (expected,) = session(source).run(None, {"x": x[None]})
    model = importer.read(source.SerializeToString())
    assert [(port.size, port.dtype, port.high) for port in model.inputs] == [(2, "int64", 6)]
    stream = Stream(model)
    np.testing.assert_allclose(stream.run(x), expected[:, 0], rtol=1e-5, atol=1e-6)
    with pytest.raises(BadInput, match=r"token 7 is outside -7\.\.6"):
        stream.step([7, 0])
    small = quantise(model, "int8")
    small.save(tmp_path / "m.edgernn")
    expected = stream_on(REFERENCE, small).run(x)
    assert all(np.array_equal(stream_on(isa, small).run(x), expected) for isa in COMPILED)
    pool = edgernn.load(tmp_path / "m.edgernn").pool(3)
    answers = pool.run(np.stack([x, x[::-1], x], axis=1))
    assert np.array_equal(answers[:, 2], expected)
    assert np.array_equal(answers[:, 1], stream_on(REFERENCE, small).run(x[::-1]))


@pytest.mark.parametrize("name", PAIRS)
def test_several_tokens_a_frame_run_on_windows_and_at_a_fixed_length(name: str) -> None:
    nodes, size, constants = PAIRS[name]
    source = by_tokens(*nodes, size=size, length=12, **constants)
    x = np.random.default_rng(5).integers(0, 7, (12, 2))
    (expected,) = session(source).run(None, {"x": x[None]})
    windowed = importer.read(source.SerializeToString(), window=12)
    np.testing.assert_allclose(Stream(windowed).run(x), expected.reshape(1, -1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        Stream(importer.read(source.SerializeToString())).run(x), expected[:, 0], rtol=1e-5, atol=1e-6
    )


def test_tokens_of_a_frame_have_one_bound() -> None:
    nodes = [*ONE_OF_EACH, node("Gather", "E b", "e"), node("Gather", "small a", "f"), node("Add", "e f", "s")]
    with pytest.raises(UnsupportedModel, match=r"'x' pick from tables of 7 and 3 rows.*an input for each token"):
        importer.read(by_tokens(*nodes, size=4).SerializeToString())


def test_a_number_made_of_two_tokens_is_no_token() -> None:
    nodes = [node("ReduceSum", "x axis", "n", keepdims=0), node("Gather", "E n", "s")]
    with pytest.raises(UnsupportedModel, match="picks by a number that is computed at run time"):
        importer.read(by_tokens(*nodes, size=4, axis=[2]).SerializeToString())


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


@pytest.mark.parametrize("token", [2**63, 1e300, 10**30])
def test_tokens_have_64_bits(token: float) -> None:
    with pytest.raises(BadInput, match="numbers"):
        as_frames(Port("x", "x", 1, "int64", 0, 9), [token], "here")
