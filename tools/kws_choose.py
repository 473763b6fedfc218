"""Choose the decision settings of a digit spotter on voices that it didn't learn and isn't tested with.

    python tools/kws_choose.py --model gru     (or crnn); prints, for each smoothing, how thresholds do, and under
                                               which noise what share of digits is heard with the model's own settings

One threshold serves all digits: what each would choose for itself on these few voices doesn't carry over to others.

The voices are those of the people that `recordings.HELD_OUT` names, of Kokoro that `kokoro.HELD_OUT` names, Piper's (a
synthesiser that nothing is learned from), and new ones of hibari-tts, espeak-ng and Pico that read sentences without
digits. Needs what train_kws.py and `piper` need; the sound is made once and kept in the user's cache.
"""

import argparse
import tomllib
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace

import numpy as np
import vad_sound as vs
from espeak import Espeak, Utterance
from hibari_voices import Hibari
from kws_bank import Writer, bank
from kws_clips import resized
from kws_trials import BANDS, LEVELS, ROOMS, SNRS, Condition, Stream, reading, trials
from kws_words import BOOKS, DIGITS, HOMOPHONES, sentences
from numpy.typing import NDArray
from pico import Pico
from piper import Piper
from recordings import HELD_OUT, said_by
from training import CACHE, ROOT

import edgernn
from edgernn.pipelines.decide import Decider

SMOOTHINGS = (0.21, 0.27, 0.33, 0.39)
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
RELEASE = 0.3
UNDER = {"people's digits": 24, "Kokoro's digits": 6, "Piper's digits": 6}  # conditions that each digit is heard under

Answers = NDArray[np.float32]  # (answers, labels)
Voice = Espeak | Hibari | Pico


def conditions(count: int) -> list[Condition]:
    """Draws of noise, room, gain and band as in the tests, but others, and without recorded music."""
    rng = np.random.default_rng(101)
    noises = [vs.colour, vs.gusts, vs.hum, vs.clicks, vs.tones, vs.music]
    return [
        Condition(noises[k % 6], rng.choice(SNRS), rng.choice(ROOMS), rng.choice(LEVELS), rng.choice(BANDS))
        for k in range(count)
    ]


def alone(said: list[Utterance], barred: Set[str]) -> list[tuple[str, vs.Sound]]:
    """Words that were said by themselves, with their names."""
    words = [(one.words[0].strip(".,?!"), vs.trim(one.sound)) for one in said if len(one.words) == 1]
    return [(word, sound) for word, sound in words if word not in barred]


def readers(rng: np.random.Generator, voices: Sequence[Voice], count: int) -> Iterator[vs.Sound]:
    """Sentences without digits or their homophones, each in a new voice of one of these synthesisers."""
    barred = {*DIGITS, *HOMOPHONES}
    plain = [words for words in sentences(BOOKS) if not barred & {word.strip(",").lower() for word in words}]
    for k in range(count):
        voice = voices[k % len(voices)]
        voice.random_voice(rng)
        yield vs.trim(voice.speak(plain[-1 - k]).sound)


def strangers(words: Callable[[int], list[str]], count: int) -> list[Utterance]:
    """Words by themselves in Piper's voice, each time of another size and pace. words: the k-th to say."""
    rng, voice, said = np.random.default_rng(104), Piper(), []
    for k in range(count):
        voice.random_voice(rng)
        said.append(resized(rng, voice.speak(words(k))))
    return said


