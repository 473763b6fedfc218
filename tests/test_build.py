"""edgernn build: the folder, what is in it, and that what is refused is refused before anything is loaded or left."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from built import MODEL, X, copied, device, expected, folder
from cases import CASES, frames, stack
from commands import GOLDEN, bad, call, good, usage
from conftest import stream_on

import edgernn
from edgernn.compiler import bundle, linker, sources, targets
from edgernn.errors import BackendUnavailable
from edgernn.kernels.contract import Opcode
from edgernn.kernels.isas import REFERENCE
from edgernn.kernels.panels import CpuBackend
from edgernn.layers.base import Array
from edgernn.layers.model import Model, Port
from edgernn.planner import make_plan
from edgernn.quantiser import quantise

pytest.importorskip("ziglang", reason='the linker is missing: pip install "edgernn[build]"')
__all__ = ["copied", "expected", "folder"]  # fixtures


def test_c_gives_the_bits_of_the_reference(copied: Path, expected: Array) -> None:
    compiler = f"CC={sys.executable} -m ziglang cc -Wall -Wextra -Werror -Wpedantic"
    subprocess.run(["make", compiler], cwd=copied, check=True, capture_output=True)
    done = subprocess.run([copied / "main"], input=X.tobytes(), capture_output=True, check=True)
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.float32).reshape(expected.shape), expected)
    X_bad = np.append(X[0], np.float32("nan")).astype(np.float32)[-40:]
    cut = subprocess.run([copied / "main"], input=X.tobytes()[:-3], capture_output=True, check=False)
    assert cut.returncode == 1 and cut.stdout == done.stdout[: len(cut.stdout)] != b""
    assert f"only {X[0].nbytes - 3} bytes of it came" in cut.stderr.decode()
    done = subprocess.run([copied / "main"], input=X_bad.tobytes(), capture_output=True, check=False)
    assert done.returncode == 1 and b"input 1" in done.stderr and not done.stdout


@pytest.mark.parametrize("can", [True, False])
def test_what_was_built_before_is_replaced(copied: Path, can: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can:
        monkeypatch.setattr(bundle, "exchanged", lambda one, other: False)
    (copied / "main").write_bytes(b"\x7fELF")  # what its Makefile makes
    bundle.build(MODEL, "other", targets.host(), copied, "0.1.0")
    assert not {"main", "libkws.so"} & {path.name for path in copied.iterdir()} and (copied / "libother.so").exists()
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


def test_what_is_put_there_during_a_build_is_not_replaced(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = bundle.compile_kernels

    def slowly(*given: object) -> None:
        compiled(*given)
        (copied / "main").mkdir()
        (copied / "main" / "app_main.c").write_text("precious")

    monkeypatch.setattr(bundle, "compile_kernels", slowly)
    with pytest.raises(edgernn.BadInput, match="holds main, not as built"):
        bundle.build(MODEL, "kws", targets.host(), copied, "0.1.0")
    assert (copied / "main" / "app_main.c").read_text() == "precious"
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


@pytest.mark.parametrize("change", ["a file of one's own", "an example that was changed", "another's manifest"])
def test_what_was_not_built_is_not_replaced(copied: Path, change: str) -> None:
    if change == "a file of one's own":
        (copied / "firmware.c").touch()
    elif change == "an example that was changed":
        (copied / "main.c").write_text("int main(void) { return 0; }")
    else:
        (copied / "manifest.json").write_text('{"name": "a web page"}')
    before = {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()}
    name = {"a": "holds firmware.c", "an": "holds main.c"}.get(change.split()[0], "was not built by edgernn")
    with pytest.raises(edgernn.BadInput, match=name):
        bundle.build(MODEL, "kws", targets.host(), copied, "0.1.0")
    assert {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()} == before


def rhythmic() -> Model:
    """An answer every 3 frames, of windows of 5."""
    model = stack("GRU", 10, 12, 1, [(3, "")])
    return replace(quantise(model, "int16"), inputs=(Port("x", "x", 2),), window=5, hop=3)


@pytest.mark.parametrize("which", ["rhythm", "tokens", "residual"])
def test_other_models_give_the_bits_of_the_reference(which: str, tmp_path: Path) -> None:
    """Hops and windows, tokens, several outputs."""
    model = rhythmic() if which == "rhythm" else quantise(CASES[which](), "int4")
    bundle.build(model, which, targets.host(), tmp_path / "made", "0.1.0")
    x, reference = frames(model, 30), stream_on(REFERENCE, model)
    stream = device(tmp_path / "made").Stream(tmp_path / "made")
    for t in range(7):
        given = x[t] if model.inputs[0].dtype == "float32" else int(x[t, 0])
        np.testing.assert_equal(stream.step(given), reference.step(given))
    assert stream.save_state() == reference.save_state()
    np.testing.assert_equal(stream.run(x[7:]), reference.run(x[7:]))


def test_only_what_a_plan_needs_is_compiled(folder: Path) -> None:
    kernels = sources.kernels_of(make_plan(MODEL, CpuBackend(targets.host().kernels)))
    assert kernels == {"load", "store", "quantise", "affine_i8", "gru"}
    assert (folder / "libkws.so").stat().st_size < 150_000


LACKING = """
import os
os.environ["EDGERNN_COMPILE_ISA"], os.environ["NUMBA_OPT"] = "portable", "0"
from edgernn.compiler.build import INSTRUCTIONS, KERNELS
print(len(INSTRUCTIONS), INSTRUCTIONS - set(KERNELS))
"""


def test_no_target_lacks_a_kernel() -> None:
    """So there is no operator to be refused for a target: what a model may hold, all of them compute."""
    made = subprocess.run([sys.executable, "-c", LACKING], capture_output=True, text=True, check=True).stdout
    assert made.split(maxsplit=1) == [str(len([code for code in Opcode if code > Opcode.STOP])), "set()\n"]


def test_the_header_has_few_functions_and_the_library_no_variables(folder: Path) -> None:
    text = (folder / "kws.h").read_text()
    assert len(re.findall(r"^KWS_API ", text, re.MULTILINE)) <= 10
    assert "malloc" not in (folder / "main.c").read_text()


def test_sha256_begins_as_the_standard_says() -> None:
    assert sources.prime_bits(64, 3)[:2] == [0x428A2F98, 0x71374491] and sources.prime_bits(64, 3)[-1] == 0xC67178F2
    assert sources.prime_bits(8, 2)[0] == 0x6A09E667 and sources.prime_bits(8, 2)[-1] == 0x5BE0CD19


def test_names_are_made_for_c() -> None:
    assert sources.prefix("My model-2") == "my_model_2" and len(sources.prefix("a" * 300)) == 64
    assert sources.prefix("timer") == sources.prefix("2x") == "model"
    for name in ("signal", "Float", "int8"):  # signal.h is C's own, INT8_MAX too
        assert sources.prefix(name) == f"{name.lower()}_model"
    assert sources.parameters((Port("x", "v", 1),), "input", "k") == ["x"]
    ports = (Port("a b", "v", 1), Port("a-b", "w", 1), Port("*/ evil", "u", 1), Port("m", "t", 1))
    assert sources.parameters(ports, "input", "k") == ["a_b", "input1", "evil", "input3"]
    hiding = [Port(name, "v", 1) for name in ("size", "State-Size", "no_state", "h", "k", "k_step", "key")]
    named = ["input0", "input1", "input2", "input3", "input4", "input5", "key"]
    assert sources.parameters(hiding, "input", "k") == named
    assert sources.parameters(ports[3:], "input", "input0") == ["input_0"]
    for name in ("digest", "port", "file", "signal", "read", "linux", "class", "int64_t", "fread", "double"):
        assert sources.parameters((Port(name, "v", 1),), "input", "k") == ["input0"], name
    given = sources.parameters((Port("y", "a", 1), Port("output0", "b", 1)), "input", "k")
    assert sources.parameters((Port("y", "c", 1), Port("y", "d", 1)), "output", "k", given) == ["output0_", "output1"]


def test_the_command_builds_and_lists(tmp_path: Path) -> None:
    listed = {row["target"]: row for row in json.loads(good("build", "--list", "--json"))}
    assert {"host", "rpi5", "rpi4", "rpi3", "zero2w", "rpi2-32", "x86-64-v3", "x86-64-v4", "riscv64"} <= set(listed)
    made = json.loads(good("build", GOLDEN / "small.edgernn", "--target", "host", "-o", tmp_path / "made", "--json"))
    assert set(made["files"]) | {"manifest.json"} == {file.name for file in (tmp_path / "made").iterdir()}


KERNELS = {
    "cortex-a76": ("aarch64", "sdot"),
    "cortex-a72": ("aarch64", "neon"),
    "cortex-a9": ("armv7", "neon32"),
    "znver4": ("x86_64", "avx512vnni"),
    "alderlake": ("x86_64", "avxvnni"),
    "haswell": ("x86_64", "avx2"),
    "x86-64": ("x86_64", "portable"),
    "sifive-u74": ("riscv64", "portable"),
}


@pytest.mark.parametrize("cpu", KERNELS)
def test_a_processor_gets_the_kernels_for_what_it_has(cpu: str) -> None:
    architecture, isa = KERNELS[cpu]
    target = targets.processor(cpu, f"{architecture}-unknown-linux-gnu")
    best = targets.best(target, linker.features(target))
    assert best.isa == isa and best.tune == cpu
    assert best.cpu in {t.cpu for t in targets.TARGETS.values() if t.isa == isa}


ASSEMBLY = """
import os, sys
os.environ["EDGERNN_COMPILE_ISA"], os.environ["NUMBA_OPT"] = sys.argv[1], "0"
from edgernn.compiler.build import Machine, compile_library
module, generator = compile_library(lambda name: None, Machine(*sys.argv[2:]), ["affine_f32", "gru"])
print(generator.emit_assembly(module))
"""


def test_what_is_tuned_for_a_processor_has_no_instructions_of_its_own() -> None:
    """The processor bdver1 has AVX and FMA4, which a library that says that it needs nothing must not use."""
    target = targets.processor("bdver1", "x86_64-unknown-linux-gnu")
    target = targets.best(target, linker.features(target))
    texts = []
    for tune in (target.tune, ""):
        given = [target.isa, target.triple, target.cpu, target.features, tune]
        command = [sys.executable, "-c", ASSEMBLY, *given]
        texts.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert texts[0] != texts[1] and "mulps" in texts[0]
    assert not re.search(r"%ymm|\tv[a-z]+[ps]s\t", texts[0])


def test_what_cannot_be_built_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, made = GOLDEN / "small.edgernn", tmp_path / "made"
    assert "rpi4" in usage("build", source, "--target", "toaster", "-o", made)
    assert "x86_64" in usage("build", source, "--cpu", "z80", "--triple", "z80-none", "-o", made)
    for cpu, told in (("haswel", "most like it: haswell"), ("z80", "known: alderlake,")):
        assert f"x86_64 has no processor of that name; {told}" in usage(
            "build", source, "--cpu", cpu, "--triple", "x86_64-unknown-linux-gnu", "-o", made
        )
    assert call("build", source, "-o", made).exit_code == 2
    assert "name a folder that is new" in bad("build", source, "--target", "host", "-o", tmp_path.parent)
    for how in (interrupted, terminated):
        monkeypatch.setattr(bundle, "run_compiler", how)
        assert "interrupted" in bad("build", source, "--target", "host", "-o", made)
    monkeypatch.setattr(bundle, "run_compiler", unable)
    assert "it cannot" in bad("build", source, "--target", "host", "-o", made)
    monkeypatch.setattr(bundle.shutil, "disk_usage", lambda place: SimpleNamespace(free=4096))
    assert f"{made}: No space left on device" in bad("build", source, "--target", "host", "-o", made)
    monkeypatch.setattr(bundle.linker, "find_spec", lambda name: None)
    assert 'pip install "edgernn[build]"' in bad("build", source, "--target", "host", "-o", made)
    assert not list(tmp_path.iterdir())


KILLED = """
import sys, time
from pathlib import Path
import edgernn
from edgernn.compiler import bundle, targets
bundle.run_compiler = lambda *given: print("compiling", flush=True) or time.sleep(60)
bundle.build(edgernn.load(sys.argv[1]), "m", targets.host(), Path(sys.argv[2]), "0")
"""


def test_what_a_killed_build_leaves_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But nothing of a build that runs, and nothing of anybody else's."""
    source, others = GOLDEN / "small.edgernn", [tmp_path / ".edgernn-mineonly", tmp_path / ".edgernn-replaced"]
    for other, more in zip(others, ("kept", "old"), strict=True):
        for name in ("work", "made", more):
            (other / name).mkdir(parents=True)
        (other / "lock").touch()
    monkeypatch.setattr(bundle, "run_compiler", unable)
    command = [sys.executable, "-c", KILLED, str(source), str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "compiling\n"
        bad("build", source, "--target", "host", "-o", tmp_path / "made")
        (left,) = set(tmp_path.iterdir()) - set(others)
        assert {path.name for path in left.iterdir()} == {"work", "made", "lock"}
        process.kill()
    assert left.exists()
    bad("build", source, "--target", "host", "-o", tmp_path / "made")
    assert sorted(tmp_path.iterdir()) == others


def interrupted(*given: object) -> None:
    raise KeyboardInterrupt


def terminated(*given: object) -> None:
    signal.raise_signal(signal.SIGTERM)


def unable(*given: object) -> None:
    raise BackendUnavailable("it cannot")


def test_bench_shows_size_and_start(folder: Path) -> None:
    figures = json.loads(good("bench", folder, "--steps", "100", "--json"))
    assert figures["library"] == (folder / "libkws.so").stat().st_size
    assert figures["start_c"]["memory"] < 3e6 and figures["start_python"]["memory"] < 20e6
    assert "start to the first answer, C" in good("bench", folder, "--steps", "100")


@pytest.mark.parametrize("name", ["class", "signal"])
def test_models_and_ports_of_any_name_make_c_that_compiles(name: str, tmp_path: Path) -> None:
    """The name of a model and of its ports: an example of ours, and one in C++, take the header and compile."""
    port, answer = MODEL.inputs[0], MODEL.outputs[0]
    model = replace(MODEL, inputs=(replace(port, name=name),), outputs=(replace(answer, name=name),))
    plan = make_plan(model, CpuBackend(targets.host().kernels))
    for beside in (False, True):
        job = sources.Job(model, plan, sources.prefix(name), targets.host(), "0.1.0", beside)
        for template, file in (("header.h", f"{job.name}.h"), ("glue.c", "glue.c"), ("main.c", "main.c")):
            (tmp_path / file).write_text(sources.filled(template, sources.values(job)))
        (tmp_path / "main.cpp").write_text(
            f'#include "{job.name}.h"\nint main() {{ return {job.name}_version() == 0; }}\n'
        )
        for source in ("glue.c", "main.c", "main.cpp"):
            linker.zig(tmp_path, "cc", "-Wall", "-Wextra", "-Werror", "-c", source, "-o", f"{source}.o")
