"""Zig as C compiler, linker and archiver for every target: it comes from pip and needs no other toolchain."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from edgernn.compiler.targets import Target, UnknownTarget
from edgernn.errors import BackendUnavailable
from edgernn.kernels.jit import cache_folder, is_there

PACKAGE = "ziglang"
# nothing of a C library is needed, so that one file does for every Linux
C_FLAGS = ("-Os", "-fPIC", "-ffreestanding", "-fno-builtin", "-fno-sanitize=all", "-fvisibility=hidden", "-std=c99")

# what C compilers define where a processor has a feature
MACROS = {
    "__ARM_FEATURE_DOTPROD": "asimddp",
    "__ARM_NEON": "neon",
    "__AVX2__": "avx2",
    "__AVX512BW__": "avx512bw",
    "__AVX512DQ__": "avx512dq",
    "__AVX512F__": "avx512f",
    "__AVX512VL__": "avx512vl",
    "__AVX512VNNI__": "avx512_vnni",
    "__AVXVNNI__": "avx_vnni",
    "__FMA__": "fma",
}


def check() -> None:
    """Raises BackendUnavailable, with the remedy, where there is no linker or no compiler."""
    if find_spec(PACKAGE) is None or not is_there():
        missing = "linker" if is_there() else "compiler"
        raise BackendUnavailable(f'there is no {missing} for other machines here: pip install "edgernn[build]"')


def zig_target(target: Target, libc: str = "") -> list[str]:
    """How Zig names a target; libc: `musl` for programs that need nothing else."""
    system = "gnueabihf" if target.architecture == "armv7" else "gnu"
    architecture = {"armv7": "arm"}.get(target.architecture, target.architecture)
    cpu = ["-mcpu=cortex_a7"] if target.architecture == "armv7" else []
    return ["-target", f"{architecture}-linux-{system.replace('gnu', libc or 'gnu')}", *cpu]


def zig(folder: Path, *arguments: object) -> None:
    """Run Zig in a folder. Raises BackendUnavailable with what it said where it failed."""
    check_ran(tried(folder, *arguments))


def tried(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Zig in a folder, and see."""
    caches = {name: str(cache_folder() / "zig") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    return subprocess.run(
        [sys.executable, "-m", PACKAGE, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **caches},
        check=False,
    )


def check_ran(done: subprocess.CompletedProcess[str]) -> None:
    """Raises BackendUnavailable with what Zig said where it failed."""
    if done.returncode:
        said = "; ".join(done.stderr.strip().splitlines()[-3:]) or f"exit status {done.returncode}"
        where = f"is it installed whole, and is there room in {cache_folder()}?"
        raise BackendUnavailable(f"{PACKAGE}, which compiles and links C, failed: {where} It said: {said}")


def features(target: Target) -> set[str]:
    """What the target's processor has, by the names of `Isa.needs`, as the C compiler defines it.

    Raises UnknownTarget for a processor that it does not know.
    """
    system = zig_target(target)[:2]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "empty.c").touch()
        cpu = f"-mcpu={target.cpu.replace('-', '_')}"
        done = tried(Path(folder), "cc", *system, cpu, "-E", "-dM", "empty.c", "-o", "defined")
        if done.returncode and "unknown CPU" in done.stderr:
            what = f"{target.architecture} has no processor of that name"
            raise UnknownTarget(f"--cpu {target.cpu}: {what}; {alike(target.cpu, done.stderr)}")
        check_ran(done)
        defined = (Path(folder) / "defined").read_text()
    return {feature for macro, feature in MACROS.items() if f"#define {macro} " in defined}


def alike(cpu: str, said: str) -> str:
    """The names most like this one of those that Zig lists, a line each, in LLVM's spelling; or else all of them."""
    names = [line.strip().replace("_", "-") for line in said.splitlines() if line.startswith(" ")]
    near = difflib.get_close_matches(cpu, names, 5, 0.7)
    return f"most like it: {', '.join(near)}" if near else f"known: {', '.join(names)}"


def compile_c(folder: Path, source: str, target: Target) -> str:
    """Compile a C or assembler file of the folder; the object's name."""
    made = Path(source).with_suffix(".o").name
    zig(folder, "cc", *zig_target(target), *C_FLAGS, "-c", source, "-o", made)
    return made


def link(folder: Path, objects: Sequence[str], library: str, target: Target) -> None:
    """A shared library of these objects."""
    flags = (
        "-shared",
        "-nostdlib",
        "-lcompiler_rt",
        "-s",
        "-Wl,--gc-sections",
        "-Wl,-z,defs",
        f"-Wl,-soname,{library}",
    )
    zig(folder, "cc", *zig_target(target), *flags, *objects, "-o", library)


def archive(folder: Path, objects: Sequence[str], library: str) -> None:
    """A static library of these objects."""
    zig(folder, "ar", "rcsD", library, *objects)
