"""What `edgernn bench` shows of a folder that `edgernn build` made: sizes, steps, and starts from Python and C."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from importlib import util
from pathlib import Path
from typing import Any

from edgernn.errors import EdgernnError

STARTS = 20
FROM_PYTHON = """import sys
sys.path.insert(0, sys.argv[1])
import edgernn_device
stream = edgernn_device.Stream()
x = {port["name"]: [0] * port["size"] for port in stream.about["inputs"]}
while stream.step(x) is None:
    pass
print("answered", flush=True)
sys.stdin.read()"""
BARE = "print('answered', flush=True); import sys; sys.stdin.read()"


def show(folder: Path, steps: int, as_json: bool) -> None:
    """Measure and print."""
    from edgernn.cli import console

    figures = measured(folder, steps)
    if as_json:
        console.print_json(figures)
    else:
        console.out().print(console.table(("", ""), rows(figures)))


def device(folder: Path) -> Any:
    """The folder's edgernn_device.py as a module, and a stream of it; its errors as ours."""
    found = util.spec_from_file_location("edgernn_device", folder / "edgernn_device.py")
    assert found is not None and found.loader is not None
    module = util.module_from_spec(found)
    found.loader.exec_module(module)
    try:
        return module.Stream(folder)
    except module.EdgernnError as error:
        raise EdgernnError(str(error)) from None


def measured(folder: Path, steps: int) -> dict[str, Any]:
    """All figures; those of C where there is a compiler for the example."""
    from edgernn.cli.bench import spread

    stream = device(folder)
    x = {port["name"]: [0.0] * port["size"] for port in stream.about["inputs"]}
    taken = []
    for _ in range(steps):
        start = time.perf_counter_ns()
        stream.step(x)
        taken.append(time.perf_counter_ns() - start)
    figures = {
        "target": stream.about["target"],
        "library": (folder / stream.about["library"]).stat().st_size,
        "instance": stream.about["size"],
        "step": spread(taken),
        "bare_python": starts([sys.executable, "-c", BARE], b""),
        "start_python": starts([sys.executable, "-c", FROM_PYTHON, str(folder.absolute())], b""),
    }
    given = b"".join(bytes(port["size"] * (8 if port["dtype"] == "int64" else 4)) for port in stream.about["inputs"])
    example = compiled(folder, stream.about)
    if example is not None:
        with example as place:
            program = [str(Path(place) / "main"), str(folder / stream.about["file"])]
            figures["start_c"] = starts(program, given * stream.about["window"])
    return figures


def compiled(folder: Path, about: dict[str, Any]) -> tempfile.TemporaryDirectory[str] | None:
    """A temporary folder with the example as a program, or None where there is no linker."""
    from edgernn.compiler import linker
    from edgernn.errors import BackendUnavailable

    try:
        linker.check()
    except BackendUnavailable:
        return None
    place = tempfile.TemporaryDirectory()
    archive = about["library"].replace(".so", ".a")
    for name in ("main.c", f"{about['name']}.h", archive):  # there, for not every path is one to a compiler
        shutil.copy(folder / name, place.name)
    linker.zig(Path(place.name), "cc", "-O2", "main.c", archive, "-o", "main")
    return place


def starts(command: list[str], given: bytes) -> dict[str, float]:
    """Milliseconds from nothing to the first answer, the best of many, and the most memory in use until then."""
    best, memory = float("inf"), 0
    for _ in range(STARTS):
        start = time.perf_counter()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(given)
            process.stdin.flush()
            process.stdout.read(1)
            best = min(best, time.perf_counter() - start)
            memory = max(memory, resident(process.pid))
            process.stdin.close()
            process.stdout.read()
    return {"ms": 1000 * best, "memory": memory}


def resident(process: int) -> int:
    """The most bytes that a process has had in memory; 0 where it has ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """What the table says."""
    from edgernn.cli.console import size

    def started(name: str) -> str:
        return f"{figures[name]['ms']:.1f} ms, {size(figures[name]['memory'])}"

    lines = [
        ("target", figures["target"]),
        ("library", size(figures["library"])),
        ("memory of an instance", size(figures["instance"])),
        ("step from Python", ", ".join(f"{key} {value:.2f}" for key, value in figures["step"].items()) + " us"),
        ("start of Python alone", f"{figures['bare_python']['ms']:.1f} ms"),
        ("start to the first answer, Python", started("start_python")),
    ]
    return [*lines, ("start to the first answer, C", started("start_c"))] if "start_c" in figures else lines
