"""Microseconds a step, edgernn beside ONNX Runtime, LiteRT and a hand-written limit, on one thread, with batch 1.

    python tools/bench.py [--sizes ABCDEFGH] [--chunks N] [--limit FOLDER] [--formats|--start] [--json FILE] [--readme]

Every contender steps the same model, its state carried, in chunks of 250 frames, taking turns, so that all of them meet
the same noise; the figure is the median over chunks. Contenders that are not installed are named and left out;
tools/litert_models.py makes LiteRT's files. Run it on a quiet machine, pinned: `taskset -c 1 python tools/bench.py`.
With --formats the contenders are edgernn's own number formats, and the table says how many times as long each takes as
int8 does, and what its weights weigh. With --start whole processes are started, and stopped at their first answer.
--readme writes the table into README.md and draws tools/bench.png.
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
import bench_start  # noqa: E402
from bench_report import DRAWING, Figures, draw, formats_table, into_readme, speed_table  # noqa: E402
from cases import SIZES, frames  # noqa: E402
from contenders import (  # noqa: E402
    Stepper,
    edgernn_contenders,
    format_contenders,
    limit_contenders,
    limit_module,
    litert_contenders,
    onnxruntime_contenders,
)
from size_models import make_step_graph  # noqa: E402

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
# rows of one runtime, of which the best counts
PEERS = ("ONNX Runtime float", "ONNX Runtime int8", "LiteRT float", "LiteRT int8")


def measure(contenders: dict[str, Stepper], x: Any, chunks: int) -> dict[str, float]:
    """Median microseconds a step of each contender, in turns; of the processor, so that other programs do not count."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(chunks + 2):
        for name, run in contenders.items():
            begin = time.process_time_ns()
            itself = run(x)
            took = (time.process_time_ns() - begin) / len(x)
            if turn >= 2:
                times[name].append(itself if isinstance(itself, float) else took)
    return {name: float(np.median(values)) / 1e3 for name, values in times.items()}


def optional(label: str, make: Callable[[], dict[str, Stepper]], missing: set[str]) -> dict[str, Stepper]:
    """The contenders, or none where their package is not there."""
    try:
        return make()
    except Exception as error:  # whatever a missing compiler or package raises: it is named, and left out
        missing.add(f"{label}: left out ({type(error).__name__}: {str(error)[:160]})")
        return {}


def bench(size: str, chunks: int, limit: Any, missing: set[str]) -> dict[str, float]:
    """All figures of one size."""
    model = SIZES[size]()
    found = edgernn_contenders(model)
    found |= optional("ONNX Runtime", lambda: onnxruntime_contenders(make_step_graph(model), model), missing)
    found |= optional("LiteRT", lambda: litert_contenders(model, size), missing)
    if limit is not None:
        found |= optional("limit", lambda: limit_contenders(limit, size), missing)
    return measure(found, frames(model, CHUNK), chunks)


def table(results: Figures) -> Table:
    """Figures by contender and size, then the ratios."""
    shown = Table("microseconds a step", *results, title="median of chunks of 250 steps")
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    for name in names:
        shown.add_row(name, *(f"{f[name]:.2f}" if name in f else "-" for f in results.values()))
    shown.add_section()
    for ours, theirs in RATIOS.items():
        if all(theirs in f for f in results.values()):
            shown.add_row(f"{ours} / {theirs}", *(f"{f[ours] / f[theirs]:.2f}" for f in results.values()))
    for peer in PEERS:
        best = [name for name in names if name.startswith(peer)]
        if best and all(name in f for name in best for f in results.values()):
            cells = [f"{min(f[n] for n in best) / f['edgernn int8, step']:.1f} x" for f in results.values()]
            shown.add_row(f"edgernn int8, step: faster than {peer}", *cells)
    return shown


def formats(sizes: str, chunks: int) -> tuple[Figures, dict[str, int]]:
    """(microseconds of `run` by size and number format, from the same run; bytes of all sizes' weights)."""
    times: Figures = {}
    held = dict.fromkeys(FORMATS, 0)
    for size in track(sizes, "measuring", console=Console(stderr=True), transient=True):
        model = SIZES[size]()
        times[size] = measure(format_contenders(model), frames(model, CHUNK), chunks)
        held = {name: held[name] + weight_bytes(quantise(model, name)) for name in FORMATS}
    return times, held


def main() -> None:
    """Measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="".join(SIZES))
    parser.add_argument("--chunks", type=int, default=40)
    parser.add_argument("--limit", help="folder with limit.py, hand-written kernels to hold against")
    parser.add_argument("--formats", action="store_true", help="compare the number formats with each other")
    parser.add_argument("--start", action="store_true", help="time whole processes to their first answer")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    if given.start:
        results = bench_start.measure(given.chunks)
        text = bench_start.start_table(results)
        print(text)
    elif given.formats:
        results, held = formats(given.sizes, given.chunks)
        text = formats_table(results, held)
        print(text)
    else:
        limit = limit_module(given.limit) if given.limit else None
        missing: set[str] = set()
        shown = track(given.sizes, "measuring", console=Console(stderr=True), transient=True)
        results = {size: bench(size, given.chunks, limit, missing) for size in shown}
        text = speed_table(results)
        Console(width=150).print(table(results))
        print(*sorted(missing), sep="\n")
        if given.readme:
            draw(results, DRAWING)
    if given.readme:
        into_readme(text)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
