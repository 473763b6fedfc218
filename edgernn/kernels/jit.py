"""Kernels compiled on this machine, by Numba in a subprocess: for development, and where none come with the package.

They are one object file in the user's cache, named after the instruction set and a hash of the kernels' sources and of
the versions that compile them. A cache folder is code, so it belongs to the user alone, and each file begins with the
sha256 of the rest. LLVM loads the object; Numba never runs in this process.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgernn.errors import BackendUnavailable
from edgernn.kernels import entries
from edgernn.kernels.builtin import POINTER
from edgernn.kernels.isas import Isa
from edgernn.kernels.native import Library
from edgernn.kernels.sources import PACKAGE, sources

DIGEST = 32


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
        remedy = "name another in EDGERNN_CACHE"
        if found.st_uid == os.getuid() and not found.st_mode & stat.S_ISVTX:  # of one's own, and not made for all
            remedy = f"run `chmod go-w {folder}`, or {remedy}"
        raise BackendUnavailable(f"the cache folder {folder} can be written by others: {remedy}")
    return folder


def is_there() -> bool:
    """Whether Numba is installed."""
    return find_spec("numba") is not None


@functools.cache
def fingerprint() -> str:
    """A hash of everything that the compiled kernels depend on, but the instruction set."""
    digest = hashlib.sha256(sources().encode())
    for package in ("numba", "llvmlite"):
        try:
            digest.update(f"{package} {version(package)}".encode())
        except PackageNotFoundError:
            remedy = 'pip install "edgernn[jit]"'
            raise BackendUnavailable(f"{package} compiles kernels and is not installed: {remedy}") from None
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
    known = [str(Path(PACKAGE).parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
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


def load(isa: Isa) -> Library:
    """The kernels for an instruction set, compiled first if need be. Raises BackendUnavailable where they cannot be."""
    path = object_path(isa)
    return loaded(isa, read_object(path) or compile_object(isa, path))


def loaded(isa: Isa, code: bytes) -> Library:
    """The library in an object file's bytes."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True, opt=2)  # the engine frees it
    text = f'target triple = "{machine.triple}"{entries.text(POINTER)}'
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Library(isa, engine.get_function_address, engine, "jit")
