"""Test sound for word spotters: every clip under conditions of noise, room and gain, in one long stream a set.

In: clips of `kws_voices`. Out: streams at 16 kHz with what is to be found where. Imports NumPy.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import vad_sound as vs
from numpy.typing import NDArray

LEAD, TAIL = 0.8, 0.9  # seconds around a clip; an answer counts until the end of its tail
SNRS = [40, 30, 25, 20, 15, 10, 7, 5]  # dB, of active speech to noise
ROOMS = [0.0, 0.0, 0.15, 0.3, 0.5]  # seconds in which an echo dies out by 60 dB; 0 without
LEVELS = [-15, -25, -35, -42]  # dB of full scale, of active speech
BANDS = [8000, 8000, 3700]  # Hz


@dataclass(frozen=True)
class Condition:
    """What happens to a clip."""

    noise: vs.Noise
    snr: float
    room: float
    level: float
    band: float


@dataclass(frozen=True)
class Stream:
    """One long sound, and what is said in it between which seconds."""

    KEYS: ClassVar = ("sound", "labels", "starts", "stops")

    sound: NDArray[np.int16]
    labels: NDArray[np.str_]  # (trials,)
    starts: NDArray[np.float64]
    stops: NDArray[np.float64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it is made of, by name."""
        return {key: getattr(self, key) for key in self.KEYS}


def joined(pieces: Sequence[vs.Sound], labels: Sequence[str]) -> Stream:
    """The pieces one after the other; where there are labels, one for each."""
    sound = np.concatenate([np.round(piece * 32768).clip(-32768, 32767).astype(np.int16) for piece in pieces])
    stops = np.cumsum([len(piece) for piece in pieces])[: len(labels)] / vs.RATE
    return Stream(sound, np.array(labels, str), np.append(0, stops)[: len(labels)], stops)


def conditions(cache: Path, count: int) -> list[Condition]:
    """The first is clean speech; the others draw noise, SNR, room, gain and bandwidth from the lists above."""
    rng = np.random.default_rng(11)
    noises = [vs.colour, vs.gusts, vs.hum, vs.clicks, vs.tones, vs.music, vs.recorded(vs.music_sounds(cache))]
    drawn = [
        Condition(noises[k % len(noises)], rng.choice(SNRS), rng.choice(ROOMS), rng.choice(LEVELS), rng.choice(BANDS))
        for k in range(count - 1)
    ]
    return [Condition(vs.colour, 60, 0, -25, 8000), *drawn]


def echo(rng: np.random.Generator, x: vs.Sound, seconds: float) -> vs.Sound:
    """`x` in a room: its direct sound and, 3 dB under it, a decaying tail."""
    if seconds == 0:
        return x
    m = int(seconds * vs.RATE)
    tail = rng.standard_normal(m) * np.exp(-6.9 * np.arange(m) / m)
    room = np.append(1.0, tail * 10 ** (-3 / 20) / np.linalg.norm(tail))
    size = 1 << (len(x) + m).bit_length()
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(room, size), size)[: len(x)]


def apply(rng: np.random.Generator, condition: Condition, clean: vs.Sound) -> vs.Sound:
    """Put speech, at 0 dB when active, into its room, noise and level."""
    clean = echo(rng, clean, condition.room)
    x = vs.mix(clean, condition.noise(rng, max(len(clean), 2 * vs.RATE))[: len(clean)], condition.snr, condition.level)
    return x if condition.band >= vs.RATE / 2 else vs.shape_spectrum(x, lambda f: 1.0 * (f < condition.band))


def trials(clips: Iterable[tuple[str, vs.Sound]], under: Sequence[Condition]) -> Stream:
    """Every clip, given with its label, under every condition."""
    rng = np.random.default_rng(12)
    pieces, labels = [], []
    for label, clip in clips:
        clip = clip * 10 ** (-vs.speech_level(clip) / 20)
        lead = np.zeros(int(LEAD * vs.RATE) - len(clip) % 1600)  # whole tenths of a second
        clean = np.concatenate([lead, clip, np.zeros(int(TAIL * vs.RATE))])
        for condition in under:
            pieces.append(apply(rng, condition, clean))
            labels.append(label)
    return joined(pieces, labels)


def reading(clips: Iterable[vs.Sound], under: Sequence[Condition]) -> Stream:
    """The clips one after the other with pauses, a condition for each twenty of them."""
    rng = np.random.default_rng(13)
    clips = list(clips)
    pieces = []
    for k in range(0, len(clips), 20):
        clean = vs.lay_out(rng, clips[k : k + 20], (0.1, 0.8))
        clean = clean[: len(clean) // 1600 * 1600]
        pieces.append(apply(rng, under[k // 20 % len(under)], clean))
    return joined(pieces, [])
