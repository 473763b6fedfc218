"""How far two runs of answers are apart: error, signal-to-noise ratio and growth over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.layers.base import Array

BLOCK = 1 << 21  # numbers that are compared at a time


@dataclass(frozen=True)
class Drift:
    """The difference between answers and what they should be, over all frames of one output port."""

    frames: int
    max_error: float
    rms_error: float
    snr: float  # dB; infinite where the answers are equal
    peak: float  # the largest absolute number that was expected
    growth: float  # slope of the RMS error of a frame, a 1,000 frames, by least squares


@np.errstate(over="ignore", invalid="ignore")  # of answers that aren't finite neither are the figures
def drift(answers: Array, expected: Array) -> Drift:
    """Compare two runs of one port, (T, n) or (T,) each, in float64.

    SNR = 10 log10(sum expected^2 / sum (answers - expected)^2). Raises ValueError where the shapes differ or T = 0.
    """
    if answers.shape != expected.shape or len(answers) == 0:
        raise ValueError(f"cannot compare answers {answers.shape} with {expected.shape}")
    if answers.size == 0:  # frames that hold nothing
        return Drift(len(answers), 0.0, 0.0, float("inf"), 0.0, 0.0)
    rows = max(1, BLOCK * len(answers) // answers.size)
    parts = [_part(answers[n : n + rows], expected[n : n + rows]) for n in range(0, len(answers), rows)]
    wrong, wanted, worst, peaks, slow = zip(*parts, strict=True)
    power = sum(wrong) / answers.size
    return Drift(
        frames=len(answers),
        max_error=float(np.max(worst)),
        rms_error=float(np.sqrt(power)),
        snr=_decibels(sum(wanted) / answers.size, power),
        peak=float(np.max(peaks)),
        growth=_slope(np.concatenate(slow)),
    )


def _part(answers: Array, expected: Array) -> tuple[float, float, float, float, Array]:
    """Of some frames: squared error and squared signal in all, largest error and number, RMS error of each frame."""
    wanted = np.asarray(expected, np.float64).reshape(len(expected), -1)  # (T, n)
    error = np.asarray(answers, np.float64).reshape(wanted.shape) - wanted  # (T, n)
    squares = float(np.square(error).sum()), float(np.square(wanted).sum())
    return *squares, float(np.abs(error).max()), float(np.abs(wanted).max()), errors(answers, expected)


def errors(answers: Array, expected: Array) -> Array:
    """The RMS error of each frame, (T,) float64, of two runs of one port, (T, n) or (T,) each."""
    difference = np.asarray(answers, np.float64) - expected
    made: Array = np.sqrt(np.square(difference.reshape(len(difference), -1)).mean(axis=1))
    return made


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal > 0 else float("-inf")


def _slope(error: Array) -> float:
    """Least-squares slope of error: (T,), a 1,000 frames; 0 for a single frame."""
    if len(error) < 2:
        return 0.0
    time = np.arange(len(error)) / 1000.0
    time -= time.mean()
    return float(time @ (error - error.mean()) / (time @ time))
