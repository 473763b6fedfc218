"""Scenes for a voice-activity detector, mixed anew for every step from clean clips and noise, all on log-mels.

In: clips, the front end. Out: features (T, B, bands) as the front end gives them, and where somebody speaks (T, B).
Imports torch.
"""

import math

import numpy as np
import torch
import vad_sound as vs
from kws_clips import UNASKED
from kws_mix import Batch, Scenes, in_room, microphones, rooms, together
from kws_models import BANDS, voices
from numpy.typing import NDArray
from torch import Tensor, nn

NOBODY, WEIGHT = 0.28, 2.0  # of all scenes: noise alone; how much its frames count
RUNNING = 0.65  # of what is said: sentences; the rest: single words
BELOW, HANGOVER = 15, 13  # dB, frames (128 ms): what `vad_sound.speech_labels` calls speech


class Talk(Scenes):
    """An endless supply of scenes in which somebody speaks, or nobody."""

    def _talk(self, rng: np.random.Generator, power: NDArray) -> None:
        """Say things one after the other, into the power (T, bands) of a scene."""
        at, longest = int(rng.integers(0, 200)), rng.choice([30, 100, 300])
        while at < self.frames:
            kind = UNASKED if rng.random() < RUNNING else int(rng.integers(11))
            said = self._clip(rng, kind)[0]
            part = power[at : at + len(said)]
            part += said[: len(part)]
            at += len(said) + int(rng.integers(longest))

    def batch(self, rng: np.random.Generator, going_on: Tensor) -> Batch:
        """A scene for each of `going_on` (B,)."""
        count = len(going_on)
        power = np.full((count, self.frames, BANDS), 1e-9, np.float32)
        for scene in power:
            if rng.random() > NOBODY:
                self._talk(rng, scene)
        clean = torch.from_numpy(power).log_()  # (B, T, bands)
        x = torch.bmm(clean, voices(count, 1.0)).transpose(0, 1).exp_()
        x = in_room(x, torch.from_numpy(rng.uniform(0.05, 0.5, (count, 1))).float(), rooms(rng, count))
        level, tone, top = microphones(rng, count)
        heard, both = torch.arange(BANDS) < top, torch.from_numpy(rng.random((count, 1)) < 0.5)
        x *= tone.exp() * torch.where(heard, 1.0, 1e-5)
        labels = speech(x)
        weights = torch.where(labels.amax(dim=0) > 0, 1.0, WEIGHT)
        noise = self._loud(rng, count) * torch.where(heard | ~both, 1.0, 1e-5)
        x = together(x, noise).log_().add_(level).clamp_(min=math.log(self.front.log_floor))
        return Batch(x.sub_(self.front.mean[0]).div_(self.front.std[0]), labels, weights.expand_as(labels))

    def _loud(self, rng: np.random.Generator, count: int) -> Tensor:
        """Powers (T, count, bands) of noise, that half of the time swells and falls."""
        snr = np.where(rng.random((count, 1)) < 0.93, rng.uniform(-2, 35, (count, 1)), rng.uniform(35, 80, (count, 1)))
        noise = self._noise(rng, count, snr).log_().transpose(0, 1)  # (count, T, bands)
        noise = torch.bmm(noise, voices(count, 0.7)).transpose(0, 1)
        deep = rng.choice([0, 0, 1, 2], (count, 1))
        at = np.linspace(0, 1, self.frames)
        points = [np.linspace(0, 1, n) for n in rng.integers(4, 30, count)]
        swell = np.stack([np.interp(at, one, rng.standard_normal(len(one))) for one in points])  # (count, T)
        return noise.add_(torch.from_numpy((deep * swell).T[..., None]).float()).exp_()


def speech(x: Tensor) -> Tensor:
    """Where speech of powers (T, B, bands) counts as such (T, B): what `vad_sound.speech_labels` says of its sound.

    A frame of it ends about one frame after the middle of a frame of x, whose pre-emphasis is taken back.
    """
    mel = 1127 * np.log1p(np.array([60, 7600]) / 700)
    hertz = 700 * np.expm1(np.linspace(*mel, BANDS + 2)[1:-1] / 1127)
    flat = 1 / np.abs(1 - 0.97 * np.exp(-2j * np.pi * hertz / vs.RATE)) ** 2
    power = x @ torch.from_numpy(flat).float()
    active = power > power.amax(dim=0) * 10**-2.8
    level = (power * active).sum(dim=0) / active.sum(dim=0)
    loud = ((power > level * 10 ** (-BELOW / 10)) & (level > 1e-4)).float().t()  # (B, T)
    loud = nn.functional.pad(loud[:, 1:], (HANGOVER, 1))
    return nn.functional.max_pool1d(loud[:, None], HANGOVER + 1, 1)[:, 0].t().contiguous()


def error(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The binary cross-entropy of scores (T, B, 1)."""
    return nn.functional.binary_cross_entropy_with_logits(scores[..., 0], labels, weights)
