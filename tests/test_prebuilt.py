"""The kernels that come with the package: that they are those of the sources, what is refused, and their bits."""

from __future__ import annotations

import ctypes
import hashlib
import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CASES, SIZES, frames
from conftest import COMPILED, instruction_set

import edgernn
from edgernn.compiler.targets import TARGETS
from edgernn.kernels import builtin, jit, library, native, prebuilt
from edgernn.kernels.isas import ISAS
from edgernn.kernels.sources import sources
from edgernn.layers.base import FORMATS
from edgernn.layers.model import Model
from edgernn.quantiser import quantise
from edgernn.stream import Stream

DEMO = Path(edgernn.__file__).parent / "demo" / "vad.edgernn"
FOLDER = Path(prebuilt.FOLDER)
FIT = [name for name in COMPILED if not prebuilt.unfit(name)]


def test_they_are_of_these_sources() -> None:
    for name, about in prebuilt.manifest().items():
        assert about["sources"] == sources(), f"{name}: the kernels have changed: run python tools/prebuild.py"
        assert about["sha256"] == hashlib.sha256((FOLDER / name).read_bytes()).hexdigest(), name


def test_there_is_one_for_every_target_and_no_other() -> None:
    served = {target for about in prebuilt.manifest().values() for target in about["targets"]}
    assert served == set(TARGETS)
    assert {path.name for path in FOLDER.glob("*.so")} == set(prebuilt.manifest())


def test_they_name_no_place_and_need_no_library() -> None:
    for path in FOLDER.glob("*.so"):
        content = path.read_bytes()
        assert not [word for word in (b"/work", b"/home", b"/tmp", b"/root", b"libc.so", b"libm.so") if word in content]
        assert len(content) < 200_000


def compared(model: Model) -> list[Any]:
    """The answers of both kinds of kernels, from a state that the other one saved."""
    x = frames(model, 12)
    one, two = Stream(model, backend="native"), Stream(model, backend="jit")
    first = [one.run(x[:6]), two.run(x[:6])]
    states = [one.save_state(), two.save_state()]
    one.load_state(states[1])
    two.load_state(states[0])
    return [*first, one.run(x[6:]), two.run(x[6:])]


