"""Built models in the real Python of other boards: Debian's packages for them in a folder, run by QEMU."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from cases import SIZES, frames
from conftest import stream_on
from emulated import emulator
from make_root import PACKAGES, PYTHON, make

from edgernn.compiler import bundle, targets
from edgernn.kernels.isas import REFERENCE
from edgernn.kernels.jit import cache_folder
from edgernn.layers.base import FORMATS
from edgernn.quantiser import quantise

pytest.importorskip("ziglang", reason='the linker is missing: pip install "edgernn[build]"')
ROOTS = {"aarch64": ("arm64", PACKAGES), "armv7": ("armhf", PYTHON)}  # Debian's names; NumPy is in the first
BOARDS = [("rpi5", "cortex-a76"), ("rpi4", "cortex-a72"), ("rpi3", "cortex-a53"), ("rpi2-32", "cortex-a7")]
PROGRAM = """
import sys
from array import array
from edgernn_device import Stream
stream, given, made = Stream(), array("f", sys.stdin.buffer.read()), array("f")
size = stream.about["inputs"][0]["size"]
for at in range(0, len(given), size):
    made.extend(stream.step(given[at : at + size].tolist()))
    if at == 300 * size:
        stream.load_state(stream.fork().save_state())
sys.stdout.buffer.write(made.tobytes())
"""
POOLS = """
import numpy as np
from cases import SIZES, frames
from edgernn.quantiser import quantise
for size in "BD":
    for number_format in ("none", "int8"):
        model = quantise(SIZES[size](), number_format)
        x = np.stack([frames(model, 3, seed=n) for n in range(9)], axis=1)
        together = model.pool(9).run(x)
        for n in range(9):
            assert together[:, n].tobytes() == model.stream().run(x[:, n]).tobytes(), (size, number_format, n)
print("the same bits")
"""


def python(architecture: str, cpu: str, program: str) -> list[str]:
    """The command that runs a program in an architecture's Python; skips where that cannot be had."""
    name, packages = ROOTS[architecture]
    qemu, kept = emulator(architecture), cache_folder() / f"root-{name}-{len(packages)}"
    if not kept.exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            pytest.skip("apt-get and dpkg are missing: this test needs Debian, or a system like it")
        with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            try:
                make(Path(folder) / "root", name, packages)
            except subprocess.CalledProcessError:
                pytest.skip("Debian's archive cannot be reached: try again with a network")
            with contextlib.suppress(OSError):  # another process was first
                (Path(folder) / "root").rename(kept)
    return [qemu, "-L", str(kept), "-cpu", cpu, str(kept / "usr/bin/python3"), "-c", program]


def run(command: list[str], *folders: Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    path = os.pathsep.join(map(str, folders))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, input=given, capture_output=True, env=environment, check=False)


@pytest.mark.parametrize(("n", "board", "cpu"), [(n, *board) for n, board in enumerate(BOARDS)])
def test_a_built_model_gives_the_bits_of_the_reference(n: int, board: str, cpu: str, tmp_path: Path) -> None:
    target, model = targets.TARGETS[board], quantise(SIZES["B"](), list(FORMATS)[n])
    bundle.build(model, "kws", target, tmp_path / "kws", "0.1.0", inside=board not in ("rpi4", "rpi2-32"))
    x = frames(model, 1000)
    done = run(python(target.architecture, cpu, PROGRAM), tmp_path / "kws", given=x.tobytes())
    assert done.returncode == 0, done.stderr
    expected = stream_on(REFERENCE, model).run(x)
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.float32).reshape(expected.shape), expected)
    if board == "rpi5":
        done = run(python(target.architecture, "cortex-a72", PROGRAM), tmp_path / "kws", given=x.tobytes())
        last = done.stderr.decode().splitlines()[-1]
        assert done.returncode == 1 and "BackendUnavailable" in last and "no asimddp" in last


@pytest.mark.parametrize("cpu", ["cortex-a76", "cortex-a72"])
def test_pools_have_the_bits_of_single_streams(cpu: str) -> None:
    """With and without dot products of bytes, in the kernels that come with the package."""
    here, command = Path(__file__).parent, python("aarch64", cpu, POOLS)
    packages = Path(command[command.index("-L") + 1]) / "usr/lib/python3/dist-packages"
    done = run(command, here.parent, here, packages)
    assert done.stdout == b"the same bits\n", done.stderr
