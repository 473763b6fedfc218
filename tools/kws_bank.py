"""The utterances of Kokoro that word spotters learn from, made once and kept in the user's cache.

    python tools/kws_bank.py --worker 0 --workers 2      makes every other part; 35 minutes of one core in all

In: nothing. Out: lists of `Utterance`s. `train_kws.py` makes what is missing.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import vad_sound as vs
from espeak import Utterance
from kokoro import HELD_OUT, Kokoro
from kws_scenes import BOOKS, CARRIERS, DIGITS, NEAR_WORDS, dictionary, sentences
from training import CACHE

PARTS = {  # how many files, of how many utterances; a held-out one is one voice
    "held-out": (8, 20),
    "train": (60, 10),
    "words": (31, 20),
}


class Writer:
    """What is said: lists of words, single words, phrases and sentences."""

    def __init__(self, books: Sequence[str]) -> None:
        """Read words and sentences."""
        self.sentences, self.dictionary = sentences(books), dictionary()
        self.carriers = [carrier.split() for carrier in CARRIERS if carrier.strip()]

    def word(self, rng: np.random.Generator) -> str:
        """A digit, a word close to one, or any word."""
        chosen = rng.choice(3, p=[0.65, 0.25, 0.1])
        return str(rng.choice((DIGITS, NEAR_WORDS, self.dictionary)[chosen]))

    def words(self, rng: np.random.Generator) -> list[str]:
        """What to say next."""
        kind = rng.choice(4, p=[0.55, 0.15, 0.2, 0.1])
        if kind == 0:
            after = rng.choice(["", ",", ".", "."])
            return [self.word(rng) + after for _ in range(rng.integers(5, 9))]
        if kind == 1:
            return [self.word(rng) + "."]
        if kind == 2:
            carrier = self.carriers[rng.integers(len(self.carriers))]
            return [str(rng.choice(DIGITS)) if word == "#" else word for word in carrier]
        return self.sentences[rng.integers(len(self.sentences))]

    def apart(self, rng: np.random.Generator) -> list[str]:
        """One to three words, each said by itself."""
        return [self.word(rng) + "." for _ in range(rng.integers(1, 4))]


def held_out_words(rng: np.random.Generator, writer: Writer, k: int) -> list[str]:
    """The k-th of the utterances by which a held-out voice is known: ten digits alone, then words close to digits."""
    if k < 10:
        return [DIGITS[k] + "."]
    if k < 15:
        return [str(word) + "." for word in rng.choice(NEAR_WORDS, 4)]
    return writer.sentences[rng.integers(len(writer.sentences))]


def made(kind: str, part: int, kokoro: Kokoro, writer: Writer) -> Iterator[Utterance]:
    """The utterances of one part, the same each time."""
    for k in range(PARTS[kind][1]):
        rng = np.random.default_rng([list(PARTS).index(kind), part, k])
        if kind == "held-out":
            kokoro.held_out_voice(rng, part % len(HELD_OUT))
            yield kokoro.speak(held_out_words(rng, writer, k))
        else:
            kokoro.random_voice(rng)
            yield kokoro.speak(writer.apart(rng) if kind == "words" else writer.words(rng))


def part_path(kind: str, part: int) -> Path:
    """Where a part is kept."""
    return CACHE / "kokoro" / f"{kind}-{part}.npz"


def save(path: Path, said: Sequence[Utterance]) -> None:
    """Write utterances; what is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sounds = [np.round(one.sound * 32000 / max(1e-3, np.abs(one.sound).max())).astype(np.int16) for one in said]
    spans = [span for one in said for span in one.spans]
    texts, sizes = [" ".join(one.words) for one in said], [len(sound) for sound in sounds]
    new = path.with_suffix(".new.npz")
    np.savez(new, sound=np.concatenate(sounds), sizes=sizes, texts=texts, spans=spans)
    new.rename(path)


def load(path: Path) -> list[Utterance]:
    """Read utterances, active speech at 0 dB."""
    data = np.load(path)
    sounds = np.split(data["sound"], np.cumsum(data["sizes"])[:-1])
    texts = [str(text).split(" ") for text in data["texts"]]
    spans = np.split(data["spans"], np.cumsum([len(text) for text in texts])[:-1])
    return [
        Utterance(x / 32768 * 10 ** (-vs.speech_level(x / 32768) / 20), tuple(text), tuple(map(tuple, span.tolist())))
        for x, text, span in zip(sounds, texts, spans, strict=True)
    ]


def bank(kind: str, worker: int = 0, workers: int = 1) -> list[Utterance]:
    """Every utterance of a kind ("train" or "held-out"), or what this of several workers has to make."""
    kokoro, writer, found = None, None, []
    for part in range(worker, PARTS[kind][0], workers):
        path = part_path(kind, part)
        if not path.exists():
            kokoro, writer = kokoro or Kokoro(), writer or Writer(BOOKS)
            save(path, list(made(kind, part, kokoro, writer)))
            print(f"{kind} voices, part {part} of {PARTS[kind][0]}", flush=True)
        found += load(path)
    return found


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    for kind in PARTS:
        bank(kind, arguments.worker, arguments.workers)


if __name__ == "__main__":
    main()
