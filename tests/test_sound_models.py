"""The models that listen: what models/kws-digits-gru, kws-digits-crnn and vad-gru promise in their cards."""

from __future__ import annotations

import tomllib
import wave
from pathlib import Path

import numpy as np
import pytest
from commands import usage

import edgernn
from edgernn.cli import bench
from edgernn.layers.base import Array
from edgernn.pipelines.decide import Decider

ROOT = Path(__file__).parent.parent
SPOTTERS = ["kws-digits-gru", "kws-digits-crnn"]
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def converted(name: str, quantize: str = "none") -> edgernn.Model:
    folder = ROOT / "models" / name
    settings = tomllib.loads((folder / "pipeline.toml").read_text())
    return edgernn.convert(folder / "model.onnx", quantize=quantize, **settings)


def counting(name: str) -> Array:
    """The frames of a voice that counts to nine."""
    with np.load(ROOT / "models" / name / "io.npz") as io:
        frames: Array = io["x"]
    return frames


@pytest.fixture(scope="module")
def speech() -> Array:
    """The demo's sound: two sentences without any of the digits."""
    with wave.open(str(ROOT / "edgernn" / "demo" / "speech.wav")) as sound:
        return np.frombuffer(sound.readframes(-1), "<i2").astype(np.float32) / 32768


@pytest.mark.parametrize("name", [*SPOTTERS, "vad-gru"])
def test_int8_is_small(name: str, tmp_path: Path) -> None:
    converted(name, "int8").save(tmp_path / "model.edgernn")
    assert (tmp_path / "model.edgernn").stat().st_size < 40_000


@pytest.mark.parametrize("quantize", ["none", "int8"])
@pytest.mark.parametrize("name", SPOTTERS)
def test_a_spotter_counts_to_nine(name: str, quantize: str, speech: Array) -> None:
    model = converted(name, quantize)
    assert model.deciding is not None
    decider = Decider(model.deciding, 0.01 * model.hop)
    assert [found.label for found in decider.feed(model.stream().run(counting(name)))] == DIGITS
    pipeline = edgernn.Pipeline(model)
    assert pipeline.feed(speech) + pipeline.finish() == []


def test_bench_times_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "spread", len)
    stream = converted("kws-digits-crnn").stream()
    assert stream.model.hop == 3 and bench.step_times(stream, 100) == 100  # type: ignore[comparison-overlap]


def test_bench_takes_no_options_that_a_built_folder_has_no_use_for(tmp_path: Path) -> None:
    (tmp_path / "edgernn_device.py").touch()
    assert "are for a model file" in usage("bench", tmp_path, "--rate", 100)


@pytest.mark.parametrize("quantize", ["none", "int8"])
def test_vad_finds_both_sentences(quantize: str, speech: Array) -> None:
    pipeline = edgernn.Pipeline(converted("vad-gru", quantize))
    found = pipeline.feed(speech) + pipeline.finish()
    levels = np.add.reduceat(speech**2, range(0, len(speech), 160))
    inside = [any(one.start <= 0.01 * k < one.end for one in found) for k in range(len(levels))]
    assert levels[inside].sum() > 0.9 * levels.sum() and 0.3 < np.mean(inside) < 0.8
