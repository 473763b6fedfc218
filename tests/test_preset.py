"""What the user sets: inputs as constants, which select branches, and sizes of free dimensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper
from onnx_cases import graph, node, onnx_runtime
from surroundings import some

import edgernn
from edgernn import importer
from edgernn.cli import main
from edgernn.conversion.parity import parity
from edgernn.layers.definition import run

STEPS = 12
BRANCHES = {16000: 1.0, 8000: 2.0, 44100: 3.0}  # what multiplies the frame at each rate


def scaled(factor: str, *more: onnx.NodeProto) -> onnx.GraphProto:
    output = helper.make_tensor_value_info(f"{factor}_x", TensorProto.FLOAT, None)
    return helper.make_graph([*more, node("Mul", f"x {factor}", f"{factor}_x")], factor, [], [output])


def chosen(rank: int = 0) -> onnx.ModelProto:
    """x (1, 4), h (1, 5), sr -> y: x is multiplied by 1 at 16 kHz, 2 at 8 kHz, else 3, by an If within an If."""
    is_8k = node("Equal", "rate r8000", "is_8k")
    inner = node("If", "is_8k", "inner_x", then_branch=scaled("f8000"), else_branch=scaled("f44100"))
    other = helper.make_graph(
        [is_8k, inner], "other", [], [helper.make_tensor_value_info("inner_x", TensorProto.FLOAT, None)]
    )
    nodes = [
        node("Reshape", "sr one", "rate"),
        node("Equal", "rate r16000", "is_16k"),
        node("If", "is_16k", "scaled", then_branch=scaled("f16000"), else_branch=other),
        node("Concat", "scaled h", "both", axis=1),
        node("Gemm", "both w", "sum"),
        node("Tanh", "sum", "h_out"),
        node("Gemm", "h_out v", "y"),
    ]
    constants: dict[str, Any] = {f"r{rate}": np.array([rate], np.int64) for rate in (16000, 8000)}
    constants |= {f"f{rate}": np.float32(factor) for rate, factor in BRANCHES.items()}
    constants |= {"one": np.array([1], np.int64), "w": some(9, 5), "v": some(5, 2)}
    dims = {"x": (1, 4), "h": (1, 5), "sr": (1,) * rank}
    return graph(nodes, dims, ["y", "h_out"], constants, integers=["sr"])


def stepped(model: onnx.ModelProto, x: np.ndarray, **given: np.ndarray) -> np.ndarray:
    """ONNX Runtime's y for each frame, with h fed back."""
    h, rows = np.zeros((1, 5), np.float32), []
    for frame in x:
        made = onnx_runtime(model, {"x": frame[None], "h": h, **given})
        rows.append(made["y"].reshape(-1))
        h = made["h_out"]
    return np.array(rows)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("rate", BRANCHES)
def test_a_constant_selects_its_branch(rate: int, rank: int, tmp_path: Path) -> None:
    model = chosen(rank)
    onnx.save(model, path := tmp_path / "m.onnx")
    converted = edgernn.convert(path, constants={"sr": rate})
    x = some(STEPS, 4)
    expected = stepped(model, x, sr=np.full((1,) * rank, rate))
    assert np.abs(run(converted, x) - expected).max() < 1e-5
    assert converted.origin["constants"] == {"sr": rate}
    assert bool(converted.origin["notes"]) == (rate == 44100)  # which the graph compares with nothing
    converted.save(tmp_path / "m.edgernn")
    (found,) = parity(edgernn.load(tmp_path / "m.edgernn"), path, steps=STEPS).values()
    assert found.frames == STEPS and found.max_error < 1e-5


def test_what_is_not_set_is_asked_for_with_the_values_that_the_graph_knows() -> None:
    (problem,) = importer.analyse(chosen().SerializeToString()).problems
    assert problem.operator == "If" and problem.remedy == (
        "if 'sr' is the same in every call, say what it is: --set sr=8000 (the graph compares it with 8000, 16000)"
    )


def test_a_truth_value_selects_a_branch() -> None:
    nodes = [
        node("If", "flag", "s", then_branch=scaled("f16000"), else_branch=scaled("f8000")),
        node("Add", "s h", "h_out"),
    ]
    model = graph(nodes, {"x": (1, 4), "h": (1, 4), "flag": ()}, ["h_out"], {"f16000": some(1), "f8000": some(1)})
    model.graph.input[2].type.tensor_type.elem_type = TensorProto.BOOL
    data = model.SerializeToString()
    assert "--set flag=VALUE" in str(importer.analyse(data).problems[0])
    x = some(STEPS, 4)
    for flag in (True, False):
        given = {"x": x[:1], "h": np.zeros((1, 4), np.float32), "flag": np.array(flag)}
        answer = run(importer.read(data, constants={"flag": flag}), x)[0]
        assert np.abs(answer - onnx_runtime(model, given)["h_out"]).max() < 1e-6


def test_a_number_that_shapes_hang_on_is_asked_for_too() -> None:
    nodes = [node("Reshape", "x n", "r"), node("Squeeze", "r zero", "f"), node("Add", "f h", "h_out")]
    dims = {"x": (4, 1), "h": (1, 4), "n": (2,)}
    model = graph(nodes, dims, ["h_out"], {"zero": np.array([0], np.int64)}, integers=["n"])
    assert "--set" not in str(importer.analyse(model.SerializeToString()).problems), "two numbers are no single one"
    model = graph(
        [node("Reshape", "x n", "f"), node("Add", "f h", "h_out")],
        {**dims, "h": (4,), "n": (1,)},
        ["h_out"],
        integers=["n"],
    )
    data = model.SerializeToString()
    assert "--set n=VALUE" in str(importer.analyse(data).problems)
    assert importer.read(data, constants={"n": -1}).inputs[0].size == 4


