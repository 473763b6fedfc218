"""edgernn bench: how long a step takes on this machine, how much memory, how long a start."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgernn.cli.console import Finite, as_json

if TYPE_CHECKING:
    from edgernn.layers.base import Array
    from edgernn.layers.model import Model
    from edgernn.stream import Stream

WARM_UP, STARTS = 200, 3
START = """import sys, edgernn
stream = edgernn.load(sys.argv[1]).stream()
stream.run({port.name: [[0] * port.size] * stream.model.window for port in stream.model.inputs})"""


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--steps", type=click.IntRange(100), default=5000, show_default=True, help="Answers to time.")
@click.option(
    "--rate",
    type=Finite(0, min_open=True),
    help="Frames a second of your source: adds x real time.",
)
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="IN.onnx", help="Time ONNX Runtime with this file too."
)
@as_json
def command(model: Path, steps: int, rate: float | None, against: Path | None, as_json: bool) -> None:
    """Time MODEL (.edgernn) on this machine: a frame by step and by run, memory, and a start of the whole process.

    MODEL may also be a folder that edgernn build made for this machine: then its size, and starts from Python and C.
    """
    import edgernn
    from edgernn.cli import console

    if (model / "edgernn_device.py").is_file():
        from edgernn.cli.built import show

        if rate or against:
            raise click.UsageError(f"--rate and --against are for a model file; {model} is a folder that build made")
        show(model, steps, as_json)
        return

    loaded = edgernn.load(model)
    stream = loaded.stream()
    console.say(f"timing {steps:,} answers ...")
    figures: dict[str, Any] = {
        "instruction_set": stream.plan.backend,
        "step": step_times(stream, steps),
        "run": run_time(stream, steps),
        "memory": dict(stream.plan.memory),
        "start": start_time(model),
    }
    if against:
        figures["onnxruntime"] = reference_times(loaded, against, steps)
    if rate:
        due = 1e6 * loaded.hop / rate  # microseconds between two answers
        figures["times_real_time"] = {name: due / figures["step"][name] for name in ("median", "max")}
    if as_json:
        console.print_json(figures)
    else:
        console.out().print(console.table(("", ""), rows(figures, loaded.hop)))


def frames(model: Model, steps: int) -> list[Any]:
    """What `step` takes, one by one: noise."""
    from edgernn.conversion.noise import noise

    made = noise(model.inputs, steps)
    if len(made) == 1:
        return list(*made.values())
    return [{name: array[t] for name, array in made.items()} for t in range(steps)]


def step_times(stream: Stream, steps: int) -> dict[str, float]:
    """Microseconds an answer, from Python: of a call of `step`, or of all `hop` that it takes."""
    model, step, clock = stream.model, stream.step, time.perf_counter_ns
    taken, so_far = [], 0
    for x in islice(cycle(frames(model, WARM_UP + steps)), model.window + model.hop * (WARM_UP + steps - 1)):
        start = clock()
        answer = step(x)
        so_far += clock() - start
        if answer is not None:
            taken.append(so_far)
            so_far = 0
    return spread(taken[WARM_UP:])


def spread(nanoseconds: list[int]) -> dict[str, float]:
    """Median, high percentiles and maximum, in microseconds."""
    import numpy as np

    taken: Array = np.array(nanoseconds) / 1000
    places = {"median": 50, "p99": 99, "p99.9": 99.9, "max": 100}
    return {name: float(np.percentile(taken, place)) for name, place in places.items()}


def run_time(stream: Stream, steps: int) -> float:
    """Microseconds a frame inside one call of `run`: the best of five."""
    from edgernn.conversion.noise import noise

    X = noise(stream.model.inputs, steps)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        stream.run(X)
        best = min(best, time.perf_counter() - start)
    return 1e6 * best / steps


def start_time(model: Path) -> float:
    """Milliseconds of a process that imports, loads the model and answers one frame: the best of a few."""
    best = float("inf")
    for _ in range(STARTS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", START, str(model)], check=True)
        best = min(best, time.perf_counter() - start)
    return 1000 * best


def reference_times(model: Model, against: Path, steps: int) -> dict[str, float]:
    """The same for ONNX Runtime on one thread."""
    from edgernn.conversion.oracle import Oracle

    return spread([model.hop * taken for taken in Oracle(against, model).step_times(steps)])


def rows(figures: dict[str, Any], hop: int) -> list[tuple[str, str]]:
    """What the table says."""
    from edgernn.cli.console import size

    def times(name: str) -> str:
        return ", ".join(f"{key} {value:.2f}" for key, value in figures[name].items()) + " us"

    lines = [
        ("instruction set", figures["instruction_set"]),
        ("step" if hop == 1 else f"{hop} steps, an answer", times("step")),
        ("run", f"{figures['run']:.2f} us a frame"),
        ("memory", ", ".join(f"{name} {size(n)}" for name, n in figures["memory"].items())),
        ("start", f"{figures['start']:.0f} ms, from nothing to the first answer"),
    ]
    if "times_real_time" in figures:
        fast = figures["times_real_time"]
        lines.append(("times real time", f"{fast['median']:,.0f} (median), {fast['max']:,.0f} (slowest)"))
    if "onnxruntime" in figures:
        ratio = figures["onnxruntime"]["median"] / figures["step"]["median"]
        lines += [("ONNX Runtime", times("onnxruntime")), ("", f"{ratio:.1f} times the median of edgernn")]
    return lines
