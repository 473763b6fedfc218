"""Broken and hostile files end in BadModelFile, which says what is wrong, in bounded time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hostile_cases import BOMBS, HARMLESS, LARGE, made
from hostile_parts import laughs
from onnx import TensorProto, helper
from onnx_cases import CELLS, GRU, graph, node, on_gru
from surroundings import OPS

from edgernn import importer
from edgernn.errors import BadModelFile, UnsupportedModel
from edgernn.importer.file.evaluate import Folder

ROOT = Path(__file__).resolve().parents[1]


def cyclic() -> onnx.ModelProto:
    return on_gru(node("Add", "Y b", "a"), node("Tanh", "a", "b"), node("Add", "a b", "y"))


def with_tensor(**changes: Any) -> onnx.ModelProto:
    """A good model with one weight changed."""
    model = CELLS["gru"].model()
    tensor = next(t for t in model.graph.initializer if t.name == "W")
    for name, value in changes.items():
        if name == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)
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
    "made by nothing": (
        lambda: on_gru(node("Tanh", "nowhere", "y")).SerializeToString(),
        "nothing makes the value 'nowhere'",
    ),
    "no inputs of a node": (
        lambda: on_gru(
            node("Unsqueeze", "", "u"), node("Unsqueeze", "", "v"), node("Concat", "u v", "y", axis=0)
        ).SerializeToString(),
        "Unsqueeze 'Unsqueeze_u' has 0 inputs; 1 or more expected",
    ),
    "no name of an input": (
        lambda: on_gru(node("Add", "Y -", "y")).SerializeToString(),
        "Add 'Add_y' has 1 inputs; 2 or more expected",
    ),
    "no outputs of a node": (
        lambda: on_gru(helper.make_node("Tanh", ["Y"], [], name="t"), node("Tanh", "Y", "y")).SerializeToString(),
        "Tanh 't' has no outputs",
    ),
    "no outputs": (lambda: no_outputs().SerializeToString(), "no outputs"),
    "negative input": (lambda: negative_dim().SerializeToString(), "a dimension of -5"),
    "negative dims": (lambda: with_tensor(dims=[1, -15, 3]).SerializeToString(), "negative dimension"),
    "huge dims": (lambda: with_tensor(dims=[2**40, 2**40, 3]).SerializeToString(), "needs"),
    "short data": (lambda: with_tensor(dims=[1, 15, 4]).SerializeToString(), "needs 240 bytes but has 180"),
    "unknown type": (lambda: with_tensor(data_type=99).SerializeToString(), "holds no real numbers"),
    "ring of functions": (lambda: ring().SerializeToString(), "call each other in a ring"),
    "billion laughs": (lambda: laughs().SerializeToString(), "unfolds to"),
    "external data in bytes": (lambda: external("w.bin").SerializeToString(), "give the path of the model"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_says_what_is_wrong(name: str) -> None:
    make, says = BROKEN[name]
    with pytest.raises(BadModelFile, match=says.replace("(", r"\(")):
        importer.read(make())


SMALL = [name for name in BOMBS if not name.startswith(LARGE) and name not in HARMLESS]
MEGABYTES = 512
ALL_OF_THEM = """import re, sys
from pathlib import Path
from hostile_cases import SETTINGS, made
from edgernn import errors, importer
for name in sys.argv[1:]:
    try:
        importer.read(made(name), **SETTINGS.get(name, {}))
    except (errors.BadModelFile, errors.UnsupportedModel):
        print(name)
