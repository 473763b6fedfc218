"""What this processor has, by the names that Linux has for it. Asks no compiler where Linux says it."""

from __future__ import annotations

import ctypes
import functools
import platform
import struct
import sys

# getauxval(3): AT_HWCAP, and its bits in Linux' arch/arm64/include/uapi/asm/hwcap.h and arch/arm/.../hwcap.h
HWCAP = 16
BITS = {"aarch64": {"asimddp": 1 << 20}, "armv7l": {"neon": 1 << 12}}
LLVM_NAMES = {"avx512vnni": "avx512_vnni", "avxvnni": "avx_vnni", "dotprod": "asimddp"}  # where they are others


@functools.cache
def architecture() -> str:
    """x86_64, aarch64, armv7l, riscv64 or what else the system calls it: that of this process.

    A system for 32 bits may run on a kernel for 64.
    """
    machine = platform.machine().lower().replace("amd64", "x86_64")
    if struct.calcsize("P") == 4:
        return {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}.get(machine, machine)
    return {"arm64": "aarch64"}.get(machine, machine)


@functools.cache
def features() -> frozenset[str]:
    """What decides which instruction sets there are; nothing where nobody can tell."""
    if sys.platform != "linux":
        return _llvm_features()
    if architecture() in BITS:
        value = ctypes.CDLL(None).getauxval
        value.restype, value.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        return frozenset(name for name, bit in BITS[architecture()].items() if value(HWCAP) & bit)
    return frozenset(_line("flags").split() if architecture() == "x86_64" else ())


def name() -> str:
    """What the processor is called, as far as the system says it."""
    return _line("model name") or _line("Model") or platform.processor() or architecture()


def _line(key: str) -> str:
    """What /proc/cpuinfo says of the first processor, empty where it says nothing."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")
    except OSError:
        return ""


def _llvm_features() -> frozenset[str]:
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return frozenset()
    return frozenset(LLVM_NAMES.get(name, name) for name, has in llvm.get_host_cpu_features().items() if has)
