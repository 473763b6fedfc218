"""Microseconds a step, edgernn beside ONNX Runtime (and a hand-written limit), one thread, batch 1, state carried.

    python tools/bench.py [--sizes ABCDEFGH] [--chunks 40] [--limit FOLDER] [--formats] [--json FILE] [--readme]

Every contender steps the same model in chunks of 250 frames, taking turns, so that all of them meet the same noise; the
figure is the median over chunks. Contenders that are not installed are named and left out. Run it on a quiet machine,
pinned: `taskset -c 1 python tools/bench.py`. --readme writes the table into README.md.
With --formats the contenders are edgernn's own number formats, and the table says how many times as long each takes as
int8 does, and what its weights and its file weigh.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests")]
from cases import SIZES, frames  # noqa: E402
from contenders import (  # noqa: E402
    Stepper,
    edgernn_contenders,
    format_contenders,
    limit_contenders,
    limit_module,
    onnxruntime_contenders,
)

from edgernn.layers.summary import weight_bytes  # noqa: E402
from edgernn.quantiser import FORMATS, quantise  # noqa: E402

CHUNK = 250
# figure -> what it is held against
RATIOS = {
    "edgernn float, step": "limit float, from Python",
    "edgernn int8, step": "limit int8, from Python",
    "edgernn float, run": "limit float, in C++",
    "edgernn int8, run": "limit int8, in C++",
}


def measure(contenders: dict[str, Stepper], x: Any, chunks: int) -> dict[str, float]:
    """Median microseconds a step of each contender, in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(chunks + 2):
        for name, run in contenders.items():
            begin = time.perf_counter_ns()
            itself = run(x)
            took = (time.perf_counter_ns() - begin) / len(x)
            if turn >= 2:
                times[name].append(itself if isinstance(itself, float) else took)
    return {name: float(np.median(values)) / 1e3 for name, values in times.items()}


def optional(label: str, make: Callable[[], dict[str, Stepper]], missing: set[str]) -> dict[str, Stepper]:
    """The contenders, or none where their package is not there."""
    try:
        return make()
    except Exception as error:  # whatever a missing compiler or package raises: it is named, and left out
        missing.add(f"{label}: left out ({type(error).__name__}: {str(error)[:80]})")
        return {}


def bench(size: str, chunks: int, limit: Any, missing: set[str]) -> dict[str, float]:
    """All figures of one size."""
    model = SIZES[size]()
    found = edgernn_contenders(model)
    found |= optional("ONNX Runtime", lambda: onnxruntime_contenders(model), missing)
    if limit is not None:
        found |= optional("limit", lambda: limit_contenders(limit, size), missing)
    return measure(found, frames(model, CHUNK), chunks)


def table(results: dict[str, dict[str, float]]) -> Table:
    """Figures by contender and size, then the ratios."""
    shown = Table("microseconds a step", *results, title="median of chunks of 250 steps")
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    for name in names:
        shown.add_row(name, *(f"{f[name]:.2f}" if name in f else "-" for f in results.values()))
    shown.add_section()
    best = [name for name in names if name.startswith("ONNX Runtime float")]
    for ours, theirs in RATIOS.items():
        if all(theirs in f for f in results.values()):
            shown.add_row(f"{ours} / {theirs}", *(f"{f[ours] / f[theirs]:.2f}" for f in results.values()))
        if best and ours.endswith("step"):
            cells = [f"{min(f[n] for n in best) / f[ours]:.1f} x" for f in results.values()]
            shown.add_row(f"{ours}: faster than ONNX Runtime's best float", *cells)
    return shown


def formats(sizes: str, chunks: int) -> Table:
    """Each number format as a ratio to int8, from the same run: time of `run`, and bytes."""
    shown = Table(
        "number format", *sizes, "weights", title="time of run / time in int8, medians; bytes / bytes in int8"
    )
    times: dict[str, dict[str, float]] = {}
    for size in track(sizes, "measuring", console=Console(stderr=True), transient=True):
        model = SIZES[size]()
        times[size] = measure(format_contenders(model), frames(model, CHUNK), chunks)
    held = {name: weight_bytes(quantise(model, name)) for name in FORMATS}
    for name in FORMATS:
        cells = [f"{found[name] / found['int8']:.2f}" for found in times.values()]
        shown.add_row(name, *cells, f"{held[name] / held['int8']:.2f}")
    shown.add_section()
    shown.add_row("int8, microseconds", *(f"{found['int8']:.2f}" for found in times.values()), "")
    return shown


MODELS = {
    "A": "LSTM 20, 1 in",
    "B": "GRU 64, 40 in",
    "C": "2 x LSTM 128",
    "D": "GRU 154",
    "E": "LSTM 256",
    "F": "3 x GRU 512",
    "G": "RNN 32",
    "H": "Embedding, LSTM 64, 2 Dense",
}
START, END = "<!-- made by tools/bench.py -->", "<!-- end -->"


def markdown(results: dict[str, dict[str, float]]) -> str:
    """The table as it stands in the README."""
    import llvmlite.binding
    import onnxruntime

    from edgernn.kernels import library

    backend = library.load().backend.name
    where = f"one core of {llvmlite.binding.get_host_cpu_name()} ({backend}), ONNX Runtime {onnxruntime.__version__}"
    rows = [
        f"| microseconds a frame | {' | '.join(MODELS[size] for size in results)} |",
        "|---" * (len(results) + 1) + "|",
    ]
    for name in dict.fromkeys(name for figures in results.values() for name in figures):
        if not name.startswith("limit"):
            rows.append(f"| {name} | {' | '.join(f'{figures[name]:.2f}' for figures in results.values())} |")
    return "\n".join(
        [START, f"Measured on {where}; one thread, one stream, state carried, called from Python.", "", *rows, END]
    )


def into_readme(text: str) -> None:
    """Replace the table in the README."""
    path = Path(__file__).parent.parent / "README.md"
    readme = path.read_text()
    before, rest = readme.split(START)
    path.write_text(before + text + rest.split(END)[1])


def main() -> None:
    """Measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="".join(SIZES))
    parser.add_argument("--chunks", type=int, default=40)
    parser.add_argument("--limit", help="folder with limit.py, hand-written kernels to hold against")
    parser.add_argument("--formats", action="store_true", help="compare the number formats with each other")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    if given.formats:
        Console(width=150).print(formats(given.sizes, given.chunks))
        return
    limit = limit_module(given.limit) if given.limit else None
    missing: set[str] = set()
    shown = track(given.sizes, "measuring", console=Console(stderr=True), transient=True)
    results = {size: bench(size, given.chunks, limit, missing) for size in shown}
    Console(width=150).print(table(results))
    for line in sorted(missing):
        print(line)
    if given.readme:
        into_readme(markdown(results))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