def sets() -> dict[str, Stream]:
    """The streams: digits, other words, sentences; made and kept the first time."""
    path = CACHE / "kws-choices-4.npz"
    if not path.exists():
        under, held, barred = conditions(12), bank("held-out"), {*DIGITS, *HOMOPHONES}
        espeak, hibari = Espeak(CACHE / "espeak-readers"), Hibari()
        read = [one.sound for one in held if len(one.words) > 4 and not barred & {w.strip(",.") for w in one.words}]
        rng, writer = np.random.default_rng(105), Writer(BOOKS)
        people = [(word, sound) for speaker in HELD_OUT for word, sound in said_by(speaker)]
        made = {
            "people's digits": trials([said for said in people if said[0] in DIGITS], conditions(24)),
            "people's others": trials([said for said in people if said[0] not in DIGITS], under[:6]),
            "Kokoro's digits": trials(alone(held, barred - {*DIGITS}), under[:6]),
            "Kokoro's others": trials(alone(bank("held-out-others"), barred), under[8:10]),
            "Piper's digits": trials(alone(strangers(lambda k: [DIGITS[k % 10] + "."], 80), set()), under[:6]),
            "Piper's others": trials(alone(strangers(lambda k: writer.other(rng), 240), barred), under[8:10]),
            "Kokoro's reading": reading(read * 4, under),
            "reading": reading(readers(np.random.default_rng(102), (espeak, hibari, hibari), 1300), under),
            "Pico's reading": reading(readers(np.random.default_rng(103), (Pico(),), 3000), under),
        }
        np.savez(path, **{f"{name}/{key}": part for name, one in made.items() for key, part in one.arrays().items()})
    with np.load(path) as kept:
        names = dict.fromkeys(key.split("/")[0] for key in kept)
        return {name: Stream(**{key: kept[f"{name}/{key}"] for key in Stream.KEYS}) for name in names}


def answers(model: edgernn.Model, stream: Stream) -> Answers:
    """What the model answers to a stream."""
    pipeline, pieces = edgernn.Pipeline(model), range(0, len(stream.sound), vs.RATE)
    return np.concatenate([pipeline.judged(stream.sound[at : at + vs.RATE] / np.float32(32768)) for at in pieces])


def judged(decider: Decider, stream: Stream, given: Answers) -> tuple[list[bool], int]:
    """Whether each trial is right, as `eval_kws` counts, and how many decisions there are."""
    decider.reset()
    found = [(one.end, one.label) for one in decider.feed(given)]
    right = [
        [label for at, label in found if a <= at < b] == ([wanted] if wanted in DIGITS else [])
        for wanted, a, b in zip(stream.labels, stream.starts, stream.stops, strict=True)
    ]
    return right, len(found)


def figures(decider: Decider, stream: Stream, given: Answers) -> tuple[float, float]:
    """Percent of the trials that are right, and decisions an hour."""
    right, found = judged(decider, stream, given)
    return 100 * float(np.mean(right or [0])), found / (len(stream.sound) / vs.RATE / 3600)


def by_noise(decider: Decider, streams: dict[str, Stream], given: dict[str, Answers]) -> dict[str, float]:
    """Percent of all digits that are right, by the kind of noise that they are heard under."""
    right: dict[str, list[bool]] = {}
    for name, count in UNDER.items():
        trial, _ = judged(decider, streams[name], given[name])
        for k, condition in enumerate(conditions(count)):
            right.setdefault(condition.noise.__name__, []).extend(trial[k::count])
    return {name: 100 * float(np.mean(one)) for name, one in right.items()}


def main() -> None:
    """Print how settings do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("gru", "crnn"), required=True)
    folder = ROOT / "models" / f"kws-digits-{parser.parse_args().model}"
    model = edgernn.convert(
        folder / "model.onnx", quantize="int8", **tomllib.loads((folder / "pipeline.toml").read_text())
    )
    streams, pipeline, count = sets(), edgernn.Pipeline(model), len(model.deciding.labels)
    given = {name: answers(model, stream) for name, stream in streams.items()}
    read = [name for name, stream in streams.items() if not len(stream.labels)]
    hours = {name: len(streams[name].sound) / vs.RATE / 3600 for name in read}
    trial = [name for name in streams if name not in read]
    print(f"smoothing, threshold: right of {', '.join(trial)}; false accepts an hour of reading")
    for smoothing in SMOOTHINGS:
        for threshold in THRESHOLDS:
            each = {"threshold": (threshold,) * count, "release": (RELEASE,) * count}
            decider = pipeline.decider(replace(model.deciding, smoothing=smoothing, **each))
            got = {name: figures(decider, stream, given[name]) for name, stream in streams.items()}
            accepts = sum(got[name][1] * hours[name] for name in read) / sum(hours.values())
            right = " ".join(f"{got[name][0]:5.1f} %" for name in trial)
            print(f"{smoothing:.2f} {threshold:.2f}: {right} {accepts:6.2f}", flush=True)
    found = by_noise(pipeline.decider(model.deciding), streams, given)
    print("digits under noise:", ", ".join(f"{name} {right:.1f} %" for name, right in found.items()))


if __name__ == "__main__":
    main()
