"""Measure the digit spotters on voices that they never heard: every figure in their cards.

    python tools/eval_kws.py --model gru       (or crnn); float and int8, each test set one long stream

Runs the whole pipeline (edgernn's front end, stream and decider) with the settings of pipeline.toml. Needs
edgernn[convert] and the packages that `kws_voices` names; the test sound is made once and kept in the user's cache.
"""

import argparse
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import kws_voices as voices
import numpy as np
import vad_sound as vs
from kws_trials import TAIL, Stream, conditions, reading, trials
from kws_words import DIGITS

import edgernn

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path.home() / ".cache" / "edgernn-tools"
FRESH, FEW = 20, (0, 4, 9, 14)  # conditions of the real speaker's digits; those that other words come under


def test_sets() -> dict[str, Stream]:
    """The test streams; made and kept the first time."""
    path = CACHE / "kws-tests.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{f"{name}/{key}": part for name, made in make_sets() for key, part in made.arrays().items()})
    with np.load(path) as kept:
        names = dict.fromkeys(key.split("/")[0] for key in kept)
        return {name: Stream(**{key: kept[f"{name}/{key}"] for key in Stream.KEYS}) for name in names}


def make_sets() -> Iterator[tuple[str, Stream]]:
    """Names and streams: digits, other words and sentences, of other synthesisers and of the real speaker."""
    under = conditions(CACHE, FRESH)
    few = [under[k] for k in FEW]
    names = [*voices.SINGLE, *voices.LETTERS, *voices.PHONETIC, *voices.PROMPTS]
    digits = voices.real(CACHE, [f"digits/{k}" for k in range(10)])
    yield "synthesised digits", trials(voices.say_all(DIGITS), under[:10])
    yield "real digits", trials(zip(DIGITS, digits, strict=True), under)
    yield "synthesised other words", trials(voices.say_all(voices.OTHER_WORDS), few[1:2])
    yield "real other words", trials(zip(names, voices.real(CACHE, names), strict=True), few)
    yield "synthesised reading", reading(voices.reading(260), under[:6])


def decisions(model: edgernn.Model, stream: Stream) -> list[tuple[float, str]]:
    """When (seconds) which digit is decided; the state is never reset."""
    pipeline = edgernn.Pipeline(model)
    return [
        (decision.end, decision.label)
        for at in range(0, len(stream.sound), vs.RATE)
        for decision in pipeline.feed(stream.sound[at : at + vs.RATE] / np.float32(32768))
    ]


def report(name: str, stream: Stream, found: list[tuple[float, str]]) -> None:
    """Print the figures of one test set."""
    hours = len(stream.sound) / vs.RATE / 3600
    accepts = f"{hours:.2f} h, {len(found)} false accepts: {len(found) / hours:.2f} an hour"
    if not len(stream.labels):
        print(f"  {name:24s}{accepts}", flush=True)
        return
    heard = [[one for one in found if a <= one[0] < b] for a, b in zip(stream.starts, stream.stops, strict=True)]
    answers = ["+".join(label for _, label in answer) for answer in heard]
    wanted = [label if label in DIGITS else "" for label in stream.labels]
    right = np.array(answers) == wanted
    print(f"  {name:24s}{len(right)} trials, {100 * right.mean():.1f} % right", end="; ")
    if wanted[0]:
        late = [1000 * (heard[k][0][0] - stream.stops[k] + TAIL) for k in np.flatnonzero(right)]
        print(f"decided {np.median(late):.0f} ms after the word's end (95 %: {np.percentile(late, 95):.0f} ms)")
        by_digit = (f"{digit} {100 * right[stream.labels == digit].mean():.0f}" for digit in DIGITS)
        print("    by digit:", ", ".join(by_digit))
    else:
        print(accepts)
    wrong = Counter(f"{stream.labels[k]}: {answers[k] or 'nothing'}" for k in np.flatnonzero(~right))
    print("    wrong:", ", ".join(f"{what} ({count})" for what, count in wrong.most_common(8)) or "none", flush=True)


def main() -> None:
    """Measure one model in both formats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("gru", "crnn"), required=True)
    folder = ROOT / "models" / f"kws-digits-{parser.parse_args().model}"
    settings = tomllib.loads((folder / "pipeline.toml").read_text())
    sets = test_sets()
    for quantize in ("none", "int8"):
        model = edgernn.convert(folder / "model.onnx", quantize=quantize, **settings)
        model.save(CACHE / "kws.edgernn")
        print(f"{quantize}: {(CACHE / 'kws.edgernn').stat().st_size} bytes", flush=True)
        for name, stream in sets.items():
            report(name, stream, decisions(model, stream))


if __name__ == "__main__":
    main()
