"""The exporter trap: a file may be wrong though ONNX Runtime runs it; references find it, and GRUs can be repaired.

A file of the affected exporters is one of `exports/` with linear_before_reset=0: that is what torch.onnx.export with
dynamo=True makes of the same modules where onnxscript 0.7.0 is installed. The .npz beside it holds PyTorch's answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from commands import CLASSIFIER, EXPORTS, SEQUENCE, STATEFUL, STEP
from onnx import helper

import edgernn
from edgernn.cli import main
from edgernn.conversion.parity import parity

NAMES = ("deep_gru_dynamo", "gru_batch_first_dynamo", "gru_time_first_dynamo")
FIXED = "every GRU computes linear_before_reset=1, whatever the file says"


def trapped(name: str, folder: Path, producer: str = "pytorch") -> Path:
    """The export as the affected exporters write it."""
    model = onnx.load(EXPORTS / f"{name}.onnx")
    model.producer_name = producer
    for node in (node for node in model.graph.node if node.op_type == "GRU"):
        for attribute in (attribute for attribute in node.attribute if attribute.name == "linear_before_reset"):
            attribute.i = 0
    onnx.save(model, path := folder / f"{name}.onnx")
    return path


def called(*arguments: Any, status: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


@pytest.mark.parametrize("name", NAMES)
def test_the_trap_is_named_found_and_repaired(name: str, tmp_path: Path) -> None:
    path, reference = trapped(name, tmp_path), EXPORTS / f"{name}.npz"
    with pytest.warns(UserWarning, match="this file is likely wrong"):
        wrong = edgernn.convert(path)
    (note,) = wrong.origin["notes"]
    assert "linear_before_reset=0" in note and wrong.origin["producer"] in note and "--fix-torch-gru" in note
    (found,) = parity(wrong, path, steps=30).values()
    assert found.max_error < 1e-5, "ONNX Runtime computes the wrong file faithfully"
    with pytest.raises(edgernn.UnsupportedModel, match=r"differs from what .* --fix-torch-gru"):
        edgernn.convert(path, reference=reference)
    right = edgernn.convert(path, reference=reference, fix_torch_gru=True)
    assert right.origin["notes"] == [FIXED] and right.origin["fix_torch_gru"] is True
    assert right.origin["reference"]["outputs"]["y"]["max_error"] < 1e-5
    right.save(tmp_path / "m.edgernn")
    (found,) = parity(edgernn.load(tmp_path / "m.edgernn"), path, steps=30).values()
    assert found.max_error < 1e-5, "the oracle runs the repaired file"
    assert right.hash == edgernn.convert(EXPORTS / f"{name}.onnx").hash


@pytest.mark.filterwarnings("error")
def test_a_reference_clears_a_file_that_is_only_suspected(tmp_path: Path) -> None:
    path = trapped(NAMES[1], tmp_path)
    x = saved(NAMES[1])["x"]
    (y,) = onnxruntime.InferenceSession(str(path)).run(None, {"x": x[:, :12]})
    np.savez(reference := tmp_path / "r.npz", x=x[:, :12], y=y)
    assert edgernn.convert(path, reference=reference).origin["notes"] == []


def test_nothing_to_repair_is_said() -> None:
    with pytest.raises(edgernn.BadInput, match="there is nothing to repair"):
        edgernn.convert(SEQUENCE, fix_torch_gru=True)
    with pytest.raises(edgernn.BadInput, match="there is nothing to repair"):
        edgernn.convert(EXPORTS / "deep_gru_dynamo.onnx", fix_torch_gru=True)


def test_only_files_of_pytorch_are_suspected(tmp_path: Path) -> None:
    assert edgernn.convert(trapped(NAMES[0], tmp_path, "tf2onnx")).origin["notes"] == []
    assert edgernn.convert(EXPORTS / "keras_gru_reset_before.onnx").origin["notes"] == []
    assert edgernn.convert(EXPORTS / "deep_gru_dynamo.onnx").origin["notes"] == []


def test_a_gru_in_a_branch_is_repaired_too(tmp_path: Path) -> None:
    model = onnx.load(trapped(NAMES[1], tmp_path))
    outputs = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)]
    branch = helper.make_graph(list(model.graph.node), "branch", [], [helper.make_empty_tensor_value_info("y")])
    held = helper.make_node("Constant", [], ["yes"], value=onnx.numpy_helper.from_array(np.array(True)))
    taken = helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph([held, taken], "g", model.graph.input, outputs, model.graph.initializer)
    nested = helper.make_model(graph, opset_imports=model.opset_import, producer_name="pytorch", ir_version=8)
    onnx.save(nested, path := tmp_path / "nested.onnx")
    with pytest.warns(UserWarning, match="linear_before_reset=0"):
        edgernn.convert(path)
    edgernn.convert(path, fix_torch_gru=True, reference=EXPORTS / f"{NAMES[1]}.npz")


def test_the_command_line_warns_refuses_and_repairs(tmp_path: Path) -> None:
    path, reference, target = trapped(NAMES[0], tmp_path), EXPORTS / f"{NAMES[0]}.npz", tmp_path / "m.edgernn"
    assert "warning: this file is likely wrong" in called("inspect", path)
    said = called("convert", path, "-o", target, "--reference", reference, status=1)
    assert "linear_before_reset=0" in said and "--fix-torch-gru" in said and not target.exists()
    said = called("convert", path, "-o", target)
    assert "warning: this file is likely wrong" in said
    assert "Past the limit" in called("verify", target, "--against", path, "--reference", reference, status=1)
    said = called("convert", path, "-o", target, "--reference", reference, "--fix-torch-gru")
    assert f"note: {FIXED}" in said and f"differs from {reference}" in said
    said = called("verify", target, "--against", path, "--reference", reference, "--json")
    assert json.loads(said)["within_limit"] is True
    assert "Within the limit" in called("verify", target, "--against", path)
    assert "nothing to repair" in called("convert", SEQUENCE, "-o", target, "--fix-torch-gru", status=1)
    said = called("verify", target, "--against", path, "--reference", reference, "--input", reference, status=2)
    assert "--reference and --input: each says what to compare on" in said


def saved(name: str) -> dict[str, Any]:
    return dict(np.load(EXPORTS / f"{name}.npz"))


# file, what of its .npz is kept in which form
FORMS: list[tuple[Path, Callable[[dict[str, Any]], Mapping[str, Any]]]] = [
    (SEQUENCE, lambda held: held),
    (SEQUENCE, lambda held: {name: array.reshape(array.size // array.shape[-1], -1) for name, array in held.items()}),
    (CLASSIFIER, lambda held: held),
    (EXPORTS / "tagger_torchscript.onnx", lambda held: held),
    (EXPORTS / "gru_time_first_dynamo.onnx", lambda held: held),
]


@pytest.mark.parametrize(("source", "form"), FORMS, ids=lambda value: getattr(value, "stem", ""))
def test_references_come_in_the_forms_of_the_graph_and_of_frames(source: Path, form: Any, tmp_path: Path) -> None:
    np.savez(path := tmp_path / "r.npz", **form(saved(source.stem)))
    figures = edgernn.convert(source, reference=path).origin["reference"]["outputs"]
    assert figures and all(found["max_error"] < 1e-5 for found in figures.values())


def test_a_step_graph_is_compared_on_frames(tmp_path: Path) -> None:
    model = edgernn.convert(STEP)
    x = np.random.default_rng(3).standard_normal((25, model.inputs[0].size)).astype(np.float32)
    answers = model.stream().run(x)
    name, output = model.inputs[0].name, model.outputs[0].name
    np.savez(path := tmp_path / "r.npz", **{name: x[:, None], output: np.asarray(answers)[:, None]})
    assert edgernn.convert(STEP, reference=path).origin["reference"]["outputs"][output]["frames"] == 25


def test_states_may_be_there_where_they_start_at_zero(tmp_path: Path) -> None:
    held = saved(STATEFUL.stem)
    zeros = {name: np.zeros((1, 1, 1), np.float32) for name in ("h0", "c0")}
    x = np.asarray(held["x"])
    y = edgernn.convert(STATEFUL).stream().run(x.reshape(-1, x.shape[-1]))
    np.savez(path := tmp_path / "r.npz", x=x, y=y, **zeros)
    edgernn.convert(STATEFUL, reference=path)
    np.savez(path, x=x, y=y, h0=np.ones(4))
    with pytest.raises(edgernn.BadInput, match="'h0' starts from another state"):
        edgernn.convert(STATEFUL, reference=path)


BAD = {
    "no input": (lambda held: {"y": held["y"]}, "does not hold the input 'x'"),
    "no output": (lambda held: {"x": held["x"]}, "does not hold any of the outputs y"),
    "another name": (lambda held: {**held, "z": held["y"]}, "'z' is no input or output"),
    "too narrow": (lambda held: {**held, "x": held["x"][..., :-1]}, r"'x' has the shape \[1, 30, 5\]"),
    "too short": (lambda held: {**held, "y": held["y"][:, :-1]}, "the output 'y'"),
    "empty": (lambda held: {**held, "x": held["x"][:, :0]}, "from one on"),
    "not finite": (lambda held: {**held, "y": held["y"] * np.nan}, "'y' holds something else than finite numbers"),
    "text": (lambda held: {**held, "x": np.array(["a"])}, "'x' holds something else than finite numbers"),
    "objects": (lambda held: {**held, "x": np.array([None])}, "no .npz file of plain arrays"),
}


@pytest.mark.parametrize("what", BAD)
def test_references_that_do_not_fit_are_refused(what: str, tmp_path: Path) -> None:
    change, says = BAD[what]
    np.savez(path := tmp_path / "r.npz", **change(saved("gru_batch_first_torchscript")))
    with pytest.raises(edgernn.BadInput, match=says):
        edgernn.convert(EXPORTS / "gru_batch_first_torchscript.onnx", reference=path)


def test_what_is_no_reference_is_refused(tmp_path: Path) -> None:
    with pytest.raises(edgernn.BadInput, match="there is no file"):
        edgernn.convert(SEQUENCE, reference=tmp_path / "none.npz")
    (bad := tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not at all")
    np.save(plain := tmp_path / "plain.npy", np.zeros(3))
    for path in (bad, plain, SEQUENCE):
        with pytest.raises(edgernn.BadInput, match=r"no .npz file"):
            edgernn.convert(SEQUENCE, reference=path)


def test_another_difference_is_not_blamed_on_the_trap(tmp_path: Path) -> None:
    held = saved(SEQUENCE.stem)
    np.savez(path := tmp_path / "r.npz", **{**held, "y": held["y"] + 0.01})
    with pytest.raises(edgernn.UnsupportedModel, match="same weights, in evaluation mode") as raised:
        edgernn.convert(SEQUENCE, reference=path)
    assert "linear_before_reset" not in str(raised.value)


def halved(folder: Path) -> Path:
    """The export as that of `model.half()`."""
    model = onnx.load(SEQUENCE)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            numbers = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(numbers, tensor.name))
    for given in (*model.graph.input, *model.graph.output):
        given.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    del model.graph.value_info[:]
    onnx.save(model, path := folder / "half.onnx")
    return path


def test_half_precision_is_named_as_what_makes_a_reference_differ(tmp_path: Path) -> None:
    held = saved(SEQUENCE.stem)
    np.savez(path := tmp_path / "r.npz", x=held["x"], y=held["y"].astype(np.float16))
    with pytest.raises(edgernn.UnsupportedModel, match=r"'y' in .* is float16.*model\.float\(\).*same weights"):
        edgernn.convert(SEQUENCE, reference=path)
    np.savez(path, x=held["x"], y=held["y"] + 0.001)
    with pytest.raises(edgernn.UnsupportedModel, match=r"the graph computes in narrow numbers.*model\.float\(\)"):
        edgernn.convert(halved(tmp_path), reference=path)
    with pytest.raises(edgernn.UnsupportedModel) as raised:
        edgernn.convert(SEQUENCE, reference=path)
    assert "float16" not in str(raised.value)