def framed(names: tuple[str | None, str | None]) -> onnx.ModelProto:
    """A step graph whose frame of 6 samples has no size in the file: x (batch, samples), h (batch, 4)."""
    nodes = [
        node("Concat", "x h", "both", axis=1),
        node("Gemm", "both w", "sum"),
        node("Tanh", "sum", "h_out"),
        node("Gemm", "h_out v", "y"),
    ]
    return graph(nodes, {"x": names, "h": (names[0], 4)}, ["y", "h_out"], {"w": some(10, 4), "v": some(4, 2)})


@pytest.mark.parametrize(("names", "key"), [(("batch", "samples"), "samples"), ((None, None), "x:1")])
def test_a_free_dimension_is_given_a_size(names: tuple[str | None, str | None], key: str, tmp_path: Path) -> None:
    onnx.save(framed(names), path := tmp_path / "m.onnx")
    problems = str(importer.analyse(path).problems)
    assert f"'{key}' " in problems and "--set NAME=SIZE" in problems
    model = edgernn.convert(path, constants={key: 6})
    assert model.inputs[0].size == 6 and model.origin["states"] == {"h": "h_out"}
    (found,) = parity(model, path, steps=STEPS).values()
    assert found.frames == STEPS and found.max_error < 1e-5


@pytest.mark.parametrize(
    ("constants", "says"),
    [
        ({"rate": 1}, r"no input and no free dimension 'rate' to set \(inputs: x, h, sr; free dimensions: none\)"),
        ({"sr": 1.5}, "'sr' is set to 1.5, but it takes int64"),
        ({"sr": [1, 2]}, r"'sr' is set to an array \[2\]; \[\] expected"),
        ({"sr": [[1], [2, 3]]}, "a number expected"),
        ({"sr": 10**30}, "a number expected"),
        ({"sr": "16k"}, "'sr' is set to '16k': a number expected"),
        ({"sr": float("nan")}, "'sr' is set to nan: a number expected"),
    ],
)
def test_what_does_not_fit_is_refused(constants: dict[str, Any], says: str) -> None:
    with pytest.raises(edgernn.BadInput, match=says):
        importer.read(chosen().SerializeToString(), constants=constants)


def test_an_input_with_a_default_can_be_set(tmp_path: Path) -> None:
    nodes = [node("Mul", "x gain", "louder"), node("Add", "louder h", "h_out")]
    model = graph(nodes, {"x": (1, 4), "h": (1, 4), "gain": (1,)}, ["h_out"], {"gain": np.float32([2])})
    onnx.save(model, path := tmp_path / "m.onnx")
    x = some(STEPS, 4)
    for gain, constants in ((2, {}), (0.5, {"gain": 0.5})):
        converted = edgernn.convert(path, constants=constants)
        assert np.abs(run(converted, x) - gain * np.cumsum(x, axis=0)).max() < 1e-5
        (found,) = parity(converted, path, steps=STEPS).values()
        assert found.max_error < 1e-5


@pytest.mark.parametrize("size", [0, -3, 1.5, True, "six"])
def test_a_size_is_a_whole_number(size: Any) -> None:
    with pytest.raises(edgernn.BadInput, match="a whole number from 1 on expected"):
        importer.read(framed(("batch", "samples")).SerializeToString(), constants={"samples": size})


def test_a_branch_that_cannot_be_had_is_a_problem_only_where_it_is_taken() -> None:
    bad = node("Det", "x", "r")
    branch = helper.make_graph([bad], "bad", [], [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)])
    nodes = [
        node("Equal", "sr r16000", "is_16k"),
        node("If", "is_16k", "s", then_branch=scaled("f16000"), else_branch=branch),
        node("Add", "s h", "h_out"),
    ]
    held = {"r16000": np.int64(16000), "f16000": np.float32(1)}
    data = graph(nodes, {"x": (1, 4), "h": (1, 4), "sr": ()}, ["h_out"], held, integers=["sr"]).SerializeToString()
    assert importer.read(data, constants={"sr": 16000}).outputs[0].size == 4
    with pytest.raises(edgernn.UnsupportedModel, match="Det"):
        importer.read(data, constants={"sr": 8000})


def test_the_command_line_sets_as_well(tmp_path: Path) -> None:
    source, target = str(tmp_path / "m.onnx"), str(tmp_path / "m.edgernn")
    onnx.save(chosen(), source)

    def called(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == status, result.output
        return result.output

    assert "--set sr=8000" in called("convert", source, "-o", target, status=1)
    assert "differ from ONNX Runtime's" in called("convert", source, "-o", target, "--set", "sr=44100")
    assert "Within the limit" in called("verify", target, "--against", source)
    assert "h <- h_out" in called("inspect", source, "--set", "sr=16000")
    assert "constants.sr" in called("inspect", target)
    assert "are for ONNX files" in called("inspect", target, "--set", "sr=16000", status=2)
    for wrong in ("sr", "sr=", "=3", "sr=fast"):
        assert "NAME=NUMBER" in called("convert", source, "-o", target, "--set", wrong, status=2)
    assert "each name once" in called("convert", source, "-o", target, "--set", "sr=1", "--set", "sr=2", status=2)
