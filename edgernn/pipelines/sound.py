"""WAV files as frames of consecutive samples."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgernn.errors import BackendUnavailable, BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Port
from edgernn.pipelines.ports import Frames, single


def read_wav(path: Path, ports: Sequence[Port], chunk: int, say: Callable[[str], None]) -> Iterator[Frames]:
    """Frames of `size` consecutive samples within [-1, 1), and a word about what is left of the last one."""
    port = single(ports, "a sound")
    if port.dtype != "float32":
        raise BadInput(f"{path}: input '{port.name}' takes tokens, not sound")
    samples, _ = read_sound(path)
    count = len(samples) // port.size
    frames = samples[: count * port.size].reshape(count, port.size)
    for start in range(0, count, chunk):
        yield frames[start : start + chunk]
    rest = len(samples) - count * port.size
    if rest:
        say(f"left out the last {rest} samples of {path}: a frame takes {port.size}")


def read_sound(path: Path) -> tuple[Array, int]:
    """(samples (n,) float32 within [-1, 1), samples a second) of a mono WAV file.

    16-bit PCM is read by the standard library, other encodings by the package soundfile. Raises BadInput for what is no
    mono WAV file, and BackendUnavailable where soundfile is needed and not installed.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes()) if width == 2 else b""
    except EOFError:
        raise BadInput(f"{path} is not a WAV file: it is empty or truncated") from None
    except wave.Error as error:
        if not str(error).startswith("unknown format"):
            raise BadInput(f"{path} is not a WAV file: {error}") from None
        width = 0
    if width != 2:
        return _read_other(path)
    _check_mono(path, channels)
    whole = len(data) // 2 * 2
    return np.frombuffer(data[:whole], "<i2").astype(np.float32) / 32768, rate


def _read_other(path: Path) -> tuple[Array, int]:
    try:
        import soundfile
    except ImportError:
        raise BackendUnavailable(
            f'{path} is not 16-bit PCM: pip install "edgernn[audio]" reads other encodings'
        ) from None
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)  # (n, channels)
    except soundfile.LibsndfileError as error:
        raise BadInput(f"{path} is not a WAV file that can be read: {error}") from None
    _check_mono(path, samples.shape[1])
    return np.ascontiguousarray(samples[:, 0]), int(rate)


def _check_mono(path: Path, channels: int) -> None:
    if channels != 1:
        raise BadInput(
            f"{path} has {channels} channels, the model takes one: mix it down first, "
            f"for example with: ffmpeg -i {path.name} -ac 1 mono.wav"
        )
