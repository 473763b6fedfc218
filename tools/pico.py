"""Speech from SVOX Pico in its two English voices, at other pitches and paces.

In: words and a random generator. Out: `Utterance`s at 16 kHz. Fetches py-nanotts 0.1.1 (Apache-2.0) from PyPI.
"""

import sys
from collections.abc import Sequence

import numpy as np
from espeak import Utterance, word_spans
from training import python_package

VOICES = ("en-GB", "en-US")


class Pico:
    """The library, loaded once in a process."""

    def __init__(self) -> None:
        """Load it."""
        sys.path.append(str(python_package("py-nanotts", "0.1.1")))
        from py_nanotts import NanoTTS

        self.library = NanoTTS()
        self.voice, self.speed, self.pitch = VOICES[0], 1.0, 1.0

    def random_voice(self, rng: np.random.Generator) -> None:
        """Choose speaker, pace and pitch."""
        self.voice, self.speed = str(rng.choice(VOICES)), rng.uniform(0.75, 1.4)
        self.pitch = rng.choice([0.55, 0.65, 0.75, 0.85, 1.0, 1.0, 1.15, 1.3, 1.5]) * rng.uniform(0.95, 1.05)

    def speak(self, words: Sequence[str]) -> Utterance:
        """Say `words`; where it is more than one they count as one, for when each is said isn't known."""
        text = " ".join(words)
        sound = np.frombuffer(self.library.speak(text, self.voice, self.speed, self.pitch), np.int16) / 32768
        loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
        sound = sound[max(0, int(loud[0]) - 320) :]
        return Utterance(sound, (text,), word_spans(sound, [0]))
