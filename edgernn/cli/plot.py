"""Drawings of figures. matplotlib is imported when there is something to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from edgernn.errors import BackendUnavailable, BadInput, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgernn.layers.base import Array
    from edgernn.pipelines.evaluation import Point


def blank(path: Path) -> Figure:
    """An empty drawing. Raises BadInput where `path` names no PNG file, BackendUnavailable without matplotlib."""
    if path.suffix.lower() != ".png":
        raise BadInput(f"a drawing is written as PNG: name a file that ends with .png, not {path}")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BackendUnavailable('drawing needs the package matplotlib: pip install "edgernn[plot]"') from None
    return Figure(figsize=(9, 4), layout="constrained")


def over_time(figure: Figure, lines: Mapping[str, Array], title: str, path: Path) -> None:
    """Draw the error of each answer, (T,) by output port, and write the file."""
    axes = figure.subplots()
    drawn = [axes.plot(range(1, 1 + len(errors)), errors, linewidth=0.6)[0] for errors in lines.values()]
    axes.set_title(plain(title), parse_math=False)
    axes.set_xlabel("answer")
    axes.set_ylabel("RMS error")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    for text in axes.legend(drawn, [plain(name) for name in lines], frameon=False).get_texts():
        text.set_parse_math(False)
    axes.spines[["top", "right"]].set_visible(False)
    _write(figure, path)


def error_curve(figure: Figure, points: Sequence[Point], own: Point, title: str, path: Path) -> None:
    """Draw false rejects against false accepts an hour over thresholds (a DET curve), and write the file.

    Where none was accepted is drawn at the left edge, as there is no zero on the scale.
    """
    axes = figure.subplots()
    edge = min([p.false_accepts_an_hour for p in (*points, own) if p.false_accepts_an_hour > 0], default=1.0) / 3
    for drawn, style in ((points, {"linewidth": 1.2}), ([own], {"marker": "o", "linestyle": ""})):
        x = [max(edge, p.false_accepts_an_hour) for p in drawn]
        axes.plot(x, [100 * p.false_reject_rate for p in drawn], **style)
    axes.annotate(" as in the file", (max(edge, own.false_accepts_an_hour), 100 * own.false_reject_rate))
    axes.set_title(plain(title), parse_math=False)
    axes.set_xscale("log")
    axes.set_xlabel("false accepts an hour")
    axes.set_ylabel("false rejects, %")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    _write(figure, path)


def _write(figure: Figure, path: Path) -> None:
    from edgernn.modelfile import write_whole

    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    write_whole(path, drawn.getvalue())
