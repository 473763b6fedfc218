"""Scoring: decisions against what should be heard.

A decision belongs to a stretch of its own label that it overlaps, from its start until SLACK seconds after its end. A
stretch to which one belongs is heard, and the time until the first was told is its latency; any other is a false
reject. A decision that belongs to none is a false accept; more than one for a stretch is no error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgernn.pipelines.tracks import Decision
from edgernn.pipelines.truth import Recording, Stretch

SLACK = 0.5  # seconds
NONE = "(none)"


@dataclass
class Outcome:
    """What came of recordings; `add` takes one after the other."""

    seconds: float = 0.0
    recordings: int = 0
    stretches: int = 0
    heard: int = 0
    background: int = 0  # clips without a stretch
    false_accepts: int = 0
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)  # (what it is, what was decided) -> how often
    latencies: list[float] = field(default_factory=list)  # seconds from the start of a stretch
    from_end: list[float] = field(default_factory=list)  # from its end, of stretches in long recordings

    def add(self, recording: Recording, decisions: Sequence[Decision], seconds: float, lag: float) -> None:
        """The decisions on a recording of so many seconds; each was told `lag` seconds after its end."""
        self.recordings += 1
        self.seconds += seconds
        for stretch in recording.stretches:
            near = [d for d in decisions if overlaps(d, stretch)]
            right = [d for d in near if d.label == stretch.label]
            self.stretches += 1
            self.confusion[stretch.label, stretch.label if right else _likeliest(near)] += 1
            if right:
                self.heard += 1
                told = min(d.end for d in right) + lag
                self.latencies.append(told - stretch.start)
                if not recording.clip:
                    self.from_end.append(told - stretch.end)
        wrong = [d for d in decisions if not any(overlaps(d, s) and d.label == s.label for s in recording.stretches)]
        self.false_accepts += len(wrong)
        if recording.clip and not recording.stretches:
            self.background += 1
            self.confusion[NONE, _likeliest(decisions)] += 1
        elif not recording.clip:
            self.confusion.update(
                (NONE, d.label) for d in wrong if not any(overlaps(d, s) for s in recording.stretches)
            )

    @property
    def accuracy(self) -> float:
        """The share of stretches, and of clips of background, on which the right thing was decided."""
        return (self.heard + self.confusion[NONE, NONE]) / max(1, self.stretches + self.background)

    @property
    def false_accepts_an_hour(self) -> float:
        """False accepts an hour of everything that was heard."""
        return 3600 * self.false_accepts / self.seconds if self.seconds else 0.0

    @property
    def false_rejects(self) -> int:
        """Stretches that were not heard."""
        return self.stretches - self.heard


def overlaps(decision: Decision, stretch: Stretch) -> bool:
    """Whether the two have a moment in common."""
    return decision.start <= stretch.end + SLACK and decision.end >= stretch.start


def _likeliest(decisions: Sequence[Decision]) -> str:
    return max(decisions, key=lambda d: d.score).label if decisions else NONE


def quantiles(latencies: Iterable[float]) -> dict[str, float]:
    """The median and the 90th percentile; nothing where there are none."""
    held = list(latencies)
    return {"median": float(np.quantile(held, 0.5)), "p90": float(np.quantile(held, 0.9))} if held else {}
