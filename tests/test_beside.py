"""edgernn build --beside: weights and program in the model's file, which a library takes if it has the same form."""

from __future__ import annotations

import ctypes
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from built import device
from cases import CASES, SIZES, frames
from commands import GOLDEN, bad, good
from conftest import stream_on

import edgernn
from edgernn.cli.console import size
from edgernn.compiler import beside, bundle, sources, targets
from edgernn.kernels.isas import REFERENCE
from edgernn.kernels.panels import CpuBackend
from edgernn.layers.model import Model
from edgernn.planner import make_plan
from edgernn.quantiser import quantise

pytest.importorskip("ziglang", reason='the linker is missing: pip install "edgernn[build]"')
MODEL = quantise(SIZES["B"](), "int8")
X = frames(MODEL, 100)


def retrained(model: Model) -> Model:
    """The same layers with other weights."""
    nodes = list(model.nodes)
    weight = nodes[0].layer.W
    nodes[0] = replace(nodes[0], layer=replace(nodes[0].layer, W=replace(weight, q=-weight.q)))
    return replace(model, nodes=tuple(nodes))


def built(model: Model, folder: Path) -> Path:
    bundle.build(model, "kws", targets.host(), folder, "0.1.0", inside=False)
    return folder


def file(model: Model, name: str) -> bytes:
    """What stands beside a library that was built for this machine."""
    plan = make_plan(model, CpuBackend(targets.host().kernels))
    return beside.file(sources.Job(model, plan, name, targets.host(), "0.1.0", True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(MODEL, tmp_path_factory.mktemp("built") / "kws")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def test_python_and_c_give_the_bits_of_the_reference(copied: Path) -> None:
    expected = stream_on(REFERENCE, MODEL).run(X)
    stream = device(copied).Stream(copied)
    np.testing.assert_array_equal(stream.run(X[:50]), expected[:50])
    twin = stream.fork()
    stream.reset()
    np.testing.assert_array_equal([stream.step(x) for x in X], expected)
    np.testing.assert_array_equal(twin.run(X[50:]), expected[50:])
    compiler = f"CC={sys.executable} -m ziglang cc -Wall -Wextra -Werror -Wpedantic"
    subprocess.run(["make", compiler], cwd=copied, check=True, capture_output=True)
    done = subprocess.run([copied / "main", copied / "kws.edgernn"], input=X.tobytes(), capture_output=True, check=True)
    assert done.stdout == expected.tobytes()
    done = subprocess.run([copied / "main", copied / "kws.h"], input=X.tobytes(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1) and b"kws.h" in done.stderr


def test_the_file_is_the_model_s(folder: Path, tmp_path: Path) -> None:
    model = edgernn.load(folder / "kws.edgernn")
    assert model.hash == MODEL.hash
    MODEL.save(tmp_path / "plain.edgernn")
    model.save(tmp_path / "again.edgernn")
    assert (tmp_path / "again.edgernn").read_bytes() == (tmp_path / "plain.edgernn").read_bytes()
    assert len(re_found := (folder / "kws.h").read_text().split("KWS_API ")) - 2 <= 10, re_found


@pytest.mark.parametrize("which", ["rhythm", "tokens"])
def test_other_models_give_the_bits_of_the_reference(which: str, tmp_path: Path) -> None:
    """Hops and windows, tokens, and what is prepared before a first frame."""
    model = replace(MODEL, window=5, hop=3, inputs=(replace(MODEL.inputs[0], size=8),)) if which == "rhythm" else (
        quantise(CASES[which](), "int16")
    )  # fmt: skip
    x, stream = frames(model, 20), device(built(model, tmp_path / "made")).Stream(tmp_path / "made")
    np.testing.assert_equal(stream.run(x), stream_on(REFERENCE, model).run(x))


def test_a_retrained_model_needs_no_new_library(copied: Path, tmp_path: Path) -> None:
    other = retrained(MODEL)
    made = built(other, tmp_path / "other")
    assert (made / "libkws.so").read_bytes() == (copied / "libkws.so").read_bytes()
    state = device(copied).Stream(copied).save_state()
    assert file(other, "kws_v2") == (made / "kws.edgernn").read_bytes()
    shutil.copy(made / "kws.edgernn", copied)
    stream = device(copied).Stream(copied)
    np.testing.assert_array_equal(stream.run(X), stream_on(REFERENCE, other).run(X))
    with pytest.raises(ValueError, match="belongs to another model"):
        stream.load_state(state)


def checked(folder: Path, content: bytes, shift: int = 0) -> tuple[int, bool]:
    """What the library says of a file in memory, and whether it creates an instance."""
    library = ctypes.CDLL(str(folder / "libkws.so"))
    library.kws_size.restype, library.kws_create.restype = ctypes.c_size_t, ctypes.c_void_p
    room = ctypes.create_string_buffer(len(content) + 128)
    at = -ctypes.addressof(room) % 64 + shift
    ctypes.memmove(ctypes.addressof(room) + at, content, len(content))
    file, size = ctypes.c_void_p(ctypes.addressof(room) + at), ctypes.c_size_t(len(content))
    memory = ctypes.create_string_buffer(library.kws_size())
    made = library.kws_create(memory, ctypes.c_size_t(len(memory)), file, size)
    return library.kws_check(file, size), bool(made)


def test_the_library_knows_its_file(folder: Path, tmp_path: Path) -> None:
    good_ = (folder / "kws.edgernn").read_bytes()
    begin = 8 + int.from_bytes(good_[:8], "little")
    total = int.from_bytes(good_[begin + 80 : begin + 88], "little")
    assert begin % 64 == 0 and checked(folder, good_) == (0, True)
    assert checked(folder, good_, shift=8) == (-5, False)
    MODEL.save(tmp_path / "plain.edgernn")
    for content in (b"", b"edgernn", (tmp_path / "plain.edgernn").read_bytes(), b"\xff" * 300, good_[:begin]):
        assert checked(folder, content) == (-1, False)
    assert checked(folder, good_[: begin + 8] + b"\x02" + good_[begin + 9 :]) == (-2, False)
    assert checked(folder, good_[: begin + 16] + bytes(32) + good_[begin + 48 :]) == (-4, False)
    assert checked(folder, good_[: begin + total]) == (0, True)
    for place in range(begin + 48, begin + total, 97):  # a bit of the model's hash, of what is where, of any part
        changed = bytearray(good_)
        changed[place] ^= 64
        assert checked(folder, bytes(changed)) == (-3, False)
    for place in range(begin + 80, begin + 120, 8):  # places beyond the file, and where nothing begins
        for at, byte in ((7, 255), (0, good_[place] ^ 8)):
            changed = bytearray(good_)
            changed[place + at] = byte
            content = bytes(changed[begin : begin + total - 32])
            changed[begin + total - 32 : begin + total] = hashlib.sha256(content).digest()
            assert checked(folder, bytes(changed)) == (-3, False), place - begin
    for left in range(begin + 128, begin + total, 1009):
        assert checked(folder, good_[:left]) == (-3, False)
    assert checked(folder, file(quantise(SIZES["B"](), "int16"), "kws")) == (-4, False)


@pytest.mark.parametrize("change", ["byte", "none", "other"])
def test_the_device_refuses_a_file_that_does_not_fit(copied: Path, change: str) -> None:
    file, module = copied / "kws.edgernn", device(copied)
    if change == "byte":
        content = bytearray(file.read_bytes())
        content[8 + int.from_bytes(content[:8], "little") + 1000] ^= 1
        file.write_bytes(content)
    elif change == "none":
        file.unlink()
    else:
        MODEL.save(file)
    with pytest.raises(module.BadModelFile, match="cannot be read" if change == "none" else "is damaged, or not for"):
        module.Stream(copied)


def test_the_command_builds_it_and_bench_measures_it(tmp_path: Path) -> None:
    made = tmp_path / "made"
    about = json.loads(good("build", GOLDEN / "small.edgernn", "--target", "host", "--beside", "-o", made, "--json"))
    assert (
        about["file"] == "small.edgernn" and about["bytes"]["small.edgernn"] == (made / "small.edgernn").stat().st_size
    )
    assert json.loads(good("bench", made, "--steps", "100", "--json"))["start_c"]["ms"] > 0


def test_inspect_says_what_a_file_holds_for_the_library(tmp_path: Path) -> None:
    content, made, plain = file(MODEL, "kws"), tmp_path / "kws.edgernn", tmp_path / "plain.edgernn"
    made.write_bytes(content)
    MODEL.save(plain)
    begin = 8 + int.from_bytes(content[:8], "little")
    total = int.from_bytes(content[begin + 80 : begin + 88], "little")
    shown = " ".join(good("inspect", made).split())
    assert f"built weights and program for the library beside it, {size(total)}" in shown
    assert json.loads(good("inspect", made, "--json"))["built_bytes"] == total
    assert "library" not in good("inspect", plain)
    assert json.loads(good("inspect", plain, "--json"))["built_bytes"] == 0


def test_what_is_too_large_is_named_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "LARGEST", 10_000)
    monkeypatch.setattr(bundle, "run_compiler", lambda *given: pytest.fail("it was compiled"))
    MODEL.save(tmp_path / "large.edgernn")
    for target, more in (("rpi4", "--beside"), ("rpi2-32", "quantise it")):
        said = bad("build", tmp_path / "large.edgernn", "--target", target, "-o", tmp_path / "made")
        assert more in said and "GRU 'v0'" in said and target in said
    assert not (tmp_path / "made").exists()
