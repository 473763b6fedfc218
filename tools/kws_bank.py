"""The utterances of Kokoro that word spotters learn from, made once and kept in the user's cache.

    python tools/kws_bank.py --worker 0 --workers 2      makes every other part; two hours of one core in all

In: nothing. Out: lists of `Utterance`s. `train_kws.py` makes what is missing.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import vad_sound as vs
from espeak import Utterance
from kokoro import HELD_OUT, Kokoro
from kws_words import BOOKS, CARRIERS, DIGITS, LETTERS, NEAR_WORDS, dictionary, sentences
from training import CACHE

PARTS = {  # seed; how many files, of how many utterances; a held-out one is one voice
    "held-out": (0, 8, 20),
    "train": (1, 60, 10),
    "words": (2, 40, 20),
    "single": (3, 108, 40),
    "held-out-others": (9, 8, 28),
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

    def single(self, rng: np.random.Generator) -> list[str]:
        """One word by itself: said with others, even between full stops, Kokoro runs it into its neighbours."""
        chosen = rng.choice(4, p=[0.62, 0.24, 0.04, 0.1])
        word = str(rng.choice((DIGITS, NEAR_WORDS, LETTERS, self.dictionary)[chosen]))
        return [word + str(rng.choice(["", ".", ",", "?", "!"], p=[0.3, 0.4, 0.1, 0.1, 0.1]))]

    def other(self, rng: np.random.Generator) -> list[str]:
        """One word by itself that isn't close to a digit, but by chance."""
        word = str(rng.choice(LETTERS if rng.random() < 0.2 else self.dictionary))
        return [word + str(rng.choice(["", ".", ",", "?", "!"], p=[0.3, 0.4, 0.1, 0.1, 0.1]))]

    def apart(self, rng: np.random.Generator) -> list[str]:
        """One to three words with full stops."""
        return [self.word(rng) + "." for _ in range(rng.integers(1, 4))]


def held_out_words(rng: np.random.Generator, writer: Writer, k: int) -> list[str]:
    """The k-th of the utterances by which a held-out voice is known: ten digits alone, then words close to digits."""
    if k < 10:
        return [DIGITS[k] + "."]
    if k < 15:
        return [str(word) + "." for word in rng.choice(NEAR_WORDS, 4)]
    return writer.sentences[rng.integers(len(writer.sentences))]


def held_out_other(rng: np.random.Generator, writer: Writer, k: int) -> list[str]:
    """The k-th of the other words by which a held-out voice is known, by itself."""
    words = NEAR_WORDS if k < 18 else LETTERS if k < 21 else writer.dictionary
    return [str(rng.choice(words)) + str(rng.choice(["", "."]))]


def made(kind: str, part: int, kokoro: Kokoro, writer: Writer) -> Iterator[Utterance]:
    """The utterances of one part, the same each time."""
    seed, _, count = PARTS[kind]
    for k in range(count):
        rng = np.random.default_rng([seed, part, k])
        if kind.startswith("held-out"):
            kokoro.held_out_voice(rng, part % len(HELD_OUT))
            words = (held_out_words if kind == "held-out" else held_out_other)(rng, writer, k)
        else:
            kokoro.random_voice(rng)
            words = {"train": writer.words, "words": writer.apart, "single": writer.single}[kind](rng)
        yield kokoro.speak(words)


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
    """Every utterance of a kind of PARTS, or what this of several workers has to make."""
    kokoro, writer, found = None, None, []
    for part in range(worker, PARTS[kind][1], workers):
        path = part_path(kind, part)
        if not path.exists():
            kokoro, writer = kokoro or Kokoro(), writer or Writer(BOOKS)
            save(path, list(made(kind, part, kokoro, writer)))
            print(f"{kind} voices, part {part} of {PARTS[kind][1]}", flush=True)
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
