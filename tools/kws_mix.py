"""Scenes for word spotters, mixed anew for every step from clean clips and noise, all on log-mels.

In: clips, noise, the front end. Out: features (T, B, bands) as the front end gives them, labels and weights (T, B).
Imports torch.

A scene holds digits and other words, each by itself between pauses; words in one breath and sentences, in which no
digit counts; a room, noise, gain and tone.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from kws_clips import UNASKED, Clips
from kws_models import BANDS, voices
from kws_words import DIGITS, SILENCE, UNKNOWN
from numpy.typing import NDArray
from torch import Tensor

from edgernn.layers.frontend import FrontEnd

LATE, LASTING, SLACK = 12, 55, 8  # frames after a word's end: of an answer's start, its end; then nobody's error
ALONE, RUNNING = 0.62, 0.26  # of what is said: a word by itself, a clip of many words; the rest: some in one breath
DIGITS_ALONE = 0.5
RHYTHM = 10  # frames from where on the pace can be another
PAUSE = 35  # frames at least between what is said
DIGIT_WEIGHT = 3.0
# By band, as measured on speech in white noise and in rooms of 0.3 and 0.5 s (25 ms windows, 40 bands to 7.6 kHz):
CROSSING = torch.linspace(0.55, 0.24, BANDS)  # deviation of what two sounds of one power have more than both, in halves
DEVIATION = torch.linspace(0.93, 0.43, BANDS)  # of an echo's power, in parts of its mean


class Batch(NamedTuple):
    """Scenes of one step."""

    x: Tensor  # (T, B, bands)
    labels: Tensor  # (T, B)
    weights: Tensor  # (T, B)


class Scenes:
    """An endless supply of scenes."""

    def __init__(
        self, clips: Sequence[Clips], shares: Sequence[float], noise: NDArray[np.float16], front: FrontEnd, frames: int
    ) -> None:
        """Each synthesiser speaks `shares` of the time."""
        self.clips, self.front, self.frames = clips, front, frames
        self.noise = torch.from_numpy(noise).float().exp_()
        self.power = [np.exp(one.x.astype(np.float32)) for one in clips]
        self.up_to = np.cumsum(shares)[:-1] / sum(shares)
        self.starts = [np.append(0, np.cumsum(one.sizes)) for one in clips]
        self.words = [
            np.split(one.words, np.searchsorted(one.words[:, 0], np.arange(1, len(one.sizes)))) for one in clips
        ]
        self.by_kind = [{k: np.flatnonzero(one.kinds() == k) for k in range(UNASKED + 1)} for one in clips]
        self.mean = torch.zeros(1, BANDS)  # that the front end had at the end of the scenes before

    def _clip(self, rng: np.random.Generator, kind: int) -> tuple[NDArray, NDArray]:
        """Powers (frames, bands) and words (n, 3) of a random clip, at a random pace and level."""
        who = int(np.searchsorted(self.up_to, rng.random()))
        found = self.by_kind[who][kind]
        if not len(found):  # a synthesiser that doesn't tell when the words of a sentence are said
            found = self.by_kind[who][UNKNOWN]
        chosen = found[int(rng.random() * len(found))]
        first, stop = self.starts[who][chosen : chosen + 2]
        points = np.arange(0, stop - first + RHYTHM, RHYTHM)
        lasting = rng.uniform(0.8, 1.25) * np.exp(0.15 * rng.standard_normal(len(points)))  # what one frame becomes
        heard = np.append(0, np.cumsum((lasting[1:] + lasting[:-1]) * (RHYTHM / 2)))
        read = np.interp(np.arange(int(np.interp(stop - first, points, heard))), heard, points)
        words = self.words[who][chosen][:, 1:].copy()
        words[:, :2] = np.interp(words[:, :2], points, heard)
        return self.power[who][read.astype(int) + first] * np.float32(math.exp(rng.normal(0, 0.5))), words

    def _said(self, rng: np.random.Generator) -> list[tuple[int, NDArray, NDArray]]:
        """What is said next: clips, and how many frames after the first one's start each begins."""
        kind = rng.random()
        if kind < ALONE:
            return [(0, *self._clip(rng, int(rng.integers(10)) if rng.random() < DIGITS_ALONE else UNKNOWN))]
        if kind < ALONE + RUNNING:
            return [(0, *self._clip(rng, UNASKED))]
        made, at = [], 0
        for _ in range(rng.integers(2, 5)):
            power, words = self._clip(rng, int(rng.integers(10)) if rng.random() < 0.5 else UNKNOWN)
            words[:, 2] = UNKNOWN
            made.append((at, power, words))
            at += int(words[-1, 1] - words[0, 0] + rng.integers(-2, 9))
        return made

    def _lay_out(self, rng: np.random.Generator, power: NDArray, labels: NDArray, weights: NDArray) -> None:
        """Say things one after the other, into the power (T, bands), labels and weights (T,) of a scene."""
        at = int(rng.integers(0, 80))
        longest = rng.choice([20, 60, 150])
        while at < self.frames:
            last = at
            for late, said, words in self._said(rng):
                part = power[at + late : at + late + len(said)]
                part += said[: len(part)]
                for first, stop, label in words:
                    last = max(last, at + late + stop)
                    note(labels, weights, at + late + first, at + late + stop, label)
            at = last + PAUSE + int(rng.integers(longest)) - 3

    def batch(self, rng: np.random.Generator, going_on: Tensor) -> Batch:
        """A scene for each of `going_on` (B,): whether the front end goes on from the scene before, or starts anew."""
        count = len(going_on)
        power = np.full((count, self.frames, BANDS), 1e-9, np.float32)
        labels = np.full((count, self.frames), SILENCE)
        weights = np.ones((count, self.frames), np.float32)
        for k in range(count):
            if rng.random() > 0.04:
                self._lay_out(rng, power[k], labels[k], weights[k])
        clean = torch.from_numpy(power).transpose(0, 1).log_()  # (T, B, bands)
        return Batch(
            self._heard(rng, clean, going_on), torch.from_numpy(labels.T.copy()), torch.from_numpy(weights.T.copy())
        )

    def _heard(self, rng: np.random.Generator, clean: Tensor, going_on: Tensor) -> Tensor:
        """Log-mels (T, B, bands) of clean speech through voices, rooms, noise, microphones and the front end."""
        count, front = clean.shape[1], self.front
        x = torch.bmm(clean.transpose(0, 1), voices(count, 1.0)).transpose(0, 1).exp_()
        x = in_room(x, torch.from_numpy(rng.uniform(0.05, 0.5, (count, 1))).float(), rooms(rng, count))
        snr = np.where(
            rng.random((count, 1)) < 0.9, 2 + 33 * rng.random((count, 1)) ** 1.4, rng.uniform(30, 70, (count, 1))
        )
        x = together(x, self._noise(rng, count, snr))
        level, tone, top = microphones(rng, count)
        x = x.log_().add_(tone + level).sub_(12 * (torch.arange(BANDS) >= top))
        x = x.clamp_(min=math.log(front.log_floor)).sub_(front.mean[0]).div_(front.std[0])
        mean, fast = self.mean.expand_as(x[0]).clone(), -math.expm1(-front.seconds / front.running)
        for t, frame in enumerate(x, 1):
            mean.lerp_(frame, torch.where(going_on, fast, max(1 / t, fast))[:, None])
            frame -= mean
        self.mean = mean
        return x

    def _noise(self, rng: np.random.Generator, count: int, snr: NDArray) -> Tensor:
        """Powers (T, count, bands) of noise so far (dB) under speech: a piece each, or two; other tones each time."""
        quiet = -snr[:, 0] * math.log(10) / 10
        made = self._pieces(rng, count, quiet)
        second = np.flatnonzero(rng.random(count) < 0.3)
        made[:, second] += self._pieces(rng, len(second), quiet[second] + rng.uniform(-3.5, 0, len(second)))
        return made

    def _pieces(self, rng: np.random.Generator, count: int, loud: NDArray) -> Tensor:
        """`count` pieces of noise (T, count, bands), each so loud (natural logarithm of power) and with its tone."""
        gain = torch.from_numpy(np.exp(curves(rng, count, 1.0) + loud[:, None])).float()
        first = int(rng.integers(self.noise.shape[1] - self.frames + 1))
        chosen = self.noise[rng.integers(len(self.noise), size=count), first : first + self.frames]
        return chosen.transpose(0, 1) * gain


