"""What goes wrong on the way from a source, counted and said."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock

QUIET = 5.0  # seconds during which more of the same is counted only

LOG = logging.getLogger("edgernn")

Say = Callable[[str], None]


class Tally:
    """Counts, and a line for each event as it happens; where they come thick, the next line says how many went before.

    Any thread may use it.
    """

    def __init__(self, say: Say):
        self.lost = 0  # samples or rows that were dropped, or that are missing by the source's own clock
        self.refused = 0  # lines that hold no row
        self.late = 0  # rows whose time is before that of an earlier one; they are used all the same
        self.jumps = 0  # times that the source's clock was set, back or far ahead
        self.breaks = 0  # times that the source went away
        self.away = 0.0  # seconds for which it was away
        self._say, self._lock = say, Lock()
        self._said: dict[str, tuple[float, int]] = {}  # by kind: when it was last said, how many were not said since

    def count(self, kind: str, number: float, text: str) -> None:
        """Add `number` to the count of this name, and say `text`."""
        with self._lock:
            setattr(self, kind, getattr(self, kind) + number)
            last, unsaid = self._said.get(kind, (-QUIET, 0))
            now = time.monotonic()
            if now - last < QUIET:
                self._said[kind] = last, unsaid + 1
                return
            self._said[kind] = now, 0
        self._say(text + (f" (and {unsaid:,} more like this before)" if unsaid else ""))

    def say(self, text: str) -> None:
        """A remark that counts nothing."""
        self._say(text)

    def counts(self) -> dict[str, float]:
        """Every count by its name."""
        return {name: getattr(self, name) for name in ("lost", "refused", "late", "jumps", "breaks", "away")}

    def __str__(self) -> str:
        counts = [
            (self.lost, "samples lost"),
            (self.refused, "lines refused"),
            (self.late, "rows late"),
            (self.jumps, "times the clock was set"),
        ]
        told = [f"{count:,} {what}" for count, what in counts if count]
        if self.breaks or self.away:
            told.append(f"{self.breaks} times away, {self.away:.1f} s without data")
        return ", ".join(told) or "nothing lost"