@pytest.mark.parametrize("isa", FIT)
def test_what_is_compiled_here_gives_the_same_bits(isa: str) -> None:
    formats = ["none", *FORMATS]
    with instruction_set(isa):
        for number, case in enumerate((*CASES, "A", "B", "G")):
            model = (CASES | SIZES)[case]()
            chosen = {"none", formats[1 + number % len(FORMATS)]}
            for name in chosen:
                one, two, three, four = compared(quantise(model, name))
                np.testing.assert_equal(one, two, err_msg=f"{case} {name}")
                np.testing.assert_equal(three, four, err_msg=f"{case} {name}")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No library is loaded yet."""
    for name in ("_prebuilt", "_compiled"):
        monkeypatch.setattr(library, name, getattr(library, name).__wrapped__)


@pytest.mark.usefixtures("fresh")
def test_an_interpreter_with_other_objects_gets_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [SIZES["B"](), quantise(CASES["tokens"](), "int8"), quantise(CASES["residual"](), "int4")]
    made = [Stream(model).run(frames(model, 20)) for model in models]
    monkeypatch.setattr(builtin, "usable", lambda: False)
    for model, expected in zip(models, made, strict=True):
        stream, x = Stream(model), frames(model, 20)
        np.testing.assert_equal(stream.run(x), expected)
        stream.reset()
        answers = [stream.step(row if model.inputs[0].dtype == "float32" else int(row[0])) for row in x]
        whole = (
            {port.name: np.stack([a[port.name] for a in answers]) for port in model.outputs}
            if isinstance(expected, dict)
            else np.stack(answers)
        )
        np.testing.assert_equal(whole, expected)
        before = stream.save_state()
        with pytest.raises(edgernn.BadInput, match=r"must be finite|whole"):
            stream.step(np.full(model.inputs[0].size, np.nan, np.float32))
        assert stream.save_state() == before
        stream._runner.control[native.c.BUSY] = 1
        with pytest.raises(edgernn.BadInput, match="another thread"):
            stream.run(x)


def test_the_layout_of_objects_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    look = builtin.usable.__wrapped__
    assert look()
    for place, other in (("TYPE", 0), ("DATA", 4), ("ND", 6), ("DESCR", 5), ("PLAIN", 0x103)):
        with monkeypatch.context() as patch:
            patch.setattr(builtin.entries, place, other)
            assert not look()
    monkeypatch.setattr(builtin.entries, "PYTHON", ("PyObject_NoSuchThing",))
    assert not look()


@pytest.fixture
def altered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A copy of the libraries that a test may change; nothing may be loaded from it."""
    for path in FOLDER.glob("*.so"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(prebuilt, "FOLDER", str(tmp_path))
    monkeypatch.setattr(ctypes, "CDLL", lambda *given: pytest.fail("it was loaded"))
    return tmp_path


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("change", ["byte", "gone"])
def test_what_was_altered_is_refused_before_it_is_loaded(altered: Path, change: str) -> None:
    for path in altered.iterdir():
        path.unlink() if change == "gone" else path.write_bytes(path.read_bytes()[:-1] + b"?")
    for backend in ("auto", "native"):
        with pytest.raises(edgernn.BackendUnavailable, match="install edgernn again"):
            Stream(SIZES["G"](), backend=backend)


@pytest.mark.usefixtures("fresh")
def test_kernels_of_other_sources_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {name: about | {"sources": "0"} for name, about in prebuilt.manifest().items()}
    monkeypatch.setattr(prebuilt, "manifest", lambda: old)
    assert library.load().source == "jit"
    with pytest.raises(edgernn.BackendUnavailable, match=r"tools/prebuild.py.*backend='jit'"):
        Stream(SIZES["G"](), backend="native")
    monkeypatch.setattr(jit, "version", absent)
    monkeypatch.setattr(jit, "fingerprint", jit.fingerprint.__wrapped__)
    with pytest.raises(edgernn.BackendUnavailable, match=r"tools/prebuild.py.*edgernn\[jit\]"):
        Stream(SIZES["G"]())


def absent(package: str) -> str:
    raise PackageNotFoundError(package)


def test_a_backend_that_is_none_is_refused() -> None:
    with pytest.raises(edgernn.BackendUnavailable, match="auto, native, jit"):
        Stream(SIZES["G"](), backend="fast")
    with instruction_set("reference"), pytest.raises(edgernn.BackendUnavailable, match="EDGERNN_ISA=reference"):
        Stream(SIZES["G"](), backend="native")


FIRST = """
import sys
sys.modules["numba"] = sys.modules["llvmlite"] = None  # as if they were not installed
import edgernn, numpy
model = edgernn.load(sys.argv[1])
model.stream().step(numpy.zeros(256, numpy.float32))
from pathlib import Path
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(not FIT, reason="kernels for this machine are missing: python tools/prebuild.py, on Linux")
def test_the_first_answer_needs_no_compiler_and_little_memory() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST, str(DEMO)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 45_000


def test_doctor_says_which_kernels_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from commands import good

    found = json.loads(good("doctor", "--json"))
    assert found["kernels"] == ("native" if found["isa"] in FIT else "jit")
    monkeypatch.setattr(prebuilt, "manifest", dict)
    found = json.loads(good("doctor", "--json"))
    assert found["kernels"] == "jit" and "without kernels" in found["why_these"] and ISAS[found["isa"]]


def test_doctor_tells_of_a_cache_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from commands import good

    (tmp_path / "file").touch()
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours").chmod(0o777)
    (tmp_path / "all").mkdir()
    (tmp_path / "all").chmod(0o1777)
    for name, why in (("file", "cannot be used"), ("ours", "chmod go-w"), ("all", "written by others: name another")):
        monkeypatch.setenv("EDGERNN_CACHE", str(tmp_path / name))
        assert why in json.loads(good("doctor", "--json"))["cache"]
