"""The instruction sets there are kernels for, and which of them this machine has. Imports no compiler."""

from __future__ import annotations

import os
from collections.abc import Set
from typing import NamedTuple

from edgernn.errors import BackendUnavailable
from edgernn.kernels.processor import architecture

VARIABLE = "EDGERNN_ISA"


class Isa(NamedTuple):
    """One way of using a processor."""

    name: str
    machine: str  # the processor.architecture() it belongs to; empty: any
    cpu: str  # LLVM's name of the least processor that has it
    features: str  # more, in LLVM's form
    needs: frozenset[str]  # what processor.features() must have
    lanes: int  # 32-bit numbers in a register
    registers: int  # that the inner loops may fill
    fused: bool  # has a fused multiply-add
    offset: int  # added to int8 activations before they are stored: 128 where the dot product wants them unsigned


_WIDE = "-prefer-256-bit"  # use the registers of 512 bits that the kernels ask for
_AVX512 = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
_AVX2 = frozenset({"avx2", "fma"})
# best first
ISAS = {
    isa.name: isa
    for isa in (
        Isa("avx512vnni", "x86_64", "cascadelake", _WIDE, _AVX512 | {"avx512_vnni"}, 16, 32, True, 128),
        Isa("avxvnni", "x86_64", "haswell", "+avxvnni", _AVX2 | {"avx_vnni"}, 8, 14, True, 128),
        Isa("avx512", "x86_64", "skylake-avx512", _WIDE, _AVX512, 16, 32, True, 0),
        Isa("avx2", "x86_64", "haswell", "", _AVX2, 8, 14, True, 0),
        Isa("sdot", "aarch64", "cortex-a76", "", frozenset({"asimddp"}), 4, 28, True, 0),
        Isa("neon", "aarch64", "cortex-a53", "", frozenset(), 4, 28, True, 0),
        Isa("neon32", "armv7l", "cortex-a7", "+neon", frozenset({"neon"}), 4, 12, False, 0),
        Isa("portable", "", "", "", frozenset(), 4, 12, False, 0),
    )
}


REFERENCE = "reference"  # the NumPy definition, on any machine


def available(features: Set[str]) -> list[str]:
    """The names of what a machine with these features can run, best first."""
    here = architecture()
    return [isa.name for isa in ISAS.values() if isa.machine in ("", here) and isa.needs <= features] + [REFERENCE]


def chosen(features: Set[str]) -> tuple[str, str]:
    """The instruction set to use, and why. The environment variable EDGERNN_ISA decides where it is set.

    Raises BackendUnavailable when it names one that is unknown or that this machine does not have.
    """
    here = available(features)
    wanted = os.environ.get(VARIABLE, "")
    if not wanted:
        return here[0], "the best that this processor has"
    if wanted not in here:
        raise BackendUnavailable(
            f"{VARIABLE}={wanted}: this machine has {', '.join(here)}; unset it or name one of these"
        )
    return wanted, f"named by {VARIABLE}"
