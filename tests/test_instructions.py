"""What the compiler makes for each instruction set, also for those that this machine does not have."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

# the instructions of the int8 and int16 products
INSTRUCTIONS = {
    "avx512vnni": (r"vpdpbusd\t.*zmm", r"vpdpwssd\t.*zmm"),
    "avxvnni": (r"vpdpbusd\t.*ymm", r"vpdpwssd\t.*ymm"),
    "avx512": (r"vpmaddubsw\t.*zmm", r"vpmaddwd\t.*zmm"),
    "avx2": (r"vpmaddubsw\t.*ymm", r"vpmaddwd\t.*ymm"),
    "portable": (r"pmaddwd\t.*xmm", r"pmaddwd\t.*xmm"),
}
ASSEMBLY = """
import os, sys
os.environ["EDGERNN_COMPILE_ISA"], os.environ["NUMBA_OPT"] = sys.argv[1], "0"
from edgernn.compiler.build import compile_library
module, machine = compile_library(lambda name: None, kernels=("affine_i8", "affine_i8x16", "affine_i16"))
print(machine.emit_assembly(module))
"""


@pytest.mark.parametrize("isa", INSTRUCTIONS)
def test_the_dot_product_instruction_is_there(isa: str) -> None:
    done = subprocess.run([sys.executable, "-c", ASSEMBLY, isa], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if "x86" in done.stdout or "%rsp" in done.stdout:
        assert all(re.search(instruction, done.stdout) for instruction in INSTRUCTIONS[isa])
    assert "NRT_" not in done.stdout and "numba_" not in done.stdout, "the kernels must not need Numba's runtime"
