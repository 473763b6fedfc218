"""Who speaks in the scenes that word spotters learn from: espeak-ng, hibari-tts and Kokoro, one after the other.

In: a random generator. Out: `Utterance`s at 16 kHz in random voices, channels and rooms. Needs what `kws_scenes`,
`hibari_voices` and `kokoro` need.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from espeak import Utterance
from hibari_voices import Hibari
from kws_scenes import Speaker, heard


def excerpt(rng: np.random.Generator, said: Utterance) -> Utterance:
    """Some consecutive words of an utterance, or all of them."""
    if rng.random() < 0.3 or len(said.words) == 1 or any(b == 0 for _, b in said.spans):
        return said
    first = rng.integers(len(said.words))
    last = min(len(said.words), first + rng.geometric(0.5)) - 1
    start, limit = said.spans[first][0], said.spans[last + 1][0] if last + 1 < len(said.spans) else len(said.sound)
    start, stop = max(0, start - 160), min(limit, said.spans[last][1] + 1600)
    sound = said.sound[start : start + (stop - start) // 40 * 40].copy()
    fade = np.linspace(0, 1, 160)
    sound[:160] *= fade
    sound[-160:] *= fade[::-1]
    spans = tuple((max(0, a - start), b - start) for a, b in said.spans[first : last + 1])
    return Utterance(sound, said.words[first : last + 1], spans)


class Choir:
    """Makes random utterances; about half of them hold digits."""

    def __init__(self, folder: Path, bank: Sequence[Utterance], shares: Sequence[float]) -> None:
        """`folder`: espeak-ng's scratch; `bank`: what Kokoro said; `shares`: of espeak-ng, hibari-tts and Kokoro."""
        self.speaker, self.hibari, self.bank, self.shares = Speaker(folder), Hibari(), bank, shares

    def utterance(self, rng: np.random.Generator) -> Utterance:
        """Say something with a random voice, vocal tract, channel and room, active speech near 0 dB."""
        who = rng.choice(3, p=self.shares)
        if who == 0:
            return self.speaker.utterance(rng)
        if who == 1:
            self.hibari.random_voice(rng)
            *words, last = self.speaker.words(rng)
            return heard(rng, self.hibari.speak([*words, last + rng.choice(["", ".", "."])]))
        return heard(rng, excerpt(rng, self.bank[rng.integers(len(self.bank))]))
