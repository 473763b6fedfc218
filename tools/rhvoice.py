"""Speech from RHVoice in two of its English voices, at other pitches and paces.

In: words and a random generator. Out: `Utterance`s at 16 kHz. Needs rhvoice and rhvoice-english of Debian (non-free) or
Ubuntu (multiverse; 1.2.3 is that of 22.04); program and voices are LGPL-2.1-or-later. Its voice slt is a speaker of the
test, and alan may be one: they are left alone.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from espeak import Utterance, word_spans
from vad_sound import RATE, read_sound

VOICES = ("bdl", "clb")


class RHVoice:
    """The program, run once for each utterance."""

    def __init__(self) -> None:
        """Begin with a plain voice."""
        self.voice, self.speed, self.pitch = VOICES[0], 100, 100

    def random_voice(self, rng: np.random.Generator) -> None:
        """Choose speaker, pace and pitch."""
        self.voice, self.speed = str(rng.choice(VOICES)), int(rng.integers(70, 145))
        self.pitch = int(rng.integers(55, 150))

    def speak(self, words: Sequence[str]) -> Utterance:
        """Say `words`; where it is more than one they count as one, for when each is said isn't known."""
        text = " ".join(words)
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            settings = ["-p", self.voice, "-r", str(self.speed), "-t", str(self.pitch), "-R", str(RATE)]
            subprocess.run(["RHVoice-test", *settings, "-o", file.name], input=text, text=True, check=True)
            sound = read_sound(Path(file.name))
        loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
        sound = sound[max(0, int(loud[0]) - 320) :]
        return Utterance(sound, (text,), word_spans(sound, [0]))
