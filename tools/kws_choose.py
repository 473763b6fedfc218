"""Choose the decision settings of a digit spotter on voices that it didn't learn and isn't tested with.

    python tools/kws_choose.py --model gru     (or crnn); prints, for each smoothing, how thresholds do

The voices are Kokoro's that `kokoro.HELD_OUT` names, and new ones of hibari-tts and espeak-ng that read sentences
without digits. Needs what train_kws.py needs; the sound is made once and kept in the user's cache.
"""

import argparse
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import vad_sound as vs
from espeak import Espeak, Utterance
from hibari_voices import Hibari
from kws_bank import bank
from kws_scenes import BOOKS, DIGITS, HOMOPHONES, sentences
from kws_trials import BANDS, LEVELS, ROOMS, SNRS, Condition, Stream, reading, trials
from numpy.typing import NDArray
from training import CACHE, ROOT

import edgernn
from edgernn.pipelines.decide import Decider

SMOOTHINGS = (0.21, 0.27, 0.33, 0.39)
THRESHOLDS = (*(k / 20 for k in range(10, 19)), 0.92, 0.94, 0.96, 0.98, 0.99, 0.995)
RELEASE = 0.3
MARGIN = 0.05  # by which a threshold is higher than the voices here ask for
READING = ("held-out reading", "reading")

Answers = NDArray[np.float32]  # (answers, labels)


def conditions(count: int) -> list[Condition]:
    """Draws of noise, room, gain and band as in the tests, but others, and without recorded music."""
    rng = np.random.default_rng(101)
    noises = [vs.colour, vs.gusts, vs.hum, vs.clicks, vs.tones, vs.music]
    return [
        Condition(noises[k % 6], rng.choice(SNRS), rng.choice(ROOMS), rng.choice(LEVELS), rng.choice(BANDS))
        for k in range(count)
    ]


def words_of(said: list[Utterance]) -> Iterator[tuple[str, vs.Sound]]:
    """Words that were said alone or in a list, with their names."""
    for one in said:
        stops = [*(a for a, _ in one.spans[1:]), len(one.sound)]
        for word, (a, b), limit in zip(one.words, one.spans, stops, strict=True):
            if word.endswith(".") and word[:-1] not in HOMOPHONES:
                yield word[:-1], one.sound[max(0, a - 320) : min(limit, b + 1600)]


def readers(count: int) -> Iterator[vs.Sound]:
    """Sentences without digits or their homophones, each in a new voice of hibari-tts or espeak-ng."""
    rng, hibari, espeak = np.random.default_rng(102), Hibari(), Espeak(CACHE / "espeak-readers")
    barred = {*DIGITS, *HOMOPHONES}
    plain = [words for words in sentences(BOOKS) if not barred & {word.strip(",").lower() for word in words}]
    for k in range(count):
        voice = espeak if k % 3 == 0 else hibari
        voice.random_voice(rng)
        yield vs.trim(voice.speak(plain[-1 - k]).sound)


def sets() -> dict[str, Stream]:
    """The streams: digits, other words, sentences; made and kept the first time."""
    path = CACHE / "kws-choices.npz"
    if not path.exists():
        under, held = conditions(12), bank("held-out")
        words = list(words_of(held))
        digits = [(word, x) for word, x in words if word in DIGITS]
        others = [(word, x) for word, x in words if word not in DIGITS]
        barred = {*DIGITS, *HOMOPHONES}
        read = [
            one.sound for one in held if len(one.words) > 4 and not barred & {w.strip(",.").lower() for w in one.words}
        ]
        made = {
            "digits": trials(digits, under[:6]),
            "others": trials(others, under[6:8]),
            "held-out reading": reading(read * 4, under),
            "reading": reading(readers(1300), under),
        }
        np.savez(path, **{f"{name}/{key}": part for name, one in made.items() for key, part in one.arrays().items()})
    with np.load(path) as kept:
        names = dict.fromkeys(key.split("/")[0] for key in kept)
        return {name: Stream(**{key: kept[f"{name}/{key}"] for key in Stream.KEYS}) for name in names}


