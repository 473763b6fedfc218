"""FeatureBlock and ScoreBlock: memory that the entries `features` and `scores` work in, and the calls of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.kernels import hearing as h
from edgernn.kernels import library
from edgernn.layers.base import Array
from edgernn.layers.deciding import Deciding
from edgernn.layers.exact import decay
from edgernn.layers.frontend import FrontEnd
from edgernn.stream.runner import address

KINDS = {"logmel": h.SPECTRUM, "mfcc": h.SPECTRUM, "raw": h.WINDOW}
ACTIVATIONS = {"none": h.PLAIN, "softmax": h.SOFTMAX, "sigmoid": h.SIGMOID}
NOT_FINITE = "the model's answers are not finite: it is no good for these numbers"
BUSY = "another thread is in this pipeline; give each thread a pipeline of its own"


def as_numbers(array: Array) -> Array:
    """An array as the entries take it: float32 or float64, in C order."""
    if array.dtype == np.float32 and (flags := array.flags).c_contiguous and flags.aligned:
        return array
    return np.require(array, np.float64, ["C", "A"])


def not_finite(rows: Array, at: int) -> BadInput:
    """The error that row `at` is."""
    return BadInput(f"sample {at} of {len(rows)} is {rows[at]}; all numbers must be finite float32")


def _doubles(settings: Mapping[int, float]) -> Array:
    made = np.zeros(h.NUMBERS_END)
    for place, number in settings.items():
        made[place] = number
    return made


@lru_cache(8)
def _template(f: FrontEnd) -> tuple[Array, int, dict[int, Array]]:
    """The words that follow from the settings, how many numbers WORK holds, and the tables that words point at."""
    rows = {h.SCALE: f.scale, h.LIMIT: h.LARGEST * (2 if f.differences else 1)}
    rows[h.LEAST_WEIGHT] = decay(f.seconds / f.running) if f.running else 0.0
    kind = KINDS.get(f.kind, h.STATISTICS if f.statistics else h.WINDOW)
    words = {h.KIND: kind, h.SPAN: f.span, h.COLUMNS: f.columns, h.HOP: f.hop_length, h.SIZE: f.size}
    words |= {h.RUNNING_FRAMES: f.running > 0, h.RUNNING_STD: f.running_std, h.NORMALISED: bool(f.mean or f.std)}
    words[h.COUNT] = len(f.statistics)
    made: dict[int, Array] = {h.CHOSEN: np.array([h.STATISTIC.index(name) for name in f.statistics], np.int64)}
    for word, given in ((h.MEAN, f.mean or (0.0,)), (h.STD, f.std or (1.0,))):
        made[word] = np.broadcast_to(np.array(given), f.size)
    work = 0
    if kind == h.SPECTRUM:
        from edgernn.pipelines import spectrum

        rows |= spectrum.numbers(f)
        words |= spectrum.settings(f)
        made |= spectrum.tables(f)
        work = spectrum.room(f)
    made[h.NUMBERS] = _doubles(rows)
    made = {word: np.ascontiguousarray(array) for word, array in made.items()}
    control = np.zeros(h.ENTRY_END, np.int64)
    for word, number in (words | {word: address(array) for word, array in made.items()}).items():
        control[word] = number
    return control, work, made


class Pinned:
    """Memory that compiled code knows by its address. A copy would go on in the memory of the first."""

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(f"a {type(self).__name__} is not copied or pickled; a Pipeline can be, and save its state")


class FeatureBlock(Pinned):
    """Rows (n, columns) in, frames of features out. Positions count rows; frame t begins at row t * hop_length."""

    def __init__(self, frontend: FrontEnd):
        f = self._frontend = frontend
        template, work, self._tables = _template(f)
        self.control, self._call = template.copy(), library.load().features
        window = f.span * f.columns
        self._recent, self.running = np.zeros(window + f.columns), np.zeros(1 + 2 * f.size if f.running else 0)
        self._room = {h.JOINED: np.empty(window), h.MADE: np.empty(f.size), h.WORK: np.empty(work)}
        self._room |= {h.RUNNING: self.running, h.RUNNING_AFTER: self.running.copy(), h.RECENT: self._recent}
        for word, array in self._room.items():
            self.control[word] = address(array)

    @property
    def end(self) -> int:
        """The position after the last row."""
        return int(self.control[h.START] + self.control[h.HELD])

    @property
    def start(self) -> int:
        """The position of the first row of `rest`."""
        return int(self.control[h.START])

    @property
    def frame(self) -> int:
        """The next one."""
        return int(self.control[h.NEXT])

    @property
    def rest(self) -> Array:
        """(n * columns,): rows that are still to be used, and one before them."""
        return self._recent[: int(self.control[h.HELD]) * self._frontend.columns]

    def place(self, start: int, frame: int, rest: Array) -> None:
        """Go on with this frame, and with these rows, (n * columns,), from this position on."""
        spare = max(0, frame * self._frontend.hop_length - start - 1) * self._frontend.columns
        left = rest[spare:]
        self._recent[: len(left)] = left
        dropped = (len(rest) - len(left)) // self._frontend.columns
        self.control[h.START], self.control[h.NEXT] = start + dropped, frame
        self.control[h.HELD] = len(left) // self._frontend.columns

    def feed(self, rows: Array) -> Array:
        """The frames (k, size) float32 that these rows of float32 or float64 complete.

        Raises BadInput for numbers that are not finite, and features beyond float32; all is then as before.
        """
        control, f = self.control, self._frontend
        count = len(rows)
        left = self.end + count - self.frame * f.hop_length - f.span
        made = np.empty((left // f.hop_length + 1 if left >= 0 else 0, f.size), np.float32)
        control[h.SINGLE] = rows.dtype == np.float32
        status = self._call(control, count, rows, made)
        if status > 0:
            raise not_finite(rows, status - 1)
        if status < 0:
            too_large = "samples that are too large: their features are beyond float32"
            raise BadInput(too_large if status == h.TOO_LARGE else BUSY)
        return made


class ScoreBlock(Pinned):
    """Answers (k, labels) in, smoothed posteriors out."""

    def __init__(self, deciding: Deciding, smoothed: int):
        d, labels = deciding, len(deciding.labels)
        self.control, self._call = np.zeros(h.SCORES_END, np.int64), library.load().scores
        self.score = np.zeros(labels)  # of the last answer
        self._latest = np.zeros((smoothed, labels))  # posteriors; the last row is for the one to come
        bounds = zip(d.labels, d.release, strict=True)
        self.lowest = np.array([np.inf if label in d.ignored else release for label, release in bounds])
        words = {h.LABELS: labels, h.SMOOTHED: smoothed, h.ACTIVATION: ACTIVATIONS[d.activation]}
        for word, array in ((h.LATEST, self._latest), (h.LOWEST, self.lowest), (h.SCORE, self.score)):
            words[word] = address(array)
        for word, number in words.items():
            self.control[word] = number

    @property
    def counted(self) -> int:
        """How many answers there were."""
        return int(self.control[h.COUNTED])

    @property
    def recent(self) -> Array:
        """(smoothed - 1, labels): the last posteriors."""
        return self._latest[:-1]

    def reset(self) -> None:
        """Back to before the first answer."""
        self.place(0, np.zeros_like(self.recent), np.zeros_like(self.score))

    def place(self, counted: int, recent: Array, score: Array) -> None:
        """Go on after so many answers, with these posteriors of the last and the score of the very last."""
        self.control[h.COUNTED] = counted
        self.recent[:], self.score[:] = recent, score

    def feed(self, answers: Array) -> tuple[Array, int]:
        """Answers of float32 or float64 -> their scores, and how many of them reach `lowest` in some label.

        Raises BadInput for answers that are not finite; all is then as before.
        """
        scores = np.empty(answers.shape)
        self.control[h.SINGLE] = answers.dtype == np.float32
        reached = self._call(self.control, len(answers), answers, scores)
        if reached < 0:
            raise BadInput(NOT_FINITE if reached == h.NOT_FINITE else BUSY)
        return scores, reached
