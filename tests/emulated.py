"""Other processors, emulated by QEMU: plans run with kernels compiled for them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.compiler import bundle, linker, targets
from edgernn.kernels import contract as c
from edgernn.kernels.jit import cache_folder, fingerprint
from edgernn.kernels.panels import CpuBackend
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.planner import make_plan

EMULATORS = {"aarch64": "qemu-aarch64-static", "armv7": "qemu-arm-static", "riscv64": "qemu-riscv64-static"}
SOURCE = Path(__file__).with_name("driver.c")
DEFINED = ("PROGRAM", "WEIGHTS", "ARENA", "FRAMES", "INPUTS", "ANSWER", "PORTS", "PORT_WORDS")


def emulator(architecture: str) -> str:
    """The command that runs programs of an architecture; the test is skipped where it is missing."""
    found = shutil.which(EMULATORS[architecture])
    if found is None:
        pytest.skip(f"{EMULATORS[architecture]} is missing: apt-get install qemu-user-static")
    return found


@cache
def driver(name: str) -> Path:
    """driver.c with all kernels for a target, kept in the cache."""
    target = targets.TARGETS[name]
    digest = fingerprint()[:16] + str(SOURCE.stat().st_mtime_ns)
    kept = cache_folder() / f"driver-{name}-{digest}"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            work = Path(folder)
            bundle.compile_kernels(target, (), "driven", work)
            (work / "driver.c").write_text(SOURCE.read_text().replace("driven_", "driven_kernels_"))
            defines = [f"-D{word}={getattr(c, word)}" for word in DEFINED]
            machine = linker.zig_target(target, "musl")
            linker.zig(work, "cc", *machine, *defines, "-static", "-O1", "driver.c", "kernels.o", "-o", "driver")
            (work / "driver").replace(kept)
    return kept


def given(target: targets.Target, model: Model, x: Array) -> bytes:
    """What the driver reads: a plan for the target, and frames (T, n_in)."""
    plan = make_plan(model, CpuBackend(target.kernels))
    words: list[Any] = [len(plan.inputs), len(plan.outputs), plan.arena_bytes, len(plan.states), len(plan.weights)]
    words += [plan.program.size, plan.prepare.size, len(x)]
    for port in (*plan.inputs, *plan.outputs):
        tokens = port.dtype == "int64"
        words += [port.size * (8 if tokens else 4), port.size, int(tokens), port.low, port.high]
    for slot in plan.states:
        words += [slot.offset, slot.initial.nbytes]
    parts = [np.array(words, np.int64), *(s.initial for s in plan.states), plan.weights, plan.program, plan.prepare, x]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def run(name: str, cpu: str, model: Model, x: Array, *options: str) -> bytes:
    """What the driver writes on an emulated processor, QEMU with these options."""
    target = targets.TARGETS[name]
    command = [emulator(target.architecture), "-cpu", cpu, *options, str(driver(name))]
    done = subprocess.run(command, input=given(target, model, x), capture_output=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout


def answers(name: str, cpu: str, model: Model, x: Array) -> dict[str, Array]:
    """What the model answers to frames (T, n_in) on an emulated processor, by port."""
    made, found = np.frombuffer(run(name, cpu, model, x), np.float32), {}
    count = made.size // sum(port.size for port in model.outputs)
    for port in model.outputs:
        found[port.name], made = made[: count * port.size].reshape(count, port.size), made[count * port.size :]
    return found


def instructions(name: str, cpu: str, model: Model, x: Array) -> int:
    """How many of the kernels' instructions a frame of x takes there: runs over half and all of x, compared.

    QEMU tells each block of instructions once, when it translates it, and then each time that it runs, and for which
    function.
    """
    totals = []
    for frames in (x[: len(x) // 2], x):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            run(name, cpu, model, frames, "-d", "in_asm,exec,nochain", "-D", str(log))
            totals.append(_executed(log))
    return (totals[1] - totals[0]) // (len(x) - len(x) // 2)


def _executed(log: Path) -> int:
    sizes: dict[int, int] = {}  # instructions in the block at an address
    total = begin = 0
    with log.open() as lines:
        for line in lines:
            if line.startswith("Trace"):
                ours = line.rpartition("] ")[2].startswith(("edgernn_", "driven_"))
                total += sizes[int(line.split("/")[1], 16)] if ours else 0
            elif line.startswith("IN:"):
                begin = -1
            elif line.startswith("0x"):
                begin = int(line[: line.index(":")], 16) if begin < 0 else begin
                sizes[begin] = 1 if sizes.get(begin) is None or line.startswith(f"{begin:#010x}:") else sizes[begin] + 1
    return total
