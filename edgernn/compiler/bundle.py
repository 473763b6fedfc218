"""A folder that holds a model for one target, made whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from edgernn.compiler import beside, linker, sources
from edgernn.compiler.sources import Job
from edgernn.compiler.targets import Target
from edgernn.errors import BackendUnavailable, BadInput, Problem, UnsupportedModel
from edgernn.kernels.jit import run_compiler
from edgernn.kernels.panels import CpuBackend
from edgernn.layers.model import Model
from edgernn.layers.summary import stored_bytes
from edgernn.planner import Plan, make_plan

FORMAT = 1
LARGEST = 1 << 31  # bytes that code reaches from where it stands, and what 32 bits leave to a program
SPARE = 1 << 20  # bytes: where fewer are free, a compiler that fails had no room
MANIFEST = "manifest.json"
TEMPORARY, WORK, MADE, LOCK = ".edgernn-", "work", "made", "lock"  # the folder of a build that runs, and its parts
HERE, EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE: renameat2(2)


def build(
    model: Model, name: str, target: Target, output: Path, version: str, *, inside: bool = True
) -> dict[str, Any]:
    """Build into a new folder (or over one that was built before); the manifest. version: of edgernn.

    inside: weights and program are in the library, else in a file beside it.
    Raises UnsupportedModel for what is too large for the target, BadInput where `output` is something else,
    BackendUnavailable where compiler or linker is missing or fails.
    """
    linker.check()
    check_output(output := output.resolve())
    plan = make_plan(model, CpuBackend(target.kernels))
    check_size(model, plan, target, inside)
    job = Job(model, plan, sources.prefix(name), target, version, not inside)
    with beside_it(output) as temporary:
        work, made = Path(temporary) / WORK, Path(temporary) / MADE
        work.mkdir()
        made.mkdir()
        compile_kernels(target, sources.kernels_of(plan), job.name, work)
        manifest = assemble(job, work, made)
        check_output(output)  # the compiler took its time
        if not output.exists() or not exchanged(made, output):
            if output.exists():
                output.rename(Path(temporary) / "old")
            made.rename(output)
    return manifest


def check_output(output: Path) -> None:
    """Raises BadInput for what holds anything but what was built: it would be lost."""
    if output == Path.cwd() or output.is_mount():
        raise BadInput(f"{output} cannot be replaced; name a folder in it")
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    try:
        built = json.loads((output / MANIFEST).read_bytes())["files"]
        others = [path for path in output.iterdir() if not _made_there(path)]
        kept = sorted(path.name for path in others if not path.is_file() or built.get(path.name) != _hash(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"{output} is there and was not built by edgernn; name a folder that is new") from None
    if kept:
        raise BadInput(
            f"{output} holds {', '.join(kept)}, not as built by edgernn: move it, or name a folder that is new"
        )


def _made_there(path: Path) -> bool:
    """Whether this is the manifest, or what Python and `make` add to a folder."""
    if path.name == "main" and path.is_file():
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    return path.name == MANIFEST or (path.name == "__pycache__" and path.is_dir())


@contextmanager
def beside_it(output: Path) -> Iterator[str]:
    """A temporary folder beside `output`. Raises OSError, about `output` itself, where it cannot be written."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        clear(output.parent)
        with (
            tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=output.parent) as place,
            (Path(place) / LOCK).open("wb") as lock,
        ):
            locked(lock)
            try:
                yield place
            except BackendUnavailable:  # compilers don't all say that the disk is full
                if shutil.disk_usage(place).free >= SPARE:
                    raise
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(output)) from None


def clear(folder: Path) -> None:
    """Remove what builds that were killed have left in a folder: their locks have ended with them.

    What holds anything else, as a build that was replaced, stays.
    """
    for left in folder.glob(f"{TEMPORARY}????????"):
        with suppress(OSError):
            if {path.name for path in left.iterdir()} == {WORK, MADE, LOCK}:
                with (left / LOCK).open("r+b") as lock:
                    if locked(lock):
                        shutil.rmtree(left)


