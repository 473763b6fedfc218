"""Scenes to train word spotters in: synthesised words, phrases and sentences in rooms and noise, labelled by frame.

In: a random generator. Out: sound at 16 kHz, and for each frame of a front end a label and whether it counts.
Nothing of it is recorded: speech is espeak-ng's, noise and rooms are `vad_sound`'s. Needs Debian's packages espeak-ng,
wamerican (words) and fortunes (sentences).
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import vad_sound as vs
from espeak import Espeak, Utterance
from numpy.typing import NDArray

DIGITS = vs.words("zero one two three four five six seven eight nine")
LABELS = [*DIGITS, "unknown", "silence"]
UNKNOWN, SILENCE = 10, 11
HOMOPHONES = {"to", "too", "won", "for", "fore", "ate"}  # neither learnt as digits nor as other words
FRAME, HOP = 400, 160  # samples: of the front end whose frames are labelled
SECONDS = 10

NEAR_WORDS = vs.words(
    """
    hero xerox zeal zip narrow arrow ear euro sierra cheerio near mirror row on once wonder run fun sun wand want
    swan woman when win wind went want once warn worn was what wall ton done none do tooth who true new chew tune
    tool through you shoe tour toe tea tall day do due into today tuesday twenty twelve tree free the thread
    theory street thee see sheep agree thirty thirteen thirsty degree sweet she tea key floor fork force far fall
    fur more door pour form fort forty fourteen fourth fourths foe phone full forward before fine fife hive dive
    life live fire file find fight strive fifteen fifty fifth alive arrive drive by buy sick sticks fix sit mix
    sixth sixty sixteen stick kicks sex sex seeks socks success thick system is this heaven eleven seventy
    seventeen seventh ever even several cousin oven seldom second savage sudden send them late wait hate eat day
    eighth eighty eighteen gate great date state weight aid age ace at it a add hey stay make mine line fine nice
    night nineteen ninety ninth sign wine time dine none noun niner knife mind kind now know in ten hundred
    thousand million yes no up down left right stop go
    """
)
LETTERS = vs.words("bee see dee gee aitch jay kay el em en pee cue are ess tee you vee ex why zed")  # by their names
CARRIERS = """
    please say # now | the number is # | press # | channel # please | i want # of them | give me # more | number #
    turn on lamp # | room # | it was # then | say # again | maybe # | # please | # it is | dial # | take # steps
    set timer # minutes | play song # | # and # | # or # | from # until # | # # | # # # | # # # # | # # # # #
    # times # is # | # plus # | no, # | yes, # | okay, # | about # hours ago
""".replace("\n", "|").split("|")
BOOKS = vs.words("computers definitions people cookie work politics")  # of fortunes; tests read others


def sentences(books: Sequence[str]) -> list[list[str]]:
    """The sentences of 3 to 14 plain words in files of Debian's fortunes."""
    text = " ".join(Path("/usr/share/games/fortunes", book).read_text(errors="ignore") for book in books)
    found = [re.findall(r"[A-Za-z']+[,]?|\d|-", part) for part in re.split(r"[.!?%:;()\"\[\]]|\n\n|--", text)]
    return [words for words in found if 3 <= len(words) <= 14 and all(re.fullmatch(r"[A-Za-z']+,?", w) for w in words)]


def dictionary() -> list[str]:
    """The plain words of Debian's wamerican."""
    words = Path("/usr/share/dict/american-english").read_text().split()
    return [word for word in words if re.fullmatch("[a-z]{2,10}", word) and word not in {*DIGITS, *HOMOPHONES}]


def vary_voice(rng: np.random.Generator, x: vs.Sound) -> vs.Sound:
    """Change size of the vocal tract and pace, channel and room of a clip, whose length is a multiple of 40."""
    x = vs.vary_channel(rng, vs.resample(x, rng.integers(34, 47) / 40))  # lengths that a Fourier transform likes
    if rng.random() < 0.6:
        m = 160 * rng.integers(5, 40)
        room = rng.standard_normal(m) * np.exp(-6.9 * np.arange(m) / m) * rng.uniform(0.01, 0.08)
        room[0] = 1
        size = -(-(len(x) + m) // 2000) * 2000
        x = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(room, size), size)[: len(x)]
    return x


def heard(rng: np.random.Generator, said: Utterance) -> Utterance:
    """An utterance through a random vocal tract, channel and room, active speech near 0 dB."""
    x = vary_voice(rng, np.append(said.sound, np.zeros(-len(said.sound) % 40)))
    stretch = len(x) / len(said.sound)
    x *= 10 ** ((rng.uniform(-3, 3) - vs.speech_level(x)) / 20)
    return Utterance(x, said.words, tuple((int(a * stretch), int(b * stretch)) for a, b in said.spans))


