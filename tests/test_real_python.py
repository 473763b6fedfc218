"""Built models in the real Python of other boards: Debian's packages for them in a folder, run by QEMU."""

from __future__ import annotations

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
from make_root import PYTHON, make

from edgernn.compiler import bundle, targets
from edgernn.kernels.isas import REFERENCE
from edgernn.kernels.jit import cache_folder
from edgernn.layers.base import FORMATS
from edgernn.quantiser import quantise

pytest.importorskip("ziglang", reason='the linker is missing: pip install "edgernn[build]"')
ROOTS = {"aarch64": "arm64", "armv7": "armhf"}  # Debian's names
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


def python(architecture: str) -> list[str]:
    """The command that runs an architecture's Python, but for `-cpu`; skips where it cannot be had."""
    qemu, kept = emulator(architecture), cache_folder() / f"root-{ROOTS[architecture]}"
    if not kept.exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            pytest.skip("apt-get and dpkg are missing: this test needs Debian, or a system like it")
        with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            try:
                make(Path(folder) / "root", ROOTS[architecture], PYTHON)
            except subprocess.CalledProcessError:
                pytest.skip("Debian's archive cannot be reached: try again with a network")
            (Path(folder) / "root").rename(kept)
    return [qemu, "-L", str(kept), "-cpu", "", str(kept / "usr/bin/python3"), "-c", PROGRAM]


def run(architecture: str, cpu: str, folder: Path, given: bytes) -> subprocess.CompletedProcess[bytes]:
    command = python(architecture)
    command[command.index("-cpu") + 1] = cpu
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, input=given, capture_output=True, env=environment, check=False)


@pytest.mark.parametrize(("n", "board", "cpu"), [(n, *board) for n, board in enumerate(BOARDS)])
def test_a_built_model_gives_the_bits_of_the_reference(n: int, board: str, cpu: str, tmp_path: Path) -> None:
    target, model = targets.TARGETS[board], quantise(SIZES["B"](), list(FORMATS)[n])
    bundle.build(model, "kws", target, tmp_path / "kws", "0.1.0", inside=board not in ("rpi4", "rpi2-32"))
    x = frames(model, 1000)
    done = run(target.architecture, cpu, tmp_path / "kws", x.tobytes())
    assert done.returncode == 0, done.stderr
    expected = stream_on(REFERENCE, model).run(x)
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.float32).reshape(expected.shape), expected)
    if board == "rpi5":
        done = run(target.architecture, "cortex-a72", tmp_path / "kws", x.tobytes())
        last = done.stderr.decode().splitlines()[-1]
        assert done.returncode == 1 and "BackendUnavailable" in last and "no asimddp" in last
