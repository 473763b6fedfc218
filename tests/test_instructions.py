"""What the compiler makes for each instruction set, also for those that this machine does not have."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, SIZES, frames, worst_sums
from conftest import COMPILED, stream_on

from edgernn.kernels import jit
from edgernn.kernels.isas import ISAS, REFERENCE
from edgernn.layers.base import FORMATS
from edgernn.quantiser import quantise
from edgernn.stream import Pool, Stream

# the instructions of the int8 and int16 products
INSTRUCTIONS = {
    "avx512vnni": (r"vpdpbusd\t.*zmm", r"vpdpwssd\t.*zmm"),
    "avxvnni": (r"vpdpbusd\t.*ymm", r"vpdpwssd\t.*ymm"),
    "avx512": (r"vpmaddubsw\t.*zmm", r"vpmaddwd\t.*zmm"),
    "avx2": (r"vpmaddubsw\t.*ymm", r"vpmaddwd\t.*ymm"),
    "portable": (r"pmaddwd\t.*xmm", r"pmaddwd\t.*xmm"),
}
ELSEWHERE = [name for name, isa in ISAS.items() if name not in COMPILED and isa.machine == "x86_64"]
ASSEMBLY = """
import os, sys
os.environ["EDGERNN_COMPILE_ISA"], os.environ["NUMBA_OPT"] = sys.argv[1], "0"
from edgernn.compiler.build import compile_library
module, machine = compile_library(lambda name: None, kernels=("affine_i8", "affine_i8x16", "affine_i16"))
print(machine.emit_assembly(module))
"""


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("isa", INSTRUCTIONS)
def test_the_dot_product_instruction_is_there(isa: str) -> None:
    text = run("-c", ASSEMBLY, isa)
    if "x86" in text or "%rsp" in text:
        assert all(re.search(instruction, text) for instruction in INSTRUCTIONS[isa])
    assert "NRT_" not in text and "numba_" not in text, "the kernels must not need Numba's runtime"


@pytest.mark.parametrize("isa", ELSEWHERE)
def test_what_this_machine_lacks_gives_the_bits_of_the_reference(
    isa: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emulated: its panels, lanes and loops, in instructions that there are here."""
    run(str(Path(__file__).with_name("emulate.py")), isa, str(tmp_path / "kernels.o"))
    emulated = jit.loaded(ISAS[isa], (tmp_path / "kernels.o").read_bytes())
    tried = [(CASES | SIZES)[case]() for case in (*CASES, "A", "B", "G")]
    pairs = [(quantise(model, name), frames(model, 6)) for model, name in product(tried, FORMATS)]
    for model, x in pairs + [worst_sums(cols, name) for cols, name in product((1, 33, 513, 8193), FORMATS)]:
        expected = stream_on(REFERENCE, model).run(x)
        with monkeypatch.context() as patch:
            patch.setattr("edgernn.kernels.library.load", lambda backend="auto": emulated)
            stream, pool = Stream(model), Pool(model, 5)
        np.testing.assert_equal(stream.run(x), expected, err_msg=model.summary())
        both = [expected] if isinstance(expected, np.ndarray) else expected.values()
        together = pool.run(np.stack([x] * 5, 1))
        for one, five in zip(both, [together] if isinstance(together, np.ndarray) else together.values(), strict=True):
            np.testing.assert_equal(five, np.stack([one] * 5, 1), err_msg=model.summary())
