"""Speech from Debian's espeak-ng, word by word in time: its library, with voices of our own beside its hundred.

In: words and a random generator. Out: `Utterance`s at 16 kHz. Imports NumPy and what `vad_sound` does; needs espeak-ng.
"""

import ctypes
import ctypes.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vad_sound import RATE, Sound, resample, words

ACCENTS = words(
    """
    en-us en-gb en-gb-scotland en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd en-029 en-us-nyc en-us
    """
)
OWN = "own"  # the voice variant that is written anew for every voice of our own
WORD, END_OF_LIST = 1, 0  # espeak_EVENT_TYPE in speak_lib.h
SPEED, PITCH, RANGE, WORD_GAP = 1, 3, 4, 7  # espeak_PARAMETER
SYNCHRONOUS, UTF8 = 2, 1
HOP = 160  # samples: the step in which word ends are looked for
NETWORK_RATE = 24_000


@dataclass(frozen=True)
class Utterance:
    """Sound and, for each word, where it starts and ends in it (samples)."""

    sound: Sound
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


class _Event(ctypes.Structure):
    """espeak_EVENT in speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int), ("identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", ctypes.c_void_p),
    ]  # fmt: skip


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def own_voice(rng: np.random.Generator) -> str:
    """The text of an espeak-ng voice variant: another vocal tract, glottis, rhythm and emphasis."""
    tract = rng.uniform(85, 125)
    lines = ["language variant", f"pitch {(base := rng.integers(60, 230))} {base + rng.integers(10, 140)}"]
    for k in range(9):
        frequency = tract * rng.uniform(0.93, 1.07)
        lines.append(f"formant {k} {frequency:.0f} {rng.uniform(60, 140):.0f} {rng.uniform(70, 170):.0f}")
    lines.append(f"consonants {rng.integers(60, 140)} {rng.integers(60, 140)}")
    lines.append(f"voicing {rng.integers(60, 130)}")
    lines.append(f"flutter {rng.integers(0, 20)}")
    lines.append(f"roughness {rng.integers(0, 5)}")
    lines.append(f"intonation {rng.integers(1, 5)}")
    lines.append("stressLength " + " ".join(f"{x:.0f}" for x in rng.uniform(120, 260, 8)))
    lines.append("stressAmp " + " ".join(f"{x:.0f}" for x in rng.uniform(14, 24, 8)))
    if rng.random() < 0.3:
        lines.append("breath " + " ".join(str(x) for x in rng.integers(0, 6, 8)))
    if rng.random() < 0.25:
        lines.append(f"klatt {rng.integers(1, 6)}")
    return "\n".join(lines) + "\n"


def voice_folder(installed: Path, folder: Path) -> list[str]:
    """Make `folder`/espeak-ng-data: the installed data and a voice of our own; return the names of the others."""
    data = folder / "espeak-ng-data"
    variants = data / "voices" / "!v"
    variants.mkdir(parents=True, exist_ok=True)
    for source in [*installed.iterdir(), *(installed / "voices" / "!v").iterdir()]:
        target = (variants if source.parent.name == "!v" else data) / source.name
        if source.name != "voices" and not target.exists():
            target.symlink_to(source)
    (variants / OWN).write_text(own_voice(np.random.default_rng(0)))
    return sorted(path.name for path in variants.iterdir() if path.name != OWN)


class Espeak:
    """The library, loaded once in a process."""

    def __init__(self, folder: Path) -> None:
        """Load it, with a data folder of our own in `folder`."""
        self.library = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
        found = ctypes.c_char_p()
        self.library.espeak_Info.restype = ctypes.c_char_p
        self.library.espeak_Info(ctypes.byref(found))
        installed = Path(found.value.decode()) if found.value else next(Path("/usr/lib").glob("*/espeak-ng-data"))
        self.variants = voice_folder(installed, folder)
        self._own = folder / "espeak-ng-data" / "voices" / "!v" / OWN
        self.rate = self.library.espeak_Initialize(SYNCHRONOUS, 200, str(folder).encode(), 0)
        if self.rate <= 0:
            raise RuntimeError("espeak-ng did not start; is the Debian package espeak-ng installed?")
        self._callback = _CALLBACK(self._take)
        self.library.espeak_SetSynthCallback(self._callback)
        self._parts: list[Sound] = []
        self._starts: dict[int, int] = {}

    def _take(self, samples: object, count: int, events: object) -> int:
        """Keep what the library hands over: samples and where words start."""
        if samples:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)) / 32768.0)
        k = 0
        while events[k].type != END_OF_LIST:
            if events[k].type == WORD:
                self._starts[events[k].text_position - 1] = events[k].sample
            k += 1
        return 0

    def random_voice(self, rng: np.random.Generator) -> None:
        """Choose accent, variant, speed, pitch and intonation for what comes next."""
        variant = rng.choice(self.variants)
        if rng.random() < 0.6:
            variant = OWN
            self._own.write_text(own_voice(rng))
        voice = f"{rng.choice(ACCENTS)}+{variant}"
        self.library.espeak_SetVoiceByName(voice.encode())
        settings = {SPEED: rng.integers(100, 260), PITCH: rng.integers(5, 95), RANGE: rng.integers(10, 100)}
        for parameter, value in {**settings, WORD_GAP: rng.choice([0, 0, 0, 1, 3, 10])}.items():
            self.library.espeak_SetParameter(parameter, int(value), 0)

    def plain_voice(self) -> None:
        """Choose American English as espeak-ng says it by itself, with pauses between words."""
        self.library.espeak_SetVoiceByName(b"en-us")
        for parameter, value in {SPEED: 150, PITCH: 50, RANGE: 50, WORD_GAP: 10}.items():
            self.library.espeak_SetParameter(parameter, value, 0)

    def speak(self, words: Sequence[str]) -> Utterance:
        """Say `words`, each a plain word that may end in a comma."""
        self._parts, self._starts = [], {}
        text = " ".join(words)
        data = text.encode()
        self.library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, UTF8, None, None)
        if not self._parts:
            raise ValueError(f"espeak-ng said nothing for {text!r}")
        sound = np.concatenate(self._parts)
        sound = np.append(sound, np.zeros(-len(sound) % (self.rate // 50)))  # whole 20 ms: a fast size for resample
        scale = RATE / self.rate
        places = np.cumsum([0, *(len(word) + 1 for word in words)])
        starts = [round(self._starts[place] * scale) if place in self._starts else None for place in places[:-1]]
        sound = resample(sound, scale)
        return Utterance(sound, tuple(words), word_spans(sound, starts))


def word_spans(sound: Sound, starts: Sequence[int | None]) -> tuple[tuple[int, int], ...]:
    """From where each word starts to the last sound in it that is less than 30 dB under its loudest."""
    spans = []
    for k, start in enumerate(starts):
        if start is None:  # said as one with its neighbour
            spans.append((0, 0))
            continue
        stop = next((s for s in starts[k + 1 :] if s is not None), len(sound))
        frames = sound[start : start + (stop - start) // HOP * HOP].reshape(-1, HOP)
        levels = (frames**2).mean(axis=1)
        loud = np.flatnonzero(levels > 1e-3 * levels.max(initial=0))
        spans.append((start, start + HOP * (int(loud[-1]) + 1 if len(loud) else 0)))
    return tuple(spans)


def spoken(
    sound: Sound, words: Sequence[str], phonemes: Sequence[Sequence[int]], ends: NDArray[np.float64]
) -> Utterance:
    """What a network at 24 kHz said: `ends` (samples) of its start, each word's phonemes with one between, its stop.

    A word can be heard a little before its phonemes' time.
    """
    scale, early = RATE / NETWORK_RATE, 0.06 * RATE
    firsts = 1 + np.cumsum([0, *(len(word) + 1 for word in phonemes)])[:-1]
    starts = [
        max(0, int(ends[k - 1] * scale - early)) if word else None for k, word in zip(firsts, phonemes, strict=True)
    ]
    sound = resample(sound, scale)
    cut = max(0, min(start for start in starts if start is not None) - RATE // 20)
    sound, starts = sound[cut:], [start if start is None else start - cut for start in starts]
    return Utterance(sound, tuple(words), word_spans(sound, starts))
