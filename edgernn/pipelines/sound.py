"""Sound files as samples: WAV in 16-bit PCM by the standard library, all else by the package soundfile."""

from __future__ import annotations

import logging
import wave
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import BackendUnavailable, BadInput
from edgernn.layers.base import Array

LOG = logging.getLogger("edgernn")

ENDLESS = 0x7FFFF000  # bytes or more: what a WAV says that was written to a pipe
HEADER = 4096  # bytes; what is longer than that holds more than a header
CUT_OFF = ": its header says that it holds no sound, though it does: was its recording cut off?"
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff")


@dataclass(frozen=True)
class Sound:
    """An open sound file."""

    rate: int  # samples a second
    channels: int
    samples: Iterator[Array]  # (n, channels) float32 within [-1, 1), a part at a time


def read_sound(path: Path, say: Callable[[str], None] = LOG.warning) -> tuple[Array, int]:
    """(samples (n,) float32, samples a second) of a whole file; `say` is told where channels are mixed to one.

    Raises what open_sound raises.
    """
    with open_sound(path, 1.0) as sound:
        if sound.channels > 1:
            say(f"{path}: {sound.channels} channels, mixed to one")
        parts = [part.mean(axis=1, dtype=np.float32) for part in sound.samples]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32), sound.rate


@contextmanager
def open_sound(path: Path, seconds: float) -> Iterator[Sound]:
    """A sound file, in parts of so many seconds.

    Raises BadInput for what is no sound file, and BackendUnavailable where soundfile is needed and not installed.
    """
    with closing(_open_wave(path) or _open_other(path)) as file:
        if isinstance(file, wave.Wave_read):
            rate, channels, parts = file.getframerate(), file.getnchannels(), _pcm(path, file, seconds)
        else:
            rate, channels, parts = file.samplerate, file.channels, _decoded(path, file, seconds)
        if not rate:
            raise BadInput(f"{path} is not a WAV file: it says that it has 0 samples a second")
        yield Sound(rate, channels, parts)


def _open_wave(path: Path) -> wave.Wave_read | None:
    try:
        file = wave.open(str(path), "rb")  # noqa: SIM115  # the caller closes it
    except EOFError:
        raise BadInput(f"{path} is not a WAV file: it is empty or truncated") from None
    except wave.Error as error:
        if _begun(path):
            raise BadInput(f"{path}{CUT_OFF}") from None
        if path.suffix.lower() == ".wav" and not str(error).startswith("unknown format"):
            raise BadInput(f"{path} is not a WAV file: {error}") from None
        return None
    if file.getsampwidth() == 2:
        return file
    file.close()
    return None


def _begun(path: Path) -> bool:
    """Whether a header stands there that was never completed."""
    with path.open("rb") as file:
        return file.read(12) == b"RIFF\0\0\0\0WAVE"


def _pcm(path: Path, file: wave.Wave_read, seconds: float) -> Iterator[Array]:
    channels, rate, promised, read = file.getnchannels(), file.getframerate(), file.getnframes(), 0
    while data := file.readframes(max(1, round(seconds * rate))):
        whole = len(data) // (2 * channels)
        read += whole
        yield np.frombuffer(data, "<i2", whole * channels).reshape(-1, channels).astype(np.float32) / 32768
    if read < promised and promised * 2 * channels < ENDLESS:
        there = f"its header promises {promised / rate:.2f} s, {read / rate:.2f} s are there"
        raise BadInput(f"{path} cannot be read to its end: {there}")
    if not promised and path.stat().st_size > HEADER:
        raise BadInput(f"{path}{CUT_OFF}")


def check_finite(path: Path, samples: Array, at: int) -> None:
    """Raises BadInput for a number that is not finite in samples (n, channels) of a file, from number `at` on."""
    for wrong in np.flatnonzero(~np.isfinite(samples).all(axis=1))[:1]:
        raise BadInput(f"{path}: sample {at + wrong} is {samples[wrong].sum()}; all numbers must be finite float32")


def _decoded(path: Path, file: Any, seconds: float) -> Iterator[Array]:
    count, at = max(1, round(seconds * file.samplerate)), 0
    try:
        while len(samples := file.read(count, dtype="float32", always_2d=True)):
            check_finite(path, samples, at)
            at += len(samples)
            yield samples
    except RuntimeError as error:  # as soundfile.LibsndfileError is
        raise BadInput(f"{path} cannot be read to its end: {error}") from None


def _open_other(path: Path) -> Any:
    try:
        import soundfile
    except ImportError:
        raise BackendUnavailable(
            f'{path} is not 16-bit PCM: pip install "edgernn[audio]" reads other encodings'
        ) from None
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise BadInput(f"{path} is not a sound file that can be read: {error}") from None