def locked(file: IO[bytes]) -> bool:
    """Lock a file until it is closed or this process has ended; False where another has locked it, or none can."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def check_size(model: Model, plan: Plan, target: Target, inside: bool) -> None:
    """Raises UnsupportedModel, naming the largest layer, for more bytes than the code or the target can address."""
    needed = plan.arena_bytes + len(plan.weights)
    if needed <= LARGEST or not (inside or target.architecture == "armv7"):
        return
    node = max(model.nodes, key=lambda node: stored_bytes(node.layer))
    what = f"{stored_bytes(node.layer):,} bytes of weights are here, and {needed:,} bytes are needed in all"
    why = f"a library for {target.name} holds {LARGEST:,}" if inside else f"{target.name} has {LARGEST:,} for a program"
    remedy = "quantise it" if target.architecture == "armv7" else "build with --beside, or quantise it"
    raise UnsupportedModel([Problem(node.name, type(node.layer).__name__, f"{what}; {why}", remedy)])


def exchanged(one: Path, other: Path) -> bool:
    """Swap two folders at one stroke, so that there is always one of them; False where the system cannot."""
    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    return swap is not None and swap(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE) == 0


def compile_kernels(target: Target, kernels: Collection[str], name: str, folder: Path) -> None:
    """kernels.o, with the entries NAME_kernels_run and NAME_kernels_prepare."""
    isa = target.kernels
    options = {
        "--triple": target.triple,
        "--cpu": target.cpu or isa.cpu,
        "--features": target.features or isa.features,
        "--tune": target.tune,
        "--kernels": ",".join(sorted(kernels)),
        "--prefix": f"{name}_kernels",
    }
    run_compiler(isa, folder / "kernels.o", [f"{key}={value}" for key, value in options.items()])


def assemble(job: Job, work: Path, made: Path) -> dict[str, Any]:
    """From kernels.o in `work` to all files in `made`."""
    name, target, plan = job.name, job.target, job.plan
    values = {**sources.values(job), "ZIG": linker.zig_target(target, "musl")[1]}
    constants = {
        "weights": plan.weights,
        "initial": plan.initial,
        "program": plan.program,
        "prepare_program": plan.prepare,
    }
    if job.file:
        (made / job.file).write_bytes(beside.file(job))
        constants = {}
    for part, array in constants.items():
        (work / f"{part}.bin").write_bytes(array.tobytes())
    (work / "data.S").write_text(sources.data(name, constants))
    for folder in (work, made):
        (folder / f"{name}.h").write_text(sources.filled("header.h", values))
    (work / "glue.c").write_text(sources.filled("glue.c", values))
    objects = ["kernels.o", *(linker.compile_c(work, source, target) for source in ("glue.c", "data.S"))]
    library, archive = f"lib{name}.so", f"lib{name}.a"
    linker.link(work, objects, library, target)
    linker.archive(work, objects, archive)
    for file in (library, archive):
        shutil.move(work / file, made / file)
    for file in ("main.c", "Makefile"):
        (made / file).write_text(sources.filled(file, values))
    shutil.copyfile(sources.TEMPLATES / "edgernn_device.py", made / "edgernn_device.py")
    manifest = describe(job) | {"library": library, "files": hashes(made)}
    (made / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def describe(job: Job) -> dict[str, Any]:
    """What the loader must know, and what a person may want to."""
    plan, target = job.plan, job.target
    return {
        "format": FORMAT,
        "edgernn": job.version,
        "target": target.name,
        "processor": target.tune or target.cpu or target.kernels.cpu,
        "instruction_set": target.isa,
        "model": job.model.hash,
        "hop": plan.hop,
        "window": plan.window,
        **job.facts,
    }


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of each file."""
    return {file.name: _hash(file) for file in sorted(folder.iterdir())}


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
