"""Boards that are not here: what is compiled for them, and that its bits, emulated, are those of the reference."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from board_instructions import STORED, counted
from cases import CASES, SIZES, Net, frames, stack, worst_sums
from conftest import stream_on
from emulated import answers, emulator, instructions

from edgernn.compiler import bundle, linker, targets
from edgernn.compiler.scalars import scalar_floats
from edgernn.kernels.isas import REFERENCE
from edgernn.layers import Combine, Constant
from edgernn.layers.base import FORMATS, Array
from edgernn.layers.model import Model, Port
from edgernn.quantiser import quantise

pytest.importorskip("ziglang", reason='the linker is missing: pip install "edgernn[build]"')
BOARDS = [
    ("rpi5", "cortex-a76"),
    ("rpi4", "cortex-a72"),
    ("rpi4", "cortex-a53"),
    ("rpi2-32", "cortex-a7"),
    ("riscv64", "rv64"),
]


def expected(model: Model, x: Array) -> dict[str, Array]:
    made = stream_on(REFERENCE, model).run(x)
    return made if isinstance(made, dict) else {model.outputs[0].name: made}


@pytest.mark.parametrize(("board", "cpu"), BOARDS)
def test_quantised_bits_are_those_of_the_reference(board: str, cpu: str) -> None:
    """Each case in one of the formats, worst sums in all of them, and a model that answers every few frames.

    tools/boards.py tries all cases in all formats for long.
    """
    formats, every = list(FORMATS), 8 if board == "riscv64" else 1  # which is slow to emulate
    cases = list(CASES)[::every]
    pairs = [(quantise(CASES[case](), formats[n % len(formats)]), 10) for n, case in enumerate(cases)]
    pairs += [(quantise(SIZES["B"](), name), 20) for name in FORMATS]
    slow = replace(stack("GRU", 10, 12, 1, [(3, "")]), inputs=(Port("x", "x", 2),), window=5, hop=3)
    tried = [(model, frames(model, steps)) for model, steps in [*pairs, (quantise(slow, "int8"), 20)]]
    tried += [worst_sums(cols, name) for cols in (33, 513)[: 1 + (every == 1)] for name in FORMATS]
    for model, x in tried:
        np.testing.assert_equal(answers(board, cpu, model, x), expected(model, x), err_msg=model.summary())


def test_a_program_says_so_on_a_machine_without_its_instructions(tmp_path: Path) -> None:
    target, model, folder = targets.TARGETS["rpi5"], quantise(SIZES["B"](), "int8"), tmp_path / "kws"
    qemu, x = emulator(target.architecture), frames(model, 3)
    bundle.build(model, "kws", target, folder, "0.1.0")
    linker.zig(folder, "cc", *linker.zig_target(target, "musl"), "-static", "-O1", "main.c", "libkws.a", "-o", "main")
    run = [subprocess.run([qemu, "-cpu", cpu, folder / "main"], input=x.tobytes(), capture_output=True, check=False)
           for cpu in ("cortex-a76", "cortex-a72")]  # fmt: skip
    right, wrong = run
    assert right.returncode == 0 and right.stdout == expected(model, x)["y"].tobytes()
    assert wrong.returncode == 1 and not wrong.stdout
    assert wrong.stderr.count(b"\n") == 1 and b"rpi5" in wrong.stderr and b"asimddp" in wrong.stderr


@pytest.mark.parametrize(("board", "cpu"), BOARDS)
def test_float_is_close_to_the_reference(board: str, cpu: str) -> None:
    for model in (CASES["residual"](), SIZES["B"]()):
        x = frames(model, 100)
        found = answers(board, cpu, model, x)
        for name, values in expected(model, x).items():
            assert np.abs(values - found[name]).max() < 1e-6


@pytest.mark.parametrize(("board", "cpu"), BOARDS)
def test_subnormal_numbers_are_kept(board: str, cpu: str) -> None:
    x = (np.random.default_rng(1).uniform(-2, 2, (4, 21)) * 2.0**-126).astype(np.float32)
    other = np.random.default_rng(2).uniform(-1, 1, 21).astype(np.float32)
    for operation in ("add", "sub", "mul", "div", "less", "equal", "max"):
        net = Net(21)
        model = net.model(y=(net.add(Combine(operation), "x", net.add(Constant(other * 2.0**-126))), 21))
        if operation in ("mul", "div"):
            net = Net(21)
            model = net.model(y=(net.add(Combine(operation), "x", net.add(Constant(other + 2))), 21))
        np.testing.assert_equal(answers(board, cpu, model, x), expected(model, x), err_msg=operation)


@pytest.mark.parametrize(("board", "cpu"), BOARDS[:3])
def test_instructions_a_frame_are_those_that_are_stored(board: str, cpu: str) -> None:
    """Kernels that got faster or slower: `python tools/board_instructions.py` stores their new figures."""
    stored = json.loads(STORED.read_text())[board]
    shown = ("A int8", "B int8") if cpu == "cortex-a53" else tuple(stored)
    found = counted(partial(instructions, board, cpu), shown)
    assert found == pytest.approx({name: stored[name] for name in shown}, rel=0.03)


ASSEMBLY = """
import os, sys
os.environ["EDGERNN_COMPILE_ISA"], os.environ["NUMBA_OPT"] = sys.argv[1], "0"
from edgernn.compiler.build import Machine, compile_library
module, generator = compile_library(lambda name: None, Machine(*sys.argv[2:]), ["affine_i8", "gru"])
print(generator.emit_assembly(module))
"""
PRODUCTS = {"rpi5": ("sdot",), "rpi4": ("smull", "sadalp"), "rpi3": ("smull", "sadalp"), "rpi2-32": ("vmull.s8",)}


@pytest.mark.parametrize("board", PRODUCTS)
def test_the_products_are_in_the_inner_loop_without_spills(board: str) -> None:
    target = targets.TARGETS[board]
    command = [sys.executable, "-c", ASSEMBLY, target.isa, target.triple, target.cpu, target.features]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    function = text[text.index("\nedgernn_affine_i8:") :]
    blocks = re.split(r"\n(?=\.L\w+:)", function[: function.index(".Lfunc_end")])
    inner = max(blocks, key=lambda block: block.count(PRODUCTS[board][0]))
    assert all(inner.count(f"\t{name}") >= 8 for name in PRODUCTS[board])
    if target.architecture == "aarch64":
        assert "sp" not in re.findall(r"\w+", inner)
        assert not re.search(r"\bf(madd|msub|mla|mls)\b", text), "a sum and a product are never one rounding"
    else:
        assert not re.search(r"\tv(add|sub|mul|mla|mls|c[egl][eqt])\.f32\t[qd]", text), "these lose subnormal numbers"


def test_vector_arithmetic_is_spelled_out_whatever_its_operands() -> None:
    text = "  %3 = fadd <2 x float> %1, <float 1.0, float 2.0>\n  %m = fcmp olt <2 x float> splat (float 1.0), %3"
    made = scalar_floats(text)
    assert made.count("fadd float") == made.count("fcmp olt float") == 2 and "fadd <" not in made
    assert "extractelement <2 x float> <float 1.0, float 2.0>, i64 1" in made
    assert "  %3 = insertelement <2 x float> %lane.3.0, float %lane.3.1.y, i64 1" in made
