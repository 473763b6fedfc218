"""What listen shows: a line for each decision, or, on a terminal, scores that move."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from edgernn.cli.demo import writable_blocks
from edgernn.errors import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgernn.pipelines.decide import Decision
    from edgernn.pipelines.pipeline import Pipeline
    from edgernn.pipelines.sources import Source

REFRESH = 0.2  # seconds between two drawings
PAST, BAR, TOLD = 40, 20, 6  # columns of past scores and of a bar; decisions that stay on the screen


class Shown(Protocol):
    """Somebody who is told what happens; a context while it does."""

    def __enter__(self) -> Shown: ...

    def __exit__(self, *_: object) -> None: ...

    def update(self, found: list[Decision]) -> None:
        """A block was consumed, and led to these decisions."""


class Lines:
    """Each decision as a line, of JSON or for people.

    As a context, in the main thread: where nobody reads standard output any more (`| head -1`) it ends as on SIGTERM,
    and does not wait for a decision to write.
    """

    def __init__(self, as_json: bool):
        self._write = as_line if as_json else as_words
        self._watched = self._left = False

    def __enter__(self) -> Lines:
        with suppress(OSError):  # standard output is no file
            file = sys.stdout.fileno()
            if hasattr(select, "poll") and stat.S_ISFIFO(os.fstat(file).st_mode):
                threading.Thread(target=self._watch, args=(file, threading.get_ident()), daemon=True).start()
                self._watched = True
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True

    def _watch(self, file: int, told: int) -> None:
        poll = select.poll()
        poll.register(file, 0)  # errors only: the last reader has gone
        poll.poll()
        if not self._left:
            signal.pthread_kill(told, signal.SIGTERM)

    def update(self, found: list[Decision]) -> None:
        try:
            for decision in found:
                sys.stdout.write(self._write(decision) + "\n")
                sys.stdout.flush()
        except BrokenPipeError:
            if not self._watched:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left in the buffer
            raise KeyboardInterrupt from None


def as_line(decision: Decision) -> str:
    """A decision as an object of JSON."""
    return json.dumps(vars(decision))


def as_words(decision: Decision) -> str:
    """A decision for people: when, what, how sure."""
    return f"{decision.start:9.2f} s  {plain(decision.label)}  {decision.score:.2f}"


class Screen:
    """A table on the terminal, drawn anew every REFRESH seconds: for each label its score, its past and how often."""

    def __init__(self, pipeline: Pipeline, source: Source):
        from rich.live import Live

        deciding = pipeline.model.deciding
        assert deciding is not None
        self._pipeline, self._source = pipeline, source
        self._labels = [(a, b) for a, b in zip(deciding.labels, deciding.threshold, strict=True)]
        self._past = {label: deque([0.0] * PAST, PAST) for label in deciding.labels}
        self._counts = dict.fromkeys(deciding.labels, 0)
        self._told: deque[str] = deque(maxlen=TOLD)
        self._highest = dict.fromkeys(deciding.labels, 0.0)  # since the last drawing
        self._drawn = 0.0
        self._blocks = writable_blocks()
        self._live = Live(auto_refresh=False)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._draw()
        self._live.stop()

    def update(self, found: list[Decision]) -> None:
        for decision in found:
            self._counts[decision.label] += 1
            self._told.append(as_words(decision))
        for label, score in self._pipeline.scores.items():
            self._highest[label] = max(self._highest[label], score)
        if time.monotonic() - self._drawn >= REFRESH:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        for label, score in self._highest.items():
            self._past[label].append(score)
        self._live.update(self._table(), refresh=True)
        self._highest = dict.fromkeys(self._highest, 0.0)

    def _table(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        for label, threshold in self._labels:
            score = self._highest[label]
            scale = 1.0 if threshold <= 1 else 2 * threshold
            style = "bold green" if score >= threshold else "bright_black"
            drawn = bar(score / scale, self._blocks), curve(self._past[label], scale, self._blocks)
            cells = [plain(label), f"{score:6.2f}", *drawn]
            table.add_row(*(Text(cell, style, no_wrap=True) for cell in cells), f"{self._counts[label]:5d}")
        foot = f"{self._source.description}: {self._source.time:.1f} s, {self._source.tally}"
        return Group(table, Text(plain(foot), "bright_black"), *(Text(line) for line in self._told))


def bar(part: float, blocks: str) -> str:
    """A bar for a part of 1."""
    return (blocks[-1] * round(BAR * min(max(part, 0.0), 1.0))).ljust(BAR)


def curve(values: Iterable[float], scale: float, blocks: str) -> str:
    """A character for each value, the higher the fuller."""
    return "".join(blocks[round((len(blocks) - 1) * min(max(value / scale, 0.0), 1.0))] for value in values)


def shown(pipeline: Pipeline, source: Source, as_json: bool) -> Shown:
    """A screen where there is a terminal and JSON was not asked for, else lines."""
    if as_json or not sys.stdout.isatty():
        return Lines(as_json)
    return Screen(pipeline, source)
