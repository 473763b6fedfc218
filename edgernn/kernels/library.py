"""Finds, loads and calls a compiled kernel library. Numba never runs in this process.

The library is one object file in the user's cache, named after the instruction set and a hash of the kernels' sources
and of the versions that compile them. Where it is missing, a subprocess compiles it. A cache folder is code, so it
belongs to the user alone, and each file begins with the sha256 of the rest.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgernn.errors import BackendUnavailable
from edgernn.kernels import builtin
from edgernn.kernels.isas import ISAS, REFERENCE, Isa, available, chosen
from edgernn.kernels.panels import CpuBackend
from edgernn.kernels.reference import ReferenceLibrary

DIGEST = 32
PACKAGE = Path(__file__).resolve().parent.parent


def cache_folder() -> Path:
    """Where compiled kernels are kept: $EDGERNN_CACHE, else edgernn in the user's cache directory. Made at need.

    Raises BackendUnavailable when somebody else could write to it.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        base = ""
    named = os.environ.get("EDGERNN_CACHE")
    if not named and not base:
        raise BackendUnavailable("there is no home directory for the cache; name a folder in EDGERNN_CACHE")
    folder = Path(named or Path(base) / "edgernn")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise BackendUnavailable(
            f"the cache folder {folder} cannot be used ({error}); name another in EDGERNN_CACHE"
        ) from None
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        remedy = f"run `chmod go-w {folder}` as its owner, or name another in EDGERNN_CACHE"
        raise BackendUnavailable(f"the cache folder {folder} can be written by others: {remedy}")
    return folder


@functools.cache
def fingerprint() -> str:
    """A hash of everything that the compiled kernels depend on, but the instruction set."""
    digest = hashlib.sha256()
    sources = sorted([*(PACKAGE / "kernels").rglob("*.py"), *(PACKAGE / "compiler").rglob("*.py")])
    for source in sources:
        digest.update(source.read_bytes())
    for package in ("numba", "llvmlite"):
        try:
            digest.update(f"{package} {version(package)}".encode())
        except PackageNotFoundError:
            raise BackendUnavailable(f"{package} is not installed: run `pip install {package}`") from None
    return digest.hexdigest()


def object_path(isa: Isa) -> Path:
    """Where the library for this instruction set is, or will be."""
    return cache_folder() / f"kernels-{isa.name}-{fingerprint()[:24]}.o"