def answers(model: edgernn.Model, stream: Stream) -> Answers:
    """What the model answers to a stream."""
    pipeline, pieces = edgernn.Pipeline(model), range(0, len(stream.sound), vs.RATE)
    return np.concatenate([pipeline.judged(stream.sound[at : at + vs.RATE] / np.float32(32768)) for at in pieces])


def figures(decider: Decider, stream: Stream, given: Answers) -> tuple[float, float]:
    """Percent of the trials that are right, as `eval_kws` counts, and decisions an hour."""
    decider.reset()
    found = [(one.end, one.label) for one in decider.feed(given)]
    right = [
        [label for at, label in found if a <= at < b] == ([wanted] if wanted in DIGITS else [])
        for wanted, a, b in zip(stream.labels, stream.starts, stream.stops, strict=True)
    ]
    return 100 * float(np.mean(right or [0])), len(found) / (len(stream.sound) / vs.RATE / 3600)


def reach(model: edgernn.Model, folder: Path, smoothing: float) -> NDArray[np.float64]:
    """The highest smoothed answer for each digit while a plain voice counts from zero to nine."""
    with np.load(folder / "io.npz") as io:
        given = model.stream().run(io["x"])
    length = round(smoothing / model.hop * 100)
    sums = np.cumsum(np.pad(given, ((length, 0), (0, 0))), axis=0, dtype=float)
    return (sums[length:] - sums[:-length]).max(axis=0)[: len(DIGITS)] / length


def quietest(
    deciders: Mapping[float, Decider], given: Mapping[str, Answers], most: NDArray[np.float64]
) -> tuple[float, ...]:
    """For each digit MARGIN above the lowest threshold that, like all above it, raises no false accept in sentences.

    But none that lies less than 0.02 under `most`, or the plainest voice would not be heard.
    """
    found = dict.fromkeys(DIGITS, THRESHOLDS[0])
    for threshold, higher in pairwise(THRESHOLDS):
        for name in READING:
            deciders[threshold].reset()
            found |= {one.label: higher for one in deciders[threshold].feed(given[name])}
    chosen = np.minimum(np.array(list(found.values())) + MARGIN, np.floor(100 * most - 2) / 100)
    return (*chosen.round(2).tolist(), 1.0, 1.0)


def main() -> None:
    """Print how settings do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("gru", "crnn"), required=True)
    folder = ROOT / "models" / f"kws-digits-{parser.parse_args().model}"
    model = edgernn.convert(
        folder / "model.onnx", quantize="int8", **tomllib.loads((folder / "pipeline.toml").read_text())
    )
    streams = sets()
    given = {name: answers(model, stream) for name, stream in streams.items()}
    pipeline = edgernn.Pipeline(model)
    for smoothing in SMOOTHINGS:
        deciders = {}
        for thresholds in [*THRESHOLDS, None]:
            each = (
                quietest(deciders, given, reach(model, folder, smoothing))
                if thresholds is None
                else (thresholds,) * len(model.deciding.labels)
            )
            release = tuple(min(RELEASE, one) for one in each)
            deciding = replace(model.deciding, smoothing=smoothing, threshold=each, release=release)
            deciders[thresholds] = pipeline.decider(deciding)
            got = {name: figures(deciders[thresholds], stream, given[name]) for name, stream in streams.items()}
            rates = ", ".join(f"{name} {rate:.1f}" for name, (_, rate) in got.items() if name != "digits")
            right = f"{got['digits'][0]:.1f} % of digits, {got['others'][0]:.1f} % of other words right"
            print(f"smoothing {smoothing}, threshold {thresholds or each[:10]}: {right}; an hour: {rates}", flush=True)


if __name__ == "__main__":
    main()
