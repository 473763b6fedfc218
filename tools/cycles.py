"""Cycles that the inner loops of the matrix products take, as LLVM's machine-code analyser counts.

    python tools/cycles.py [--mca llvm-mca-19]

It needs Debian's llvm-19 (any version that has llvm-mca and knows the processors) and prints two tables: cycles for 64
products of a weight's integers with a number's, of which a weight of 16 bits and a number of 16 bits have two each
where an instruction takes 8. All operands are in the first cache. LLVM's model of Neoverse N1 stands for Cortex-A76,
whose core it is, and that of Cortex-A57 for Cortex-A72, as LLVM itself has it. "pool" is what a stream takes where
several share the weights.
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
from edgernn.kernels.isas import ISAS  # noqa: E402

BOARDS = {"rpi5": "neoverse-n1", "rpi4": "cortex-a72", "rpi3": "cortex-a53"}
SERVERS = {  # by instruction set
    "avx512vnni": ("icelake-server", "sapphirerapids", "znver4"),
    "avx512": ("skylake-avx512",),
    "avxvnni": ("alderlake",),
    "avx2": ("haswell", "znver3"),
}
KERNELS = {
    "float": "affine_f32",
    "int8": "affine_i8",
    "int8x16": "affine_i8x16",
    "int16": "affine_i16",
    "int4": "affine_i4",
}
POOLED = {"pool, float": "pooled_affine_f32", "pool, int8": "pooled_affine_i8"}
# products of an instruction; of x86 in the narrowest register
ARM = {r"sdot\t": 16, r"smull2?\tv\d+\.8h": 8, r"smull2?\tv\d+\.4s": 4, r"fml?[ua]l?\tv\d+\.4s": 4}
X86 = {"vfmadd231ps": 4, "vpdpbusd": 16, "vpdpwssd": 8, "vpmaddubsw": 16, "vpmaddwd": 8}
WIDER = {"xmm": 1, "ymm": 2, "zmm": 4}
ASSEMBLY = """
import sys
from edgernn.compiler import build
build.EXTERNAL += ("pool",)
names = [name for name in sys.argv[4:] if not name.startswith("pooled_")]
module, generator = build.compile_library(lambda name: None, build.Machine(*sys.argv[1:4]), names)
print(generator.emit_assembly(module))
"""
ITERATIONS = 200


def assembly(isa: str, triple: str, cpu: str, features: str) -> str:
    """The kernels for a processor."""
    command = [sys.executable, "-c", ASSEMBLY, triple, cpu, features, *KERNELS.values(), *POOLED.values()]
    environment = dict(os.environ, PYTHONPATH=str(ROOT), EDGERNN_COMPILE_ISA=isa, NUMBA_OPT="0")
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def products(block: str) -> int:
    """How many products some lines compute."""
    found = sum(count * len(re.findall(rf"\t{name}", block)) for name, count in ARM.items())
    for name, register in re.findall(rf"\t({'|'.join(X86)})\t.*%([xyz]mm)\d+\n", block + "\n"):
        if name != "vpmaddwd" or "vpmaddubsw" not in block:  # which it adds up
            found += X86[name] * WIDER[register]
    return found * (2 if "vpaddw" in block else 1)  # of two sums by Winograd, for four products


def inner_loop(text: str, kernel: str) -> str:
    """The block of a kernel that jumps to itself and has most products, up to its jump; of several the shortest."""
    function = text[text.index(f"\nedgernn_{kernel}:") :]
    blocks = re.split(r"\n(?=\.L\w+:)", function[: function.index(".Lfunc_end")])
    jumps = (rf"(?s).*?\t(b\.\w+|j\w+)\t{re.escape(block[: block.index(':')])}\n" for block in blocks)
    loops = [found[0] for block, jump in zip(blocks, jumps, strict=True) if (found := re.match(jump, block + "\n"))]
    return max(loops, key=lambda loop: (products(loop), -loop.count("\n")))


def cycles(mca: str, triple: str, model: str, loop: str) -> float:
    """Cycles for 64 products."""
    lines = [line for line in loop.splitlines()[1:] if not line.lstrip().startswith((".", "//", "#"))]
    command = [mca, f"-mtriple={triple}", f"-mcpu={model}", f"-iterations={ITERATIONS}", "-resource-pressure=false"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True)
    total = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    assert total
    return 64 * int(total[1]) / ITERATIONS / products(loop)


def table(corner: str, names: list[str]) -> None:
    """Print the head of a table."""
    print(f"\n| {corner} | {' | '.join(names)} |\n|---|{'---:|' * len(names)}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mca", default="llvm-mca-19")
    given = parser.parse_args()
    table("ARM: cycles for 64 products", [*KERNELS])
    for board, model in BOARDS.items():
        to = TARGETS[board]
        text = assembly(to.isa, to.triple, to.cpu, to.features)
        row = [f"{cycles(given.mca, 'aarch64', model, inner_loop(text, kernel)):.1f}" for kernel in KERNELS.values()]
        print(f"| {board}, {to.cpu} | {' | '.join(row)} |", flush=True)
    kernels = KERNELS | POOLED
    table("x86-64: cycles for 64 products", [*kernels])
    for name, models in SERVERS.items():
        text = assembly(name, "x86_64-unknown-linux-gnu", ISAS[name].cpu, ISAS[name].features)
        loops = [inner_loop(text, kernel) for kernel in kernels.values()]
        for model in models:
            row = [f"{cycles(given.mca, 'x86_64', model, loop):.2f}" for loop in loops]
            print(f"| {name}, {model} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
