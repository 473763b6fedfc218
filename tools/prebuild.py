"""Makes the kernel libraries that come with the package.

    python tools/prebuild.py

One for each instruction set of the targets of `edgernn build`, into edgernn/kernels/prebuilt, with manifest.json. What
is of the present sources already is left alone; the same sources give the same bytes. It needs the extra `build`, takes
about a minute, and is to be run again whenever a kernel has changed (a test says so).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from edgernn.compiler import linker
from edgernn.compiler.targets import TARGETS, Target
from edgernn.kernels import prebuilt
from edgernn.kernels.jit import run_compiler
from edgernn.kernels.sources import sources

FOLDER = Path(prebuilt.FOLDER)


def libraries() -> dict[str, list[Target]]:
    """The file of each library, and the targets that it serves."""
    found: dict[str, list[Target]] = {}
    for target in TARGETS.values():
        machine = {"armv7": "armv7l"}.get(target.architecture, target.architecture)
        found.setdefault(prebuilt.file_of(target.kernels, machine), []).append(target)
    return found


def current(name: str) -> bool:
    """Whether the library is there and of the present sources."""
    about, path = prebuilt.manifest().get(name), FOLDER / name
    if about is None or about["sources"] != sources() or not path.is_file():
        return False
    return bool(about["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest())


def make(name: str, target: Target) -> None:
    """Compile for the least processor that has the instruction set, and link without a C library."""
    isa, begin = target.kernels, time.monotonic()
    options = {
        "--triple": target.triple,
        "--cpu": isa.cpu or target.cpu,
        "--features": target.features or isa.features,
    }
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run_compiler(isa, work / "kernels.o", ["--entries", *(f"{key}={value}" for key, value in options.items())])
        linker.link(work, ["kernels.o"], name, target)
        (FOLDER / name).write_bytes((work / name).read_bytes())
    print(f"{name}: {(FOLDER / name).stat().st_size:,} bytes, {time.monotonic() - begin:.0f} s", flush=True)


def described(name: str, targets: list[Target]) -> dict[str, Any]:
    """What the manifest says of a library."""
    first = targets[0]
    return {
        "instruction_set": first.isa,
        "architecture": first.architecture,
        "processor": first.kernels.cpu or first.cpu,
        "needs": list(first.needs),
        "targets": [target.name for target in targets],
        "sources": sources(),
        "sha256": hashlib.sha256((FOLDER / name).read_bytes()).hexdigest(),
    }


def main() -> None:
    """Make what is missing or old, remove what belongs to no target, and write the manifest."""
    linker.check()
    wanted = libraries()
    stale = {name: targets for name, targets in wanted.items() if not current(name)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in [pool.submit(make, name, targets[0]) for name, targets in stale.items()]:
            done.result()
    for path in FOLDER.glob("*.so"):
        if path.name not in wanted:
            path.unlink()
    manifest = {name: described(name, targets) for name, targets in wanted.items()}
    (FOLDER / prebuilt.MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(stale)} made, {len(wanted) - len(stale)} were up to date")


if __name__ == "__main__":
    main()
