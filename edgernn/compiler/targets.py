"""The processors that a model can be built for, by board or by name."""

from __future__ import annotations

import sys
from collections.abc import Set
from dataclasses import dataclass, replace

from edgernn.errors import BackendUnavailable
from edgernn.kernels.isas import ISAS, REFERENCE, Isa, chosen
from edgernn.kernels.processor import architecture, features

HOST = "host"


class UnknownTarget(BackendUnavailable):
    """What was named is no machine that there are kernels for."""


@dataclass(frozen=True)
class Target:
    """A kind of machine."""

    name: str
    what: str  # for people
    isa: str  # one of ISAS
    triple: str  # LLVM's name of the system
    cpu: str  # LLVM's name of the processor; empty: the least that has the instruction set
    features: str = ""  # in LLVM's form
    tune: str = ""  # LLVM's name of the processor whose speed counts, where others are to run it too

    @property
    def architecture(self) -> str:
        """x86_64, aarch64, armv7 or riscv64."""
        return self.triple.split("-")[0]

    @property
    def kernels(self) -> Isa:
        """The instruction set."""
        return ISAS[self.isa]

    @property
    def needs(self) -> tuple[str, ...]:
        """What Linux must say that the processor has."""
        return tuple(sorted(self.kernels.needs))


_X86, _ARM64 = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
_ARM32, _RISCV = "armv7-unknown-linux-gnueabihf", "riscv64-unknown-linux-gnu"
TARGETS = {
    target.name: target
    for target in (
        Target("x86-64", "PCs from 2003 on: SSE2", "portable", _X86, "x86-64"),
        Target("x86-64-v3", "PCs from 2013 on: AVX2", "avx2", _X86, ""),
        Target("x86-64-v3-vnni", "PCs from 2021 on: AVX2, byte products", "avxvnni", _X86, ""),
        Target("x86-64-v4", "servers from 2017 on: AVX-512", "avx512", _X86, ""),
        Target("x86-64-v4-vnni", "servers from 2019 on: AVX-512, byte products", "avx512vnni", _X86, ""),
        Target("rpi5", "Raspberry Pi 5: Cortex-A76, dot product", "sdot", _ARM64, "cortex-a76"),
        Target("rpi4", "Raspberry Pi 4: Cortex-A72", "neon", _ARM64, "cortex-a72"),
        Target("rpi3", "Raspberry Pi 3: Cortex-A53", "neon", _ARM64, "cortex-a53"),
        Target("zero2w", "Raspberry Pi Zero 2 W: Cortex-A53", "neon", _ARM64, "cortex-a53"),
        Target("rpi2-32", "32-bit Pi OS from the Pi 2 on: ARMv7, NEON", "neon32", _ARM32, "cortex-a7", "+neon"),
        Target("riscv64", "64-bit RISC-V without vectors", "portable", _RISCV, "generic-rv64", "+m,+a,+f,+d,+c"),
    )
}


def host() -> Target:
    """The machine that this runs on, with the kernels that streams use here.

    Raises BackendUnavailable where it is none of these.
    """
    machine = architecture()
    triples = {triple.split("-")[0]: triple for triple in (_X86, _ARM64, _RISCV)} | {"armv7l": _ARM32}
    if machine not in triples or sys.platform != "linux":
        raise BackendUnavailable(
            f"{sys.platform} on {machine} is no target; name the machine that the model is for: {names()}"
        )
    isa, _ = chosen(features())
    isa = "portable" if isa == REFERENCE else isa
    basic = next((t for t in TARGETS.values() if t.triple == triples[machine] and t.isa == isa), None)
    extra = basic.features if basic and isa == "portable" else ISAS[isa].features
    cpu = basic.cpu if basic and isa == "portable" else ""
    return Target(HOST, "this machine", isa, triples[machine], cpu, extra)


def names() -> str:
    """All targets' names, for messages."""
    return ", ".join((HOST, *TARGETS))


def named(name: str) -> Target:
    """The target of this name. Raises UnknownTarget, with the known ones, where there is none."""
    if name == HOST:
        return host()
    if name not in TARGETS:
        raise UnknownTarget(f"target '{name}' is unknown; there are {names()}, and --cpu with --triple for others")
    return TARGETS[name]


def processor(cpu: str, triple: str) -> Target:
    """A target by LLVM's names, with the plainest kernels of its architecture.

    Raises UnknownTarget for an architecture that there are no kernels for.
    """
    like = {"x86_64": "x86-64-v3", "aarch64": "rpi3", "armv7": "rpi2-32", "riscv64": "riscv64"}
    architecture = triple.split("-")[0]
    if architecture not in like or "linux" not in triple:
        known = ", ".join(sorted({target.triple for target in TARGETS.values()}))
        raise UnknownTarget(f"--triple {triple}: there are kernels for {known}, none without Linux")
    basic = TARGETS[like[architecture]]
    isa = ISAS["portable"] if architecture == "x86_64" else basic.kernels
    what = f"{cpu}, by LLVM's names"
    return replace(basic, name=cpu, what=what, isa=isa.name, triple=triple, cpu=cpu)


def best(target: Target, has: Set[str]) -> Target:
    """The target with the best kernels for what its processor has, by the names of `Isa.needs`.

    They use no other instructions: those would be missing elsewhere, and `needs` could not name them.
    """
    machine = {"armv7": "armv7l"}.get(target.architecture, target.architecture)
    isa = next(isa.name for isa in ISAS.values() if isa.machine in ("", machine) and isa.needs <= has)
    basic = next(t for t in TARGETS.values() if t.architecture == target.architecture and t.isa == isa)
    return replace(target, isa=isa, cpu=basic.cpu, features=basic.features, tune=target.cpu)
