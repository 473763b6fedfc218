"""The benchmark's figures as the README shows them: Markdown tables and a drawing."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

Figures = dict[str, dict[str, float]]  # microseconds by size and contender

ROOT = Path(__file__).parent.parent
DRAWING = ROOT / "tools" / "bench.png"
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
SPEED, FORMATS, END = "<!-- made by tools/bench.py -->", "<!-- made by tools/bench.py --formats -->", "<!-- end -->"
# what the drawing shows, and in which colour: the runtimes from Python, each at its best
COLOURS = {
    "edgernn int8, step": "#08519c",
    "edgernn float, step": "#6baed6",
    "LiteRT int8": "#a63603",
    "LiteRT float": "#fd8d3c",
    "ONNX Runtime int8, bound buffers": "#525252",
    "ONNX Runtime float, bound buffers": "#bdbdbd",
}


def machine() -> str:
    """The processor and its instruction set."""
    import llvmlite.binding

    from edgernn.kernels import library

    return f"one core of {llvmlite.binding.get_host_cpu_name()} ({library.load().backend.name})"


def versions() -> str:
    """Those of the other runtimes."""
    found = []
    for name, package in (("ONNX Runtime", "onnxruntime"), ("LiteRT", "ai-edge-litert")):
        try:
            found.append(f", {name} {version(package)}")
        except PackageNotFoundError:
            continue
    return "".join(found)


def markdown(first: str, columns: list[str], rows: list[list[str]]) -> str:
    """A table, aligned to the right but for its first column."""
    head, *lines = [f"| {' | '.join(cells)} |" for cells in ([first, *columns], *rows)]
    return "\n".join([head, f"|---|{'---:|' * len(columns)}", *lines])


def speed_table(results: Figures) -> str:
    """Every contender that others can run too."""
    names = dict.fromkeys(name for figures in results.values() for name in figures if not name.startswith("limit"))
    rows = [[name, *(f"{f[name]:.2f}" if name in f else "-" for f in results.values())] for name in names]
    made = markdown("microseconds a frame", [MODELS[size] for size in results], rows)
    where = f"Measured on {machine()}{versions()}; one thread, one stream, called from Python; processor time."
    return f"{SPEED}\n{where}\n\n{made}\n{END}"


def formats_table(results: Figures, held: dict[str, int]) -> str:
    """Each number format as a ratio to int8: time of `run`, and bytes."""
    rows = [
        [f"`{name}`", *(f"{f[name] / f['int8']:.2f}" for f in results.values()), f"{held[name] / held['int8']:.2f}"]
        for name in held
    ]
    made = markdown("time / that in `int8`", [*(MODELS[size] for size in results), "weights"], rows)
    return f"{FORMATS}\nMeasured on {machine()}; `run`, processor time.\n\n{made}\n{END}"


def into_readme(text: str) -> None:
    """Put a table in the place that its first line names."""
    path = ROOT / "README.md"
    start = text.splitlines()[0] + "\n"
    before, rest = path.read_text().split(start)
    path.write_text(before + text + rest[rest.index(END) + len(END) :])


def draw(results: Figures, path: Path) -> None:
    """Bars by size, one a contender, on a logarithmic scale. Needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    axes = figure.subplots()
    shown = [name for name in COLOURS if all(name in figures for figures in results.values())]
    width = 0.85 / len(shown)
    for number, name in enumerate(shown):
        heights = [figures[name] for figures in results.values()]
        places = np.arange(len(heights)) + (number - (len(shown) - 1) / 2) * width
        bars = axes.bar(places, heights, width, label=name, color=COLOURS[name])
        axes.bar_label(bars, [f"{h:.2g}" if h < 10 else f"{h:.0f}" for h in heights], fontsize=6, padding=1)
    axes.set_yscale("log")
    axes.set_xticks(range(len(results)), [MODELS[size].replace(", ", ",\n", 1) for size in results])
    axes.set_ylabel("microseconds a frame")
    axes.set_title(f"One frame a call, from Python, on {machine()}{versions()}", fontsize=10)
    axes.legend(ncols=3, fontsize=8, frameon=False, loc="upper left")
    axes.set_ylim(top=axes.get_ylim()[1] * 4)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
