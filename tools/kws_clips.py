"""What word spotters hear in training: clean words and sentences of five synthesisers and of people, noise; as frames.

    python tools/kws_clips.py            makes what is missing; 20 minutes of one core without Kokoro's speech

In: the front end. Out: `Clips` (log-mels of speech whose active level is 0 dB, with where each word lies) and pieces of
noise; made once, kept in the user's cache. Needs what `kws_bank`, `hibari_voices`, `pico`, `rhvoice`, `recordings` and
`spoken_digits` need.
"""

import argparse
import itertools
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import vad_sound as vs
from espeak import Espeak, Utterance, word_spans
from hibari_voices import Hibari
from kws_bank import Writer, bank
from kws_words import BOOKS, DIGITS, FRAME, HOMOPHONES, HOP, UNKNOWN, frames_between
from numpy.typing import NDArray
from pico import Pico
from recordings import LEARNT, said_by, sentences
from rhvoice import RHVoice
from songs import song
from spoken_digits import restored
from training import CACHE, ROOT

from edgernn.layers.frontend import FrontEnd
from edgernn.pipelines.features import Extractor

UNASKED = 12  # of a word that may be heard or not
ALONE, TOGETHER = 0.25, 0.12  # seconds between words: from where on they are said alone, up to where in one breath
WORDS = {"espeak": 8000, "hibari": 6000, "pico": 8000, "rhvoice": 4000}  # utterances of these synthesisers
SIZES = 3  # speakers that each of Kokoro's utterances is made to be of, beside its own
DIGIT_SIZES, WORD_SIZES = 12, 3  # speakers that each recorded digit, or other word, is made to be of
NOISES = 1320
PIECE = 1000  # frames of noise
STRETCHES = (1, 2, 4)  # sounds that such a piece is made of, one after the other
SOURCES = ("espeak", "hibari", "kokoro", "pico", "rhvoice", "people", "restored")
KNOWN = {"rhvoice": 1800, "pico": 1200, "hibari": 1800}  # words of these by which log-mels are restored
KNOWN_SIZES = {"digits": 16, "words": 3, "kokoro": 3}  # and speakers that each of these is made to be of
LASTING = (0.1, 1.6)  # seconds of such a word
VOICES = {"espeak": lambda: Espeak(CACHE / "espeak-clips"), "hibari": Hibari, "pico": Pico, "rhvoice": RHVoice}


@dataclass(frozen=True)
class Clips:
    """Speech, one clip after the other."""

    x: NDArray[np.float16]  # (frames, bands): natural logarithms
    sizes: NDArray[np.int64]  # (clips,) frames
    words: NDArray[np.int64]  # (words, 4): clip, first frame, frame after the last, label

    def kinds(self) -> NDArray[np.int64]:
        """(clips,): the digit that is said alone, `UNKNOWN` for another word alone, UNASKED for running speech."""
        kinds = np.full(len(self.sizes), UNASKED)
        alone = np.bincount(self.words[:, 0], minlength=len(kinds)) == 1
        kinds[self.words[:, 0]] = self.words[:, 3]
        return np.where(alone, kinds, UNASKED)


def label(said: Utterance, k: int) -> int:
    """What the k-th word should be heard as; only a digit that is said alone is one."""
    word = said.words[k].strip(",.?!").lower()
    starts = [a for a, b in said.spans if b > 0]
    a, b = said.spans[k]
    before = min((a - stop for _, stop in said.spans[:k] if stop > 0), default=vs.RATE) / vs.RATE
    after = min((start - b for start in starts if start > a), default=vs.RATE) / vs.RATE
    if min(before, after) < TOGETHER:
        return UNKNOWN
    if word in HOMOPHONES or min(before, after) < ALONE:
        return UNASKED if word in {*DIGITS, *HOMOPHONES} else UNKNOWN
    return DIGITS.index(word) if word in DIGITS else UNKNOWN


def alone(said: Utterance) -> Utterance:
    """A single word without what is around it."""
    ((a, b),) = said.spans
    first, last = max(0, a - 320), min(len(said.sound), b + 1600)
    sound, fade = said.sound[first:last].copy(), np.linspace(0, 1, 160)
    sound[:160] *= fade
    sound[-160:] *= fade[::-1]
    return Utterance(sound, said.words, ((a - first, min(b, last) - first),))


def resized(rng: np.random.Generator, said: Utterance) -> Utterance:
    """The utterance of a larger or smaller speaker."""
    ratio = rng.integers(34, 47) / 40
    spans = tuple((int(a * ratio), int(b * ratio)) for a, b in said.spans)
    return Utterance(vs.resample(np.append(said.sound, np.zeros(-len(said.sound) % 40)), ratio), said.words, spans)


def spoken_by(source: str) -> Iterator[Utterance]:
    """What a synthesiser says, each time in another voice."""
    rng, writer = np.random.default_rng([7, SOURCES.index(source)]), Writer(BOOKS)
    if source == "kokoro":
        for one in [*bank("single"), *bank("words"), *bank("train")]:
            yield one
            yield from (resized(rng, one) for _ in range(SIZES))
        return
    if source == "people":
        yield from recorded(rng)
        return
    voice = VOICES[source]()
    for _ in range(WORDS[source]):
        voice.random_voice(rng)
        words = writer.single(rng) if rng.random() < 0.8 else writer.words(rng)
        if source == "espeak":
            words = [word.rstrip(".?!") for word in words]
        if source in ("pico", "rhvoice"):  # don't tell when words are said: between pauses a digit would be alone
            words = [*(word.rstrip(",.?!") for word in words[:-1]), words[-1]]
        said = voice.speak(words)
        yield said if rng.random() < 0.5 else resized(rng, said)


