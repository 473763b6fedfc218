"""Cost of a stream in a pool, by how many there are, beside single streams in a compiled loop; and by threads.

    python tools/pool.py [--sizes BDE] [--formats int8,none] [--rate 100] [--chunks 20] [--png FILE] [--readme]

All streams take one frame a turn. "alone" are as many Streams, each with an arena of its own, that a compiled loop
steps one after the other. Figures are medians, taken in turns; one thread's are processor time. "streams a core" says
how many at `rate` frames a second keep one core busy.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests")]
from bench_report import END, MODELS, into_readme, machine, markdown  # noqa: E402
from cases import SIZES, frames  # noqa: E402

from edgernn.kernels import library  # noqa: E402
from edgernn.kernels.contract import ADDRESS, FRAMES, PORT_WORDS, PORTS  # noqa: E402
from edgernn.layers.model import Model  # noqa: E402
from edgernn.quantiser import quantise  # noqa: E402
from edgernn.stream.runner import Runner, address  # noqa: E402
from edgernn.stream.stream import plan_for  # noqa: E402

Turn = Callable[[], object]
COUNTS = (1, 4, 16, 64, 256, 1024, 4096)
MARK = "<!-- made by tools/pool.py -->"
LOOP = """
define i64 @each(ptr %run, ptr %blocks, i64 %n) {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %j, %next ]
  %at = getelementptr i64, ptr %blocks, i64 %i
  %block = load i64, ptr %at
  %status = call i64 %run(i64 %block, i64 0, i64 0, i64 0)
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %n
  br i1 %more, label %next, label %done
done:
  ret i64 0
}
"""


def compiled_loop() -> Callable[[int, int], int]:
    """each(addresses of control blocks, how many): runs them one after the other."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(jit=True, opt=2)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(f'target triple = "{target.triple}"{LOOP}'), target)
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 3)(engine.get_function_address("each"))
    function.engine = engine  # keeps the code
    run = ctypes.cast(library.load()._owner["edgernn_run"], ctypes.c_void_p).value  # of the kernels that come along
    return lambda blocks, n: function(run, blocks, n)


def alone(model: Model, n: int, each: Callable[[int, int], int]) -> Turn:
    """One frame for each of n streams, so many times."""
    loaded = library.load()
    runners = [Runner(plan_for(model, loaded.backend), loaded) for _ in range(n)]
    x, y = frames(model, n), np.zeros((n, model.outputs[0].size), np.float32)
    for i, runner in enumerate(runners):
        runner.control[FRAMES] = 1
        runner.control[PORTS + ADDRESS] = address(x) + i * x.strides[0]
        runner.control[PORTS + PORT_WORDS + ADDRESS] = address(y) + i * y.strides[0]
    blocks = np.tile([address(runner.control) for runner in runners], repeated(n))
    return lambda: (each(address(blocks), len(blocks)), runners, x, y)


def together(model: Model, n: int, threads: int = 1) -> Turn:
    """The same in a pool, from Python."""
    pool, x = model.pool(n, threads=threads), frames(model, n)
    out = np.zeros((n, model.outputs[0].size), np.float32)
    return lambda: [pool.step(x, out=out) for _ in range(repeated(n))]


def repeated(n: int) -> int:
    """Frames of a turn, so that n streams take some 1,000."""
    return max(1, 1024 // n)


def measured(turns: dict[str, Turn], n: int, chunks: int, clock: Callable[[], int]) -> dict[str, float]:
    """Microseconds a stream and frame of each, median of turns."""
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(chunks + 1):
        for name, turn in turns.items():
            start = clock()
            turn()
            times[name].append((clock() - start) / repeated(n) / n / 1e3)
    return {name: float(np.median(found[1:])) for name, found in times.items()}


Curves = dict[str, dict[int, dict[str, float]]]  # by model, then by streams


def curves(sizes: str, formats: list[str], chunks: int) -> Curves:
    """Printed as they come."""
    each, found = compiled_loop(), {}  # type: Callable[[int, int], int], Curves
    for size in sizes:
        for name in formats:
            model = quantise(SIZES[size](), name)
            found[f"{MODELS[size]}, {'float32' if name == 'none' else name}"] = costs = {}
            for n in COUNTS:
                both = {"alone": alone(model, n, each), "pool": together(model, n)}
                costs[n] = measured(both, n, chunks, time.process_time_ns)
                print(size, name, n, *(f"{k} {v:.3f} us" for k, v in costs[n].items()), flush=True)
    return found


def by_threads(size: str, name: str, chunks: int) -> str:
    """What threads cost in processor time, as text; what they gain is printed: it counts on an idle machine only."""
    model, most = quantise(SIZES[size](), name), os.cpu_count() or 1
    turns = {str(k): together(model, 1024, k) for k in range(1, most + 1)}
    wall, busy = (measured(turns, 1024, 2 * chunks, clock) for clock in (time.perf_counter_ns, time.process_time_ns))
    for k, cost in wall.items():
        print(f"{k} threads, 1,024 streams: {wall['1'] / cost:.2f} times as fast as one")
    return f"; {most} threads share a step of 1,024 streams for {busy[str(most)] / busy['1']:.2f} times the work of one"


def report(found: Curves, threads: str, rate: float) -> str:
    """The table for README.md."""
    rows = []
    for name, costs in found.items():
        rows.append([f"{name}: microseconds", *(f"{costs[n]['pool']:.2f}" for n in COUNTS)])
        rows.append(["times a stream alone", *(f"{costs[n]['pool'] / costs[n]['alone']:.2f}" for n in COUNTS)])
        rows.append([f"streams a core at {rate:g} Hz", *(f"{1e6 / costs[n]['pool'] / rate:,.0f}" for n in COUNTS)])
    table = markdown("a stream and frame, in a pool of", [f"{n:,}" for n in COUNTS], rows)
    where = f"Measured on {machine()}, from Python, beside streams alone in a compiled loop"
    return f"{MARK}\n{where}{threads}.\n\n{table}\n{END}"


def draw(found: Curves, path: Path) -> None:
    """Cost a stream by streams, with the cost alone as a dashed line. Needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, costs in found.items():
        (line,) = axes.loglog(COUNTS, [costs[n]["pool"] for n in COUNTS], marker="o", label=name)
        axes.loglog(COUNTS, [costs[n]["alone"] for n in COUNTS], linestyle="--", color=line.get_color(), linewidth=1)
    axes.set_xlabel("streams in the pool (dashed: as many alone)")
    axes.set_ylabel("microseconds a stream and frame")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure, print, and draw where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="BDE")
    parser.add_argument("--formats", default="int8,none")
    parser.add_argument("--rate", type=float, default=100.0, help="frames a second of a stream")
    parser.add_argument("--chunks", type=int, default=20)
    parser.add_argument("--png", type=Path)
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    given = parser.parse_args()
    formats = given.formats.split(",")
    found = curves(given.sizes, formats, given.chunks)
    threads = by_threads(given.sizes[-1], formats[0], given.chunks)
    text = report(found, threads, given.rate)
    print(text)
    if given.png:
        draw(found, given.png)
    if given.readme:
        into_readme(text)


if __name__ == "__main__":
    main()