def note(labels: NDArray, weights: NDArray, first: int, stop: int, label: int) -> None:
    """Write what should be answered to a word into labels and weights (T,) of a scene."""
    early, over = max(0, first + 5), stop + LASTING
    if early >= len(labels):
        return
    labels[early:over], weights[early:over] = UNKNOWN, 1
    weights[over : over + SLACK] = 0
    if label == UNKNOWN:
        return
    weights[int(first + 0.4 * (stop - first)) : over] = 0
    if label < len(DIGITS):
        labels[stop + LATE : over], weights[stop + LATE : over] = label, DIGIT_WEIGHT


def curves(rng: np.random.Generator, count: int, deviation: float) -> NDArray:
    """Smooth random curves over the bands (count, bands)."""
    points, at = rng.standard_normal((count, 7)) * deviation, np.linspace(0, 6, BANDS)
    return np.stack([np.interp(at, np.arange(7), row) for row in points])


def rooms(rng: np.random.Generator, count: int) -> Tensor:
    """The power of an echo to that of what comes straight (count, 1); none in two scenes of five."""
    return torch.from_numpy((rng.random((count, 1)) < 0.6) * 10 ** rng.uniform(-1, 0.2, (count, 1))).float()


def in_room(x: Tensor, seconds: Tensor, loud: Tensor) -> Tensor:
    """Powers (T, B, bands) with an echo that dies out by 60 dB in so many seconds (B, 1).

    The echo's power is as random as that of noise: it is of many reflections, and two frames share most of it.
    """
    fall = torch.exp(-0.138 / seconds)
    tail, gain, echo = torch.zeros_like(x[0]), loud * (1 - fall), torch.empty_like(x)
    for frame, heard in zip(x, echo, strict=True):
        torch.mul(tail, gain, out=heard)
        tail = torch.addcmul(frame, tail, fall)
    drawn = torch.randn(len(x) + 1, *x.shape[1:])
    spread = torch.log1p(DEVIATION.square()).sqrt()
    echo *= torch.exp((drawn[1:] + drawn[:-1]) * (spread / math.sqrt(2)) - spread.square() / 2)
    return together(x, echo)


def together(x: Tensor, y: Tensor) -> Tensor:
    """The power (T, B, bands) of two sounds together: in each band they add to or take from each other, at random."""
    phase = (torch.randn(x.shape) * CROSSING).clamp_(-0.95, 0.95)
    return phase.mul_((x * y).sqrt_().mul_(2)).add_(x).add_(y)


def microphones(rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gain (count, 1), tone (count, bands), and the band from which on nothing passes (count, 1)."""
    level = torch.from_numpy(rng.uniform(-45, -12, (count, 1)) * math.log(10) / 10).float()
    top = np.where(rng.random((count, 1)) < 0.4, rng.integers(25, 38, (count, 1)), BANDS)
    return level, torch.from_numpy(curves(rng, count, 1.0)).float(), torch.from_numpy(top)
