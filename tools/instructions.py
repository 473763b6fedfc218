"""Instructions a step of the AVX2 kernels, counted by callgrind: a figure that no noise touches.

    python tools/instructions.py

counts and writes tests/instructions.json. It needs Debian's valgrind and a C compiler.

The kernels' object file is linked to a few lines of C, without Python. Each model is a block of memory that begins with
the control block and holds program, weights, arena and frames, as they are for a place BASE that the block is put at.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent / part) for part in ("", "tests")]
from cases import SIZES, frames  # noqa: E402

from edgernn.kernels import jit  # noqa: E402
from edgernn.kernels.contract import ADDRESS, ALIGNMENT, ARENA, FRAMES, PORT_WORDS, PORTS, PROGRAM, WEIGHTS  # noqa: E402
from edgernn.kernels.isas import ISAS, available  # noqa: E402
from edgernn.kernels.native import Library  # noqa: E402
from edgernn.kernels.processor import features  # noqa: E402
from edgernn.layers.base import Array  # noqa: E402
from edgernn.layers.model import Model  # noqa: E402
from edgernn.planner import make_plan  # noqa: E402
from edgernn.quantiser import quantise  # noqa: E402
from edgernn.stream.runner import Runner  # noqa: E402

STORED = Path(__file__).parent.parent / "tests" / "instructions.json"
SHOWN, FORMATS = "ABDEG", ("none", "int8", "int8x16", "int16", "int4")
ISA, STEPS, BASE = "avx2", 20, 1 << 33


def missing() -> str:
    """What is needed to count and is not there; empty where all is."""
    if ISA not in available(features()):
        return f"this processor has no {ISA}: count on one that has"
    packages = {"valgrind": "valgrind", "cc": "gcc"}
    lacking = [program for program in packages if not shutil.which(program)]
    return f"{lacking[0]} is missing: apt-get install {packages[lacking[0]]}" if lacking else ""


def kernels() -> tuple[bytes, Library]:
    """The object file, and the same loaded."""
    path = jit.object_path(ISAS[ISA])
    code = jit.read_object(path) or jit.compile_object(ISAS[ISA], path)
    return code, jit.loaded(ISAS[ISA], code)


def block(model: Model, loaded: Library) -> bytes:
    """The memory of a stream that is about to run STEPS frames."""
    runner = Runner(make_plan(model, loaded.backend), loaded)
    x = frames(model, STEPS)
    parts: list[Array] = [runner.control.copy(), runner.plan.program, runner.plan.weights, runner.arena, x]
    parts.append(np.zeros((STEPS, model.outputs[0].size), np.float32))
    sizes = [-(-part.nbytes // ALIGNMENT) * ALIGNMENT + ALIGNMENT for part in parts]
    places = BASE + np.cumsum([0, *sizes])
    words = (PROGRAM, WEIGHTS, ARENA, PORTS + ADDRESS, PORTS + PORT_WORDS + ADDRESS)
    parts[0][list(words)] = places[1:-1]
    parts[0][FRAMES] = STEPS
    return b"".join(part.tobytes().ljust(size, b"\0") for part, size in zip(parts, sizes, strict=True))


def count(models: Mapping[str, Model]) -> dict[str, int]:
    """Instructions a step of each model."""
    code, loaded = kernels()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kernels.o").write_bytes(code)
        source = Path(__file__).with_suffix(".c")
        build = ["cc", "-O1", f"-DBASE={BASE}", "-o", "steps", str(source), "kernels.o", "-lm"]
        subprocess.run(build, cwd=folder, check=True)
        for number, model in enumerate(models.values()):
            (folder / f"{number}.block").write_bytes(block(model, loaded))
        watch = ["--tool=callgrind", "--toggle-collect=edgernn_run", "--dump-after=edgernn_run"]
        run = ["valgrind", *watch, "--callgrind-out-file=counted", "./steps"]
        subprocess.run([*run, *(f"{n}.block" for n in range(len(models)))], cwd=folder, check=True, capture_output=True)
        dumps = (folder / f"counted.{1 + number}" for number in range(len(models)))
        return {name: total(dump) // STEPS for name, dump in zip(models, dumps, strict=True)}


def total(dump: Path) -> int:
    """The instructions that a file of callgrind's adds up to."""
    found = re.search(r"^(?:summary|totals): (\d+)", dump.read_text(), re.MULTILINE)
    assert found, f"{dump} has no total"
    return int(found[1])


def benchmarked() -> dict[str, Model]:
    """What the stored figures are of: sizes of the benchmark in all formats that compute differently."""
    return {f"{size} {name}": quantise(SIZES[size](), name) for size in SHOWN for name in FORMATS}


if __name__ == "__main__":
    if missing():
        raise SystemExit(missing())
    figures = count(benchmarked())
    STORED.write_text(json.dumps(figures, indent=1) + "\n")
    print(STORED.read_text(), end="")
