"""From an ONNX file to a model and its figures: every kind of graph is compared with ONNX Runtime in its own way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import CLASSIFIER, EXPORTS, GOLDEN, SEQUENCE, STATEFUL, STEP

import edgernn
from edgernn.conversion.noise import noise
from edgernn.conversion.oracle import Oracle
from edgernn.conversion.parity import parity

EXAMPLE = EXPORTS / "deep_gru_dynamo.onnx"  # its time axis is called free, but only its example's length works
CARRIED = EXPORTS / "lstm_state_dynamo.onnx"  # the same, with states as inputs and outputs
TOKENS = EXPORTS / "tagger_torchscript.onnx"

# file, frames a call takes, frames compared of 100
KINDS = [
    (SEQUENCE, None, 100),
    (STATEFUL, None, 100),
    (TOKENS, None, 100),
    (STEP, 1, 100),
    (EXAMPLE, 12, 12),
    (CARRIED, 12, 96),
]


@pytest.mark.parametrize(("source", "chunk", "compared"), KINDS, ids=lambda value: getattr(value, "stem", None))
def test_every_kind_of_graph_is_compared(source: Path, chunk: int | None, compared: int) -> None:
    model = edgernn.convert(source)
    assert Oracle(source, model).chunk == chunk
    for found in parity(model, source, steps=100).values():
        assert found.frames == compared and found.max_error < 1e-5


def test_a_classifier_is_compared_at_the_ends_of_sequences() -> None:
    model = edgernn.convert(CLASSIFIER)
    answers = Oracle(CLASSIFIER, model).answers(noise(model.inputs, 100))
    (places,) = [found.frames for found in answers.values()]
    assert places[0] == 0 and places[-1] == 99 and len(places) > 10
    assert all(found.max_error < 1e-5 for found in parity(model, CLASSIFIER, steps=100).values())


def test_a_wrong_model_is_found_out() -> None:
    model = edgernn.convert(SEQUENCE, quantize="int8")
    (found,) = parity(model, SEQUENCE, steps=100).values()
    assert 1e-5 < found.max_error < 0.1 and 30 < found.snr < 80
    with pytest.raises(edgernn.BadInput, match="did not come from"):
        parity(edgernn.load(GOLDEN / "small.edgernn"), SEQUENCE)


def test_calibration_figures_are_kept() -> None:
    frames = noise(edgernn.convert(SEQUENCE).inputs, 30)["x"]
    one = edgernn.convert(SEQUENCE, quantize="int8", calibration=frames)
    assert one.origin["parity"]["outputs"]["y"]["frames"] == 30
    several = edgernn.convert(SEQUENCE, quantize="int8", calibration=[frames, {"x": frames[:5]}])
    assert several.origin["parity"]["outputs"]["y"]["frames"] == 35
    assert one.hash == several.hash


@pytest.mark.parametrize("frames", [[], 3.0, np.zeros((4, 5), np.float32), [{"z": np.zeros((4, 6))}]])
def test_calibration_that_does_not_fit_is_refused(frames: object) -> None:
    with pytest.raises(edgernn.BadInput):
        edgernn.convert(SEQUENCE, calibration=frames)


def test_the_origin_says_where_a_model_came_from() -> None:
    origin = edgernn.convert(STATEFUL).origin
    assert origin["states"] == {"h0": "hn", "c0": "cn"} and "time" in origin["time"] and origin["notes"] == []
    assert origin["producer"].startswith("pytorch") and len(origin["sha256"]) == 64


def test_what_convert_refuses() -> None:
    with pytest.raises(ValueError, match="one of none, float16, int8, int8x16, int16, int4 expected"):
        edgernn.convert(SEQUENCE, quantize="int32")
    with pytest.raises(edgernn.UnsupportedModel, match="bidirectional"):
        edgernn.convert(EXPORTS / "keras_bidirectional.onnx")


def test_noise_fits_the_ports() -> None:
    (port,) = edgernn.convert(TOKENS).inputs
    tokens = noise([port], 1000)[port.name]
    assert tokens.dtype == np.int64 and port.low <= tokens.min() and tokens.max() <= port.high
    ports = edgernn.load(GOLDEN / "small.edgernn").inputs
    first, again = noise(ports, 9), noise(ports, 9)
    assert [array.shape for array in first.values()] == [(9, 3), (9, 1)]
    assert all((first[name] == again[name]).all() and first[name].dtype == np.float32 for name in first)
