"""Drawings of figures. matplotlib is imported when there is something to draw."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgernn.errors import BackendUnavailable, BadInput, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgernn.layers.base import Array


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
    figure.savefig(path, dpi=120)