def recorded(rng: np.random.Generator) -> Iterator[Utterance]:
    """What people said, also as larger and smaller people; when the words of a sentence are said isn't known."""
    for word, sound in (said for speaker in LEARNT for said in said_by(speaker)):
        one = Utterance(sound, (word,), word_spans(sound, [0]))
        yield one
        yield from (resized(rng, one) for _ in range(DIGIT_SIZES if word in DIGITS else WORD_SIZES))
    for text, sound in sentences():
        one = Utterance(sound, (text, text), word_spans(sound, [0, len(sound) // 2]))
        yield one
        yield from (resized(rng, one) for _ in range(WORD_SIZES))


def single_words(rng: np.random.Generator) -> Iterator[Utterance]:
    """Words of Kokoro, people and others, each by itself; some more than once."""
    for one in bank("single"):
        yield from (one for _ in range(KNOWN_SIZES["kokoro"]))
    for word, sound in (said for speaker in LEARNT for said in said_by(speaker)):
        one = Utterance(sound, (word,), word_spans(sound, [0]))
        yield from (one for _ in range(KNOWN_SIZES["digits" if word in DIGITS else "words"]))
    writer = Writer(BOOKS)
    for name, count in KNOWN.items():
        voice = VOICES[name]()
        for _ in range(count):
            voice.random_voice(rng)
            yield voice.speak(writer.single(rng))


def known_words(rng: np.random.Generator) -> Iterator[tuple[str, vs.Sound]]:
    """Words and their sounds, each of another speaker's size."""
    for one in single_words(rng):
        if one.spans[0][1] > 0:
            sound = resized(rng, alone(one)).sound
            if LASTING[0] < len(sound) / vs.RATE < LASTING[1]:
                yield one.words[0].strip(",.?!").lower(), sound


def framed(extractor: Extractor, said: Utterance) -> tuple[NDArray[np.float32], list[tuple[int, int, int]]]:
    """Log-mels of an utterance at 0 dB with a frame of silence around it, and frames and labels of its words."""
    sound = said.sound * 10 ** (-vs.speech_level(said.sound) / 20)
    extractor.reset()
    x = extractor.feed(np.concatenate([np.zeros(FRAME), sound, np.zeros(2 * FRAME)]).astype(np.float32))
    words = []
    for k, (a, b) in enumerate(said.spans):
        if b > 0:
            frames = frames_between(a + FRAME, b + FRAME)
            words.append((frames.start, frames.stop, label(said, k)))
    return x, words


def bare(front: FrontEnd) -> FrontEnd:
    """The front end before anything is taken off, and without its floor: what is mixed has one of its own."""
    return replace(front, mean=(), std=(), running=0.0, log_floor=1e-9)


def heard(front: FrontEnd, source: str) -> Iterator[tuple[NDArray, list[tuple[int, int, int]]]]:
    """Log-mels, and frames and labels of words, of what a source says."""
    extractor = Extractor(bare(front))
    if source == "restored":
        rng = np.random.default_rng(8)
        yield from restored(rng, extractor, known_words(rng))
        return
    for said in spoken_by(source):
        yield framed(extractor, alone(said) if len(said.words) == 1 else said)


def make_clips(front: FrontEnd, source: str) -> dict[str, NDArray]:
    """The clips of one source."""
    frames, words = [], []
    for x, rows in heard(front, source):
        words += [(len(frames), *row) for row in rows]
        frames.append(x.astype(np.float16))
    return {"x": np.concatenate(frames), "sizes": [len(x) for x in frames], "words": words}


def noise_pieces(
    front: FrontEnd, kinds: Sequence[vs.Noise], count: int, rng: np.random.Generator
) -> NDArray[np.float16]:
    """Pieces of noise (count, PIECE, bands), of sounds of each kind in turn, each at 0 dB."""
    extractor, made = Extractor(bare(front)), np.empty((count, PIECE, front.size), np.float16)
    kind, samples = itertools.cycle(kinds), PIECE * HOP + FRAME - HOP
    for k in range(count):
        parts = np.diff(np.linspace(0, samples, STRETCHES[k % len(STRETCHES)] + 1).astype(int))
        sounds = [vs.vary_channel(rng, next(kind)(rng, n)) for n in parts]
        extractor.reset()
        made[k] = extractor.feed(np.concatenate([x / max(x.std(), 1e-6) for x in sounds]).astype(np.float32))
    return made


def load_noise(front: FrontEnd) -> NDArray[np.float16]:
    """Pieces of noise at 0 dB (pieces, frames, bands); made the first time."""
    path = CACHE / "said" / "noise.npy"
    if not path.exists():
        rng = np.random.default_rng(11)
        babble = vs.babble([vs.synthetic_speech(rng) for _ in range(200)])
        kinds = [vs.colour, vs.gusts, vs.hum, vs.clicks, vs.clicks, vs.tones, vs.music, vs.music, song, song, babble]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, noise_pieces(front, kinds, NOISES, rng))
    return np.load(path)


def kept(front: FrontEnd, name: str) -> Path:
    """The file of a source's clips; made the first time."""
    path = CACHE / "said" / f"{name}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new.npz")
        np.savez(new, **make_clips(front, name))
        new.rename(path)
        print(f"clips: {name}", flush=True)
    return path


def load_clips(front: FrontEnd, sources: Sequence[str]) -> list[Clips]:
    """The clips of each source."""
    made = []
    for source in sources:
        with np.load(kept(front, source)) as file:
            made.append(Clips(file["x"], file["sizes"], file["words"]))
    return made


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="+", default=SOURCES)
    settings = tomllib.loads((ROOT / "models" / "kws-digits-gru" / "pipeline.toml").read_text())["features"]
    for name in parser.parse_args().names:
        kept(FrontEnd.from_settings(settings), name)


if __name__ == "__main__":
    main()
