"""The kernels as NVIDIA's compiler makes them, run here without a GPU (see `ptx`): they give the bits of the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ptx import UnknownInstruction
from ptx_kernel import Kernel, compiled
from test_cuda import HERE, TARGETS, ptx_of

KERNELS = {
    "run": ("walk", "NWF" + "n" * 6 + "NWFFWW"),
    "check": ("frames", "NnWnnW"),
    "fill": ("device", "Ww"),
    "put": ("device", "FnnnNRN"),
    "get": ("device", "FnnnNRN"),
}
MOST = {"B none": 80_000, "B int8": 39_000}  # instructions of a stream's frame; 20,736 products each
HEAD = """
.visible .entry kernel(.param .u64 kernel_param_0)
{
    .reg .pred %p<2>;
    .reg .b32 %r<4>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [kernel_param_4];
    mov.u32 %r1, %tid.x;
    mul.wide.s32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
"""
FAULTS = {  # what a kernel of 64 threads does with 64 words -> what is said of it
    "ld.global.u32 %r2, [%rd3+4];": "an address outside its arrays",
    "st.global.u32 [%rd3+-4], %r1;": "an address outside its arrays",
    "ld.global.u64 %rd2, [%rd3];": "an address that is no multiple of its size",
    "st.global.u32 [%rd1], %r1;": "threads race",
    "setp.eq.s32 %p1, %r1, 5; @%p1 bra $L; bar.sync 0; $L: bar.sync 0;": "barriers apart",
}


def made(body: str, folder: Path) -> Kernel:
    """A kernel of one array."""
    compiled(f"{HEAD}{body}\n ret;\n}}", folder / "kernel.so")
    return Kernel(folder / "kernel.so")


def test_compiled_kernels_give_the_bits_of_the_cpu_in_few_instructions(tmp_path: Path) -> None:
    """Every check that the simulator has, and larger models; no thread races, or leaves its arrays."""
    for name, (module, signature) in KERNELS.items():
        compiled(ptx_of(module, name, signature, TARGETS["sm_90"]), tmp_path / f"{name}.so")
    environment = dict(os.environ, NUMBA_ENABLE_CUDASIM="1", PYTHONPATH=f"{HERE}{os.pathsep}{HERE.parent}")
    command = [sys.executable, "-W", "ignore", str(HERE / "on_ptx.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    *wrong, counts = done.stdout.splitlines()
    assert not wrong
    for name, count in json.loads(counts).items():
        assert count <= MOST[name], f"{name}: {count} instructions"


@pytest.mark.parametrize("body", FAULTS)
def test_what_a_gpu_would_not_forgive_is_found(body: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=FAULTS[body]):
        made(body, tmp_path)[1, 64](np.zeros(64, np.int32))


def test_threads_that_meet_see_what_others_wrote(tmp_path: Path) -> None:
    """Each number goes to the next thread, and a word that is read before the barrier is as it was."""
    body = """
    add.s32 %r2, %r1, 100; st.global.u32 [%rd3], %r2; bar.sync 0;
    ld.global.u32 %r3, [%rd3+4]; bar.sync 0; st.global.u32 [%rd3], %r3;
    """
    kernel, words = made(body, tmp_path), np.zeros(65, np.int32)
    kernel[1, 64](words)
    np.testing.assert_array_equal(words, [*range(101, 164), 0, 0])
    assert kernel.executed == 64 * 11


def test_an_unknown_instruction_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownInstruction, match="mul"):
        made("mul.f32 %r1, %r2, %r3;", tmp_path)