print(int(re.search("VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""  # ru_maxrss counts what the process that started this one held, too


def test_bombs_are_refused_by_name_in_little_memory() -> None:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command, environment = [sys.executable, "-c", ALL_OF_THEM, *SMALL], {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    *refused, megabytes = done.stdout.splitlines()
    assert refused == SMALL
    assert float(megabytes) < MEGABYTES


def test_the_node_that_would_make_too_much_is_named() -> None:
    with pytest.raises(UnsupportedModel, match="Concat 'Concat_c18': would make 16,777,216 numbers of constants"):
        importer.read(made("Concat, doubled"))


def test_constants_are_worked_out_once_whatever_time_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    folded: list[str] = []
    fold = Folder.fold
    monkeypatch.setattr(Folder, "fold", lambda self, o, inputs: folded.append(o.name) or fold(self, o, inputs))
    names = ["k", *(f"k{n}" for n in range(5))]
    chain = [node("Add", f"{a} k", b) for a, b in pairwise(names)]
    dims = {"x": ("B", "T", 3), "z": ("N", "M", 5)}
    made = [node("RNN", "x W R", "Y h", hidden_size=5), node("Sparkle", "Y", "s"), node("Add", "s k4", "y")]
    held = {"k": np.ones(5, np.float32), "W": GRU["W"][:, :5], "R": GRU["R"][:, :5]}
    with pytest.raises(UnsupportedModel):
        importer.read(graph([*chain, *made], dims, ["y"], held).SerializeToString())
    assert folded == [f"Add_{name}" for name in names[1:]]


def test_an_output_that_nobody_reads_leaves_its_place() -> None:
    held = {"k": np.arange(10, dtype=np.float32)}
    model = importer.read(
        on_gru(node("Split", "k", "a b"), node("Add", "Y b", "y"), constants=held).SerializeToString()
    )
    values = [dict(n.layer.weights())["values"] for n in model.nodes if type(n.layer).__name__ == "Constant"]
    assert [v.tolist() for v in values] == [[5, 6, 7, 8, 9]]


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    held = {"q": np.ones(5, np.int8), "s": np.float32(scale), "z": np.int8(0)}
    nodes = node("DequantizeLinear", "q s z", "k"), node("Add", "Y k", "y")
    with pytest.raises(UnsupportedModel, match="'DequantizeLinear_k': its scale is not a finite number") as raised:
        importer.read(on_gru(*nodes, constants=held).SerializeToString())
    assert "--set" not in str(raised.value)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_no_file_could_hold_is_refused(value: float) -> None:
    held = {"h": np.full((1, 1, 5), value, np.float32), "k": np.full(5, value, np.float32)}
    cell = helper.make_node("GRU", ["x", "W", "R", "B", "", "h"], ["y"], hidden_size=5)
    state = graph([cell], {"x": ("T", 1, 3)}, ["y"], {**GRU, **held})
    attribute = on_gru(node("LeakyRelu", "Y", "y", alpha=float(value)))
    for model in (state, attribute, on_gru(node("Add", "Y k", "y"), constants=held)):
        with pytest.raises(UnsupportedModel, match="NaN or infinity"):
            importer.read(model.SerializeToString())


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    with pytest.raises(BadModelFile, match="is not a plain file"):
        importer.read(tmp_path / "m.onnx")


def test_a_long_list_is_not_told_in_full() -> None:
    with pytest.raises(UnsupportedModel) as raised:
        importer.read(on_gru(node("Transpose", "Y", "y", perm=[0] * 10_000)).SerializeToString())
    assert len(str(raised.value)) < 1000


def test_a_window_longer_than_anything_is_refused() -> None:
    cell = helper.make_node("GRU", ["x", "W", "R", "B", "", "h"], ["y"], hidden_size=5)
    model = graph([cell], {"x": ("T", 1, 3), "h": (1 << 62, 1, 5)}, ["y"], GRU)
    with pytest.raises(UnsupportedModel, match=r"too large for a stream|exported for sequences of"):
        importer.read(model.SerializeToString(), window=2)


def test_a_long_text_is_not_told_in_full() -> None:
    held = {"w": np.ones((5, 2), np.float32)}
    equation = on_gru(node("Einsum", "Y w", "y", equation="a" * 60_000 + ",ab->b"), constants=held)
    name = on_gru(helper.make_node("Det", ["Y"], ["y"], name="n" * 60_000))
    for model in (equation, name):
        with pytest.raises(UnsupportedModel, match=r" \.\.\. ") as raised:
            importer.read(model.SerializeToString())
        assert len(str(raised.value)) < 3000
    twice = on_gru(*(helper.make_node("Tanh", ["Y"], ["y" * 60_000]) for _ in range(2)))
    with pytest.raises(BadModelFile, match=r" \.\.\. .* is made twice; export the model again") as cut:
        importer.read(twice.SerializeToString())
    assert len(str(cut.value)) < 3000


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadModelFile, match="there is no file"):
        importer.read(tmp_path / "none.onnx")
    with pytest.raises(BadModelFile, match="is a folder"):
        importer.read(tmp_path)


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    held = GRU["W"]
    (tmp_path / "w.bin").write_bytes(b"1234" + held.tobytes())
    (tmp_path / "m.onnx").write_bytes(external("w.bin", offset="4", length="180").SerializeToString())
    assert importer.read(tmp_path / "m.onnx").hash == importer.read(CELLS["gru"].model().SerializeToString()).hash


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


def test_a_link_that_takes_the_place_of_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(180))
    (tmp_path / "m.onnx").write_bytes(external("w.bin").SerializeToString())
    really = os.open

    def late(path: Any, *given: Any, **named: Any) -> int:
        if path == "w.bin":  # between any check and the opening
            (tmp_path / "w.bin").unlink()
            (tmp_path / "w.bin").symlink_to("/etc/hostname")
        return really(path, *given, **named)

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(BadModelFile, match="is a link"):
        importer.read(tmp_path / "m.onnx")


def test_any_damage_ends_in_a_named_error() -> None:
    files = [OPS[name].model().SerializeToString() for name in ("Conv-2d", "Split-18", "Pad", "Expand", "Gather")]
    rng = np.random.default_rng(0)
    for turn in range(500):
        good = files[turn % len(files)]
        data = bytearray(good)
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(len(data))] = rng.integers(256)
        try:
            importer.read(bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data))
        except (BadModelFile, UnsupportedModel):
            continue
