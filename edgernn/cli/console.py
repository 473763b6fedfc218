"""What commands share: plain text, tables, progress and JSON."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgernn.errors import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status
    from rich.table import Table

QUIET = 1.0  # seconds without a bar
Item = TypeVar("Item")

as_json = click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")


class Finite(click.FloatRange):
    """A number within bounds, without NaN and infinity, which FloatRange lets through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number that an option's text is."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


def out() -> Console:
    """Standard output, without markup: what stands in brackets is what is meant. Wide when it is no terminal."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else 120)


def working(what: str) -> Status:
    """A sign of life on standard error while something takes its time; use it as a context."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False).status(what)


def progress(items: Sequence[Item], what: str) -> Iterator[Item]:
    """The items, with a bar on standard error from the second second on."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    start, bar = time.monotonic(), Progress(console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task(what, total=len(items))
    try:
        for item in items:
            if time.monotonic() - start > QUIET:
                bar.start()
            yield item
            bar.advance(task)
    finally:
        bar.stop()


def say(text: str) -> None:
    """A remark on standard error."""
    click.echo(plain(text), err=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table without frame; a column whose name ends with a space is aligned to the right.

    Where no column has a name there is no line of names.
    """
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        made.add_column(column.strip(), justify="right" if column.endswith(" ") else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(plain(str(cell))) for cell in row))
    return made


def print_json(value: Any) -> None:
    """JSON on standard output; numbers that are infinite or none become null."""
    click.echo(json.dumps(_finite(value), indent=2))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def size(number: float) -> str:
    """Bytes in the unit that reads best."""
    for unit in ("bytes", "KB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
