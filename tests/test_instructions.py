"""What the compiler makes for each instruction set, also for those that this machine does not have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, SIZES, frames
from conftest import stream_on

from edgernn.kernels.isas import ISAS, REFERENCE
from edgernn.kernels.library import Library
from edgernn.quantiser import quantise
from edgernn.stream import Stream

# the instruction of the int8 products, and one that must not be there: sums of whole registers across their lanes
INSTRUCTIONS = {"avx512vnni": "vpdpbusd", "avx2": "vpmaddubsw", "portable": "pmaddwd"}
ASSEMBLY = """
import os, sys
os.environ["EDGERNN_COMPILE_ISA"], os.environ["NUMBA_OPT"] = sys.argv[1], "0"
from edgernn.compiler.build import compile_library
module, machine = compile_library(lambda name: None)
print(machine.emit_assembly(module))
"""


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("isa", ISAS)
def test_the_dot_product_instruction_is_there(isa: str) -> None:
    text = run("-c", ASSEMBLY, isa)
    if "x86" in text or "%rsp" in text:
        assert INSTRUCTIONS[isa] in text
    assert "NRT_" not in text and "numba_" not in text, "the kernels must not need Numba's runtime"


def test_avx512vnni_gives_the_bits_of_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated, so that a machine without AVX-512 shows it too."""
    run(str(Path(__file__).with_name("emulate.py")), "avx512vnni", str(tmp_path / "kernels.o"))
    emulated = Library(ISAS["avx512vnni"], (tmp_path / "kernels.o").read_bytes())
    for case in (*CASES, "A", "B", "C", "D", "G", "H"):
        model = quantise({**CASES, **SIZES}[case](), "int8")
        x = frames(model, 60)
        expected = stream_on(REFERENCE, model).run(x)
        with monkeypatch.context() as patch:
            patch.setattr("edgernn.kernels.library.load", lambda: emulated)
            stream = Stream(model)
        np.testing.assert_equal(stream.run(x), expected, err_msg=case)