class Speaker:
    """Makes random utterances; about half of them hold digits."""

    def __init__(self, folder: Path) -> None:
        """Read words and sentences; `folder` is espeak-ng's scratch."""
        self.espeak = Espeak(folder)
        self.sentences = sentences(BOOKS)
        self.dictionary = dictionary()
        self.carriers = [carrier.split() for carrier in CARRIERS if carrier.strip()]

    def words(self, rng: np.random.Generator) -> list[str]:
        """What to say next."""
        kind = rng.choice(6, p=[0.3, 0.22, 0.18, 0.1, 0.05, 0.15])
        if kind == 0:
            return [rng.choice(DIGITS)]
        if kind == 1:
            carrier = self.carriers[rng.integers(len(self.carriers))]
            return [rng.choice(DIGITS) if word == "#" else word for word in carrier]
        if kind == 2:
            return [rng.choice(NEAR_WORDS)]
        if kind == 3:
            return [self.dictionary[rng.integers(len(self.dictionary))]]
        if kind == 4:
            return [self.dictionary[k] for k in rng.integers(len(self.dictionary), size=rng.integers(2, 6))]
        return self.sentences[rng.integers(len(self.sentences))]

    def utterance(self, rng: np.random.Generator) -> Utterance:
        """Say it with a random voice, vocal tract, channel and room, active speech near 0 dB."""
        self.espeak.random_voice(rng)
        return heard(rng, self.espeak.speak(self.words(rng)))


def frames_between(start: float, stop: float) -> slice:
    """The frames whose last sample lies between two times (samples)."""
    first = max(0, int(np.ceil((start - FRAME) / HOP)))
    return slice(first, max(first, int(np.ceil((stop - FRAME) / HOP))))


class Scene:
    """Clean speech and its labels, frame by frame."""

    def __init__(self, seconds: float) -> None:
        """Start with silence that counts."""
        self.clean = np.zeros(int(seconds * vs.RATE))
        count = (len(self.clean) - FRAME) // HOP + 1
        self.labels: NDArray[np.int8] = np.full(count, SILENCE, np.int8)
        self.counts: NDArray[np.bool_] = np.ones(count, bool)

    def add(self, said: Utterance, at: int) -> None:
        """Lay an utterance at sample `at`; a digit is labelled from just before its end until 0.22 s later."""
        self.clean[at : at + len(said.sound)] += said.sound[: len(self.clean) - at]
        end = max((b for _, b in said.spans), default=0) + at
        self.labels[frames_between(at + 800, end + 2400)] = UNKNOWN
        self.counts[frames_between(end + 1600, end + 4800)] = False  # where unknown turns to silence is nobody's error
        for word, (a, b) in zip(said.words, said.spans, strict=True):
            a, b, word = a + at, b + at, word.strip(",.").lower()
            if word in DIGITS:
                self.counts[frames_between(a + 0.4 * (b - a), b + 4800)] = False
                answer = frames_between(b - 480, b + 3520)
                self.labels[answer], self.counts[answer] = DIGITS.index(word), True
            elif word in HOMOPHONES:
                self.counts[frames_between(a, b + 4800)] = False


def make_scene(rng: np.random.Generator, speaker: Speaker, noises: Sequence[vs.Noise]) -> tuple[vs.Sound, Scene]:
    """One random scene of `SECONDS`: the sound and its labels."""
    scene = Scene(SECONDS)
    at = int(vs.RATE * rng.uniform(0.05, 1))
    end = len(scene.clean) if rng.random() > 0.06 else 0
    pause = rng.choice([0.2, 0.6, 1.5])
    while at < end:
        said = speaker.utterance(rng)
        scene.add(said, at)
        at += len(said.sound) + int(vs.RATE * rng.uniform(0, 2 * pause))
    snr = rng.uniform(0, 35) if rng.random() < 0.9 else rng.uniform(35, 90)
    noise = noises[rng.integers(len(noises))](rng, len(scene.clean))
    if rng.random() < 0.3:
        second = noises[rng.integers(len(noises))](rng, len(scene.clean))
        noise = noise / noise.std() + second / second.std() * 10 ** rng.uniform(-1.5, 0)
    return vs.mix(scene.clean, vs.vary_channel(rng, noise), snr, rng.uniform(-45, -12)), scene


def training_noises(rng: np.random.Generator, speaker: Speaker) -> list[vs.Noise]:
    """The kinds of noise that scenes are mixed with."""
    babblers = [speaker.utterance(rng).sound for _ in range(300)]
    return [vs.colour, vs.colour, vs.gusts, vs.gusts, vs.hum, vs.clicks, vs.music, vs.tones, vs.babble(babblers)]