def read_object(path: Path) -> bytes | None:
    """The object, or None where the file is missing or not what was written."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content[DIGEST:] if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST] else None


def compile_object(isa: Isa, path: Path) -> bytes:
    """Compile in a subprocess, with a progress line on stderr, and put the object in the cache."""
    try:
        temporary = tempfile.TemporaryDirectory(dir=path.parent)
    except OSError as error:
        what = f"the cache folder {path.parent} cannot be written to ({error.strerror})"
        raise BackendUnavailable(f"{what}; name another in EDGERNN_CACHE") from None
    with temporary as folder:
        code = _compiled(isa, Path(folder))
        sealed = Path(folder) / "sealed"
        sealed.write_bytes(hashlib.sha256(code).digest() + code)
        sealed.replace(path)
    return code


def _compiled(isa: Isa, folder: Path) -> bytes:
    run_compiler(isa, folder / "kernels.o")
    return (folder / "kernels.o").read_bytes()


def run_compiler(isa: Isa, output: Path, options: Sequence[str] = ()) -> None:
    """Compile the kernels to a file, with a progress line on stderr; options: those of `python -m edgernn.compiler`.

    The compiler sees the modules that are installed, and none of the working directory.
    """
    known = [str(PACKAGE.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    said = output.with_suffix(".said")
    command = [sys.executable, "-P", "-m", "edgernn.compiler", isa.name, str(output), *options]
    with said.open("w") as problems:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=problems,
            stdin=subprocess.DEVNULL,
            text=True,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(known)),
        )
        assert process.stdout is not None
        _show_progress(isa, process.stdout, "" if options else ", once on this machine")
    if process.wait() != 0:
        last = "; ".join(said.read_text().strip().splitlines()[-3:]) or f"exit status {process.returncode}"
        raise BackendUnavailable(
            f"the kernels for {isa.name} did not compile, is numba installed whole? It said: {last}"
        )


def _show_progress(isa: Isa, lines: Any, how_often: str) -> None:
    text = f"edgernn: compiling its kernels for {isa.name}{how_often}"
    live = sys.stderr is not None and sys.stderr.isatty()
    if sys.stderr is not None:
        print(text, end="" if live else "\n", file=sys.stderr, flush=True)
    for number, _ in enumerate(lines):
        if live:
            print("\r" + text + " " + "." * (number % 40), end="", file=sys.stderr, flush=True)
    if live:
        print("\r" + " " * (len(text) + 42) + "\r", end="", file=sys.stderr, flush=True)


class Library:
    """A loaded kernel library: the compiled entries as Python callables."""

    def __init__(self, isa: Isa, code: bytes):
        import llvmlite.binding as llvm

        self.backend = CpuBackend(isa)
        machine = _target_machine()
        self._engine = llvm.create_mcjit_compiler(
            llvm.parse_assembly(f'target triple = "{machine.triple}"{builtin.IR}'), machine
        )
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        address = self._engine.get_function_address
        self._step = builtin.method(b"step", address("edgernn_step"))
        self._frames = builtin.method(b"run", address("edgernn_frames"))
        self._call = builtin.method(b"run", address("edgernn_call"))
        # run(control, frames, *arrays): all ports' arrays (NumPy's own class, laid out as the block says) -> status;
        # -1 while another thread runs in the same block
        self.run: Callable[..., int] = builtin.make(self._call, None, self)
        prepare, pool = (_entry(address(f"edgernn_{name}")) for name in ("prepare", "pool"))
        self.prepare: Callable[[int, int], int] = lambda program, control: prepare(program, control, 0, 0)
        self.pool = pool  # pool(control, begin, end, tile), see contract; without the interpreter's lock

    def fast(self, control: Any, slow: tuple[Callable[..., Any], Callable[..., Any]]) -> tuple[Callable[..., Any], ...]:
        """The fast `step` and `run` of a stream with one port in and one out; `slow` are those for all other cases.

        This `run` is for streams that answer every frame.
        """
        return builtin.make(self._step, control, (self, slow)), builtin.make(self._frames, control, (self, slow))


def _entry(address: int) -> Callable[[int, int, int, int], int]:
    import ctypes

    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)(address)


def _target_machine() -> Any:
    """A new one: an engine takes it over and frees it."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(jit=True, opt=2)


@functools.cache
def host_features() -> frozenset[str]:
    """What LLVM says this processor has."""
    import llvmlite.binding as llvm

    return frozenset(name for name, has in llvm.get_host_cpu_features().items() if has)


@functools.cache
def _loaded(name: str) -> Library | ReferenceLibrary:
    if name == REFERENCE:
        return ReferenceLibrary()
    isa = ISAS[name]
    path = object_path(isa)
    return Library(isa, read_object(path) or compile_object(isa, path))


def load() -> Library | ReferenceLibrary:
    """The kernels for this machine, compiled first if need be.

    Raises BackendUnavailable when it cannot be compiled or EDGERNN_ISA names what this machine does not have.
    """
    name, _ = chosen(host_features())
    return _loaded(name)


def describe() -> dict[str, Any]:
    """What `edgernn doctor` shows of the kernels."""
    import llvmlite.binding as llvm

    name, why = chosen(host_features())
    return {
        "processor": llvm.get_host_cpu_name(),
        "isa": name,
        "why": why,
        "available": available(host_features()),
        "cache": str(cache_folder()),
        "compiled": name in ISAS and read_object(object_path(ISAS[name])) is not None,
    }
