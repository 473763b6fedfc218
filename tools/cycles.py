"""Cycles that the inner loops of the matrix products take on ARM processors, as LLVM's machine-code analyser counts.

    python tools/cycles.py [--mca llvm-mca-16]

It needs Debian's llvm-16 (any version that has llvm-mca) and prints a table: cycles for 64 products, of which int16
needs two for a weight, all operands in the first cache. LLVM's model of Neoverse N1 stands for Cortex-A76, whose core
it is, and that of Cortex-A57 for Cortex-A72, as LLVM itself has it.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from edgernn.compiler.targets import TARGETS  # noqa: E402

MODELS = {"rpi5": "neoverse-n1", "rpi4": "cortex-a72", "rpi3": "cortex-a53"}
KERNELS = {
    "float": "affine_f32",
    "int8": "affine_i8",
    "int8x16": "affine_i8x16",
    "int16": "affine_i16",
    "int4": "affine_i4",
}
# products of an instruction
PRODUCTS = {r"sdot\t": 16, r"smull2?\tv\d+\.8h": 8, r"smull2?\tv\d+\.4s": 4, r"fml?[ua]l?\tv\d+\.4s": 4}
ASSEMBLY = """
import sys
from edgernn.compiler.build import Machine, compile_library
module, generator = compile_library(lambda name: None, Machine(*sys.argv[1:]))
print(generator.emit_assembly(module))
"""
ITERATIONS = 200


def assembly(board: str) -> str:
    """All kernels for a board."""
    target = TARGETS[board]
    command = [sys.executable, "-c", ASSEMBLY, target.triple, target.cpu, target.features]
    environment = dict(os.environ, PYTHONPATH=str(ROOT), EDGERNN_COMPILE_ISA=target.isa, NUMBA_OPT="0")
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def products(block: str) -> int:
    """How many products some lines compute."""
    return sum(count * len(re.findall(rf"\t{name}", block)) for name, count in PRODUCTS.items())


def inner_loop(text: str, kernel: str) -> str:
    """The block of a kernel that jumps to itself and has most products."""
    function = text[text.index(f"\nedgernn_{kernel}:") :]
    blocks = re.split(r"\n(?=\.L\w+:)", function[: function.index(".Lfunc_end")])
    loops = [
        block for block in blocks if re.search(rf"\tb\.\w+\t{re.escape(block[: block.index(':')])}\n", block + "\n")
    ]
    return max(loops, key=products)


def cycles(mca: str, model: str, loop: str) -> float:
    """Cycles for 64 products."""
    lines = [line for line in loop.splitlines()[1:] if not line.lstrip().startswith((".", "//"))]
    command = [mca, "-mtriple=aarch64", f"-mcpu={model}", f"-iterations={ITERATIONS}", "-resource-pressure=false"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True)
    total = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    assert total
    return 64 * int(total[1]) / ITERATIONS / products(loop)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mca", default="llvm-mca-16")
    given = parser.parse_args()
    print(f"| cycles for 64 products | {' | '.join(KERNELS)} |\n|---|{'---:|' * len(KERNELS)}")
    for board, model in MODELS.items():
        text = assembly(board)
        row = [f"{cycles(given.mca, model, inner_loop(text, kernel)):.1f}" for kernel in KERNELS.values()]
        print(f"| {board}, {TARGETS[board].cpu} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
