"""Music of several made-up instruments and drums, as noise for models that listen.

In: a random generator. Out: float64 arrays at 16 kHz. Imports NumPy and what `vad_sound` does.
"""

import numpy as np
import vad_sound as vs
from vad_sound import RATE, Sound

SCALES = ([0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 2, 4, 7, 9])  # semitones


class Instrument:
    """Harmonics with a way to begin and to end, perhaps several voices slightly out of tune, perhaps vibrato."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Invent one."""
        numbers = np.arange(1, rng.integers(3, 25))
        self.parts = rng.uniform(0.1, 1, len(numbers)) * numbers ** -rng.uniform(0.3, 2.5)
        if rng.random() < 0.3:
            self.parts[1::2] *= 0.05  # as a clarinet or a square wave
        self.attack, self.decay = 10 ** rng.uniform(-2.5, -0.5), 10 ** rng.uniform(-1.2, 0.8)  # s
        self.fall = rng.choice([0, rng.uniform(0, 1.5)])  # of higher harmonics, quicker
        self.tuning = 1 + rng.choice([0, 0.004]) * rng.standard_normal(rng.integers(1, 4))
        self.vibrato, self.rate = rng.choice([0, 0, rng.uniform(0, 0.012)]), rng.uniform(4, 7)  # Hz
        self.breath = rng.choice([0, 0, rng.uniform(0, 0.1)])

    def note(self, rng: np.random.Generator, pitch: float, seconds: float) -> Sound:
        """A note of so many Hz that is held for so long."""
        t = np.arange(int(RATE * seconds)) / RATE
        bent = t + self.vibrato / self.rate / 6.3 * np.sin(6.283 * self.rate * t)
        x = self.breath * rng.standard_normal(len(t))
        for tuning in self.tuning:
            for k, loud in enumerate(self.parts, 1):
                if (hertz := k * pitch * tuning) < RATE / 2:
                    x += loud * np.exp(-self.fall * k * t) * np.sin(6.283 * (hertz * bent + rng.random()))
        return x * np.minimum(1, t / self.attack) * np.exp(-t / self.decay) * np.minimum(1, (seconds - t) / 0.02)


def put(x: Sound, at: float, part: Sound) -> None:
    """Add `part` to x from a time (s) on."""
    first = int(RATE * at)
    x[first : first + len(part)] += part[: max(0, len(x) - first)]


def drums(rng: np.random.Generator, n: int, step: float) -> Sound:
    """Three drums, each with its own pattern of 16 steps (s)."""
    x, t = np.zeros(n), np.arange(RATE // 3) / RATE
    for _ in range(rng.integers(1, 4)):
        hit = rng.uniform(0, 1) * np.sin(6.283 * rng.uniform(40, 300) * t * (1 + np.exp(-t / 0.02) / 2))
        hit += vs.colour(rng, len(t)) * rng.uniform(0, 1)
        hit *= np.exp(-t / 10 ** rng.uniform(-2, -0.8)) * 10 ** rng.uniform(-0.7, 0)
        pattern = rng.random(16) < rng.uniform(0.1, 0.6)
        for k in range(int(n / RATE / step)):
            if pattern[k % 16]:
                put(x, k * step, hit * rng.uniform(0.6, 1))
    return x


def song(rng: np.random.Generator, n: int) -> Sound:
    """Melodies, chords and basses in one key and rhythm, perhaps drums, perhaps a hall."""
    step, scale = rng.uniform(0.08, 0.3), SCALES[rng.integers(len(SCALES))]
    x, seconds, key = np.zeros(n), n / RATE, rng.uniform(50, 110)
    for _ in range(rng.integers(1, 5)):
        instrument, steps = Instrument(rng), rng.choice([1, 2, 2, 4, 4, 8, 16])
        octave, voices, at = rng.integers(0, 4), rng.choice([1, 1, 1, 3, 4]), 0.0
        loud, degree = 10 ** rng.uniform(-0.8, 0), int(rng.integers(7))
        while at < seconds:
            length = step * steps * rng.choice([1, 1, 1, 2])
            degree = int(np.clip(degree + rng.integers(-3, 4), 0, 9))
            for voice in range(voices if rng.random() < 0.85 else 0):
                up, place = divmod(degree + 2 * voice, len(scale))
                pitch = key * 2 ** (octave + up + scale[place] / 12)
                put(x, at, loud * instrument.note(rng, pitch, min(length * rng.uniform(0.5, 1.1), 4)))
            at += length
    x /= x.std() + 1e-9
    if rng.random() < 0.6:
        beat = drums(rng, n, step)
        x += beat / (beat.std() + 1e-9) * 10 ** rng.uniform(-1, 0.3)
    if rng.random() < 0.5:
        m = int(RATE * rng.uniform(0.1, 0.8))
        hall = rng.standard_normal(m) * np.exp(-6.9 * np.arange(m) / m) * rng.uniform(0.01, 0.08)
        hall[0] = 1
        x = np.fft.irfft(np.fft.rfft(x, n + m) * np.fft.rfft(hall, n + m), n + m)[:n]
    return x
