"""edgernn_device.py of a built folder: it answers and refuses as Stream does, and what does not fit is not loaded."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from built import MODEL, X, copied, device, expected, folder
from cases import SIZES

import edgernn
from edgernn.compiler import bundle, targets
from edgernn.layers.base import Array
from edgernn.quantiser import quantise

pytest.importorskip("ziglang", reason='the linker is missing: pip install "edgernn[build]"')
__all__ = ["copied", "expected", "folder"]  # fixtures


def test_python_gives_the_bits_of_the_reference(folder: Path, expected: Array) -> None:
    stream = device(folder).Stream(folder)
    np.testing.assert_array_equal(stream.run(X), expected)
    stream.reset()
    np.testing.assert_array_equal([stream.step(x.tolist()) for x in X], expected)
    stream.reset()
    np.testing.assert_array_equal([stream.step(x) for x in X[:50]], expected[:50])
    twin = stream.fork()
    np.testing.assert_array_equal(stream.run(X[50:].tolist()), expected[50:])
    np.testing.assert_array_equal(twin.run(X[50:]), expected[50:])
    assert len(stream.run([])) == len(stream.run(X[:0])) == 0
    for given in (X[0].tolist(), list(X[0]), tuple(X[0]), X[0].astype(np.float64)):
        np.testing.assert_array_equal(stream.step(given), twin.step(X[0]))


def test_states_go_from_stream_to_device_and_back(folder: Path, expected: Array) -> None:
    here, there = edgernn.Stream(MODEL), device(folder).Stream(folder)
    here.run(X[:20])
    there.load_state(here.save_state())
    np.testing.assert_array_equal(there.run(X[20:60]), expected[20:60])
    here.load_state(there.save_state())
    np.testing.assert_array_equal(here.run(X[60:]), expected[60:])


@pytest.mark.parametrize("change", ["cut", "byte", "short", "foreign", "newer", "text"])
def test_bad_states_say_what_stream_says_and_change_nothing(folder: Path, change: str) -> None:
    here, there = edgernn.Stream(MODEL), device(folder).Stream(folder)
    there.run(X[:5])
    before = blob = there.save_state()
    altered = {
        "cut": blob[:-1],
        "byte": blob[:60] + bytes([blob[60] ^ 1]) + blob[61:],
        "short": b"edgernnS",
        "foreign": edgernn.Stream(SIZES["B"]()).save_state(),
        "newer": blob[:8] + b"\x02" + blob[9:],
        "text": "state",
    }[change]
    with pytest.raises(edgernn.BadInput) as said:
        here.load_state(altered)
    with pytest.raises(ValueError) as error:
        there.load_state(altered)
    assert str(error.value) == str(said.value)
    assert there.save_state() == before


WRONG = {
    "shape": [0.0] * 39,
    "long": [0.0] * 41,
    "nan": [float("nan")] * 40,
    "infinite": [0.0] * 39 + [float("inf")],
    "large": [1e300] * 40,
    "text": ["a"] * 40,
    "name": {"z": [0.0] * 40},
    "number": 1.0,
    "masked": np.ma.masked_array(np.zeros(40, np.float32), np.arange(40) == 7),
    "booleans": [True] * 40,
    "dates": np.zeros(40, "M8[ns]"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_bad_input_says_what_stream_says_and_changes_nothing(folder: Path, kind: str) -> None:
    here, there = edgernn.Stream(MODEL), device(folder).Stream(folder)
    there.run(X[:5])
    before = there.save_state()
    with pytest.raises(edgernn.BadInput) as said:
        here.step(WRONG[kind])
    with pytest.raises(ValueError) as error:
        there.step(WRONG[kind])
    assert type(error.value).__name__ == "BadInput"
    assert str(error.value) == str(said.value)
    assert there.save_state() == before


@pytest.mark.parametrize("numpy", [True, False])
def test_frames_that_do_not_fit_change_nothing(folder: Path, numpy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = device(folder).Stream(folder)
    stream.run(X[:5].tolist())
    before = stream.save_state()
    if not numpy:
        monkeypatch.setitem(sys.modules, "numpy", None)
    row = [0.5] * 40
    for given in ([row, row[:39]], [row, [True] * 40], [row, [Decimal(1)] * 40], [row, "a" * 40], {0.5}, 1.0):
        with pytest.raises(ValueError, match="input"):
            stream.run(given)
    assert stream.save_state() == before


def test_a_run_holds_the_stream_from_counting_its_answers_to_making_them(folder: Path) -> None:
    stream, held = device(folder).Stream(folder), []
    call, other = stream._call, stream.fork()

    def watched(name: str, *arguments: object, gives: object = None) -> object:
        held.append((name, stream._lock.locked()))
        return call(name, *arguments, gives=gives)

    lock = stream._lock
    stream._lock = SimpleNamespace(
        acquire=lambda **how: held.append(("taken", how)) or lock.acquire(**how),
        release=lambda: held.append(("left", {})) or lock.release(),
        locked=lock.locked,
    )
    stream._call = watched
    np.testing.assert_array_equal(stream.run(X[:3]), other.run(X[:3]))
    assert [name for name, _ in held] == ["taken", "answers", "run", "left"]
    assert held[0][1] == {"blocking": False} and held[1][1] and held[2][1]


def test_a_copy_is_a_stream_of_its_own(folder: Path) -> None:
    stream = device(folder).Stream(folder)
    stream.run(X[:5])
    before = stream.save_state()
    for twin in (copy.copy(stream), copy.deepcopy(stream)):
        assert twin.save_state() == before
        twin.step(X[5])
        assert stream.save_state() == before != twin.save_state()


CHANGES = {
    "library": ("BadModelFile", "sha256"),
    "no library": ("BadModelFile", "cannot be read"),
    "format": ("BadModelFile", "knows 1"),
    "no manifest": ("BadModelFile", "manifest.json"),
    "no JSON": ("BadModelFile", "no folder that edgernn built"),
    **dict.fromkeys(("stamp", "size", "target", "architecture"), ("BadModelFile", "is not what manifest.json says")),
    **dict.fromkeys(("needs", "needs null", "needs nested"), ("BadModelFile", "is not what manifest.json says")),
    "no inputs": ("BadModelFile", "no folder that edgernn built: 'inputs'"),
    "no target": ("BadModelFile", "no folder that edgernn built: 'target'"),
    "files as text": ("BadModelFile", "no folder that edgernn built: string indices"),
    "brackets": ("BadModelFile", "no folder that edgernn built: maximum recursion"),
    "long format": ("BadModelFile", "has format 'aaa"),
    "another machine": ("BackendUnavailable", "the library is for .*, this is linux on riscv64"),
    "another processor": ("BackendUnavailable", "this processor has no avx2, fma: build for this machine"),
}


ALTERED = {
    "format": {"format": 2},
    "long format": {"format": "a" * 5000},
    "stamp": {"stamp": "edgernn 9"},
    "size": {"size": 64},
    "target": {"target": "x" * 5000},
    "architecture": {"architecture": "riscv64"},
    "needs": {"needs": ["abacus"]},
    "needs null": {"needs": None},
    "needs nested": {"needs": [[]]},
    "files as text": {"files": "abc"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_fit_is_refused_before_it_is_loaded(
    copied: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, library = copied / "manifest.json", copied / "libkws.so"
    about = json.loads(manifest.read_text())
    about |= ALTERED.get(change, {})
    if change in ("no inputs", "no target"):
        del about[change.removeprefix("no ")]
    manifest.write_text("[" * 100_000 if change == "brackets" else json.dumps(about))
    if change == "library":
        library.write_bytes(library.read_bytes()[:-1] + b"?")
    elif change == "no library":
        library.unlink()
    elif change == "no manifest":
        manifest.unlink()
    elif change == "no JSON":
        manifest.write_text("{")
    module = device(copied)
    monkeypatch.setattr(module, "_loaded", lambda *given: pytest.fail("it was loaded"))
    machine = "riscv64" if change == "another machine" else os.uname().machine
    monkeypatch.setattr(module.os, "uname", lambda: os.uname_result(("Linux", "", "", "", machine)))
    if change == "another processor":
        if "avx2" not in about["needs"]:
            pytest.skip("this processor's kernels need nothing beyond its architecture: run this on x86-64 with AVX2")
        monkeypatch.setattr(module, "_features", lambda *given: set())
    name, text = CHANGES[change]
    with pytest.raises(getattr(module, name), match=text) as error:
        module.Stream(copied)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_a_library_that_was_built_anew_in_use_is_not_taken_for_the_new_one(copied: Path, tmp_path: Path) -> None:
    """The system gives a process the library again that it has, by its path."""
    stream = device(copied).Stream(copied)
    bundle.build(quantise(SIZES["A"](), "int8"), "kws", targets.host(), tmp_path / "new", "0.1.0")
    copied.rename(tmp_path / "old")
    (tmp_path / "new").rename(copied)
    module = device(copied)
    with pytest.raises(module.BadModelFile, match="was built anew"):
        module.Stream(copied)
    assert len(stream.step([0.0] * 40)) == 12
    code = "import sys; sys.path.insert(0, sys.argv[1]); import edgernn_device; edgernn_device.Stream()"
    subprocess.run([sys.executable, "-c", code, copied], check=True)
