"""GPUs, without one: the kernels under numba's simulator give the bits of the CPU, and compile for real devices."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from cases import CASES

from edgernn.errors import BackendUnavailable, BadInput

HERE = Path(__file__).parent
TARGETS = {"sm_75": (7, 5), "sm_87": (8, 7), "sm_90": (9, 0)}  # Turing, Jetson Orin, Hopper
CHECKS = ["cases int8", "states"]  # test_ptx has them all
MISSING = 'the compiler for GPUs is missing: pip install "edgernn[cuda]"'


@pytest.mark.parametrize("check", CHECKS)
def test_the_simulated_gpu_gives_the_bits_of_the_cpu(check: str) -> None:
    environment = dict(os.environ, NUMBA_ENABLE_CUDASIM="1", PYTHONPATH=f"{HERE}{os.pathsep}{HERE.parent}")
    command = [sys.executable, "-W", "ignore", str(HERE / "simulated.py"), *check.split()]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def ptx_of(module: str, kernel: str, signature: str, compute_capability: tuple[int, int]) -> str:
    """A kernel for a device that need not be there. signature: a letter an argument."""
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip(MISSING)
    from numba import cuda, types

    word, number, long = types.int32, types.float32, types.int64
    kinds = {"w": word, "n": long, "W": word[::1], "F": number[::1], "N": long[::1], "R": number[:, ::1]}
    made = getattr(importlib.import_module(f"edgernn.kernels.cuda.{module}"), kernel)
    # functions of a device are compiled for the one at hand, even where another is named
    there = SimpleNamespace(compute_capability=compute_capability)
    with mock.patch("numba.cuda.dispatcher.get_current_device", lambda: there):
        text, _ = cuda.compile_ptx(made.py_func, tuple(kinds[s] for s in signature), cc=compute_capability)
    return str(text)


def assembled(text: str, target: str, folder: Path) -> str:
    """What NVIDIA's assembler says of it."""
    (folder / "kernel.ptx").write_text(text)
    command = [str(assembler()), f"-arch={target}", "-v", "kernel.ptx", "-o", "kernel.cubin"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize(
    ("module", "kernel", "signature", "holds"),
    [
        ("device", "put", "FnnnNRN", "st.global.f32|st.global.b32"),
        ("device", "get", "FnnnNRN", "st.global.f32|st.global.b32"),
        ("device", "fill", "Ww", "st.global.u32|st.global.b32"),
        ("frames", "check", "NnWnnW", "atom.global.min.s32"),
    ],
)
def test_the_small_kernels_compile_too(module: str, kernel: str, signature: str, holds: str, tmp_path: Path) -> None:
    for target in ("sm_75", "sm_90"):
        text = ptx_of(module, kernel, signature, TARGETS[target])
        assert re.search(holds, text) and ".f64" not in text, text
        assert "0 bytes spill stores, 0 bytes spill loads" in assembled(text, target, tmp_path)


@pytest.mark.parametrize("target", TARGETS)
def test_the_kernel_compiles_for_a_device(target: str, tmp_path: Path) -> None:
    """It uses the dot products, contracts nothing, needs no float64 and keeps all it holds in registers."""
    text = ptx_of("walk", "run", "NWF" + "n" * 6 + "NWFFWW", TARGETS[target])
    assert f".target {target}" in text
    for instruction in ("dp4a.s32.s32", "dp2a.lo.s32.s32", "dp2a.hi.s32.s32", "div.rn.f32", "sqrt.rn.f32", "bar.sync"):
        assert instruction in text, instruction
    for forbidden in ("fma.", ".f64", ".local", "div.full", "div.approx", "ex2.approx", "call"):
        assert forbidden not in text, forbidden
    said = assembled(text, target, tmp_path)
    assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in said
    (registers,) = re.findall(r"Used (\d+) registers", said)
    assert int(registers) <= 128  # two blocks of 256 threads fit on each multiprocessor


def assembler() -> Path:
    """NVIDIA's assembler, which comes with the compiler."""
    found = importlib.util.find_spec("nvidia.cuda_nvcc")
    if found is None or not found.submodule_search_locations:
        pytest.skip(MISSING)
    return Path(found.submodule_search_locations[0]) / "bin" / "ptxas"


def test_a_missing_gpu_says_what_it_takes() -> None:
    code = """
import edgernn
from cases import CASES
try:
    CASES["GRU-3-5"]().pool(4, device="cuda").step([[0.0] * 3] * 4)
except edgernn.BackendUnavailable as error:
    print(error)
"""
    path = f"{HERE}{os.pathsep}{HERE.parent}"
    environment = dict(os.environ, NUMBA_ENABLE_CUDASIM="0", CUDA_VISIBLE_DEVICES="-1", PYTHONPATH=path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert 'pip install "edgernn[cuda]"' in done.stdout and "driver" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_what_no_gpu_can_do_is_refused() -> None:
    model = CASES["GRU-3-5"]()
    with pytest.raises(BadInput, match="2 threads"):
        model.pool(4, device="cuda", threads=2)
    with pytest.raises(BackendUnavailable, match="there are 'cpu' and 'cuda'"):
        model.pool(4, device="tpu")
