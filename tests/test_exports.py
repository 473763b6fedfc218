"""Small models as exporters write them: the answers of the framework that they came from, and of ONNX Runtime.

tools/make_exports.py makes the files again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgernn.conversion.parity import parity
from edgernn.errors import UnsupportedModel
from edgernn.importer import read
from edgernn.layers.base import Array
from edgernn.quantiser import quantise
from edgernn.stream import Stream

FOLDER = Path(__file__).parent / "exports"
# what is refused, and the words that say why
REFUSED = {
    "keras_bidirectional": "direction=bidirectional.*window=N",
    "keras_bidirectional_gru": "turns the sequence round.*window=N",
    "keras_bidirectional_tagger": "direction=bidirectional.*window=N",
    "squeezed_torchscript": "takes the mean over time, but the sequence ends with padding.*window=N",
}
# hop, delay and receptive field, worked out by hand
RHYTHMS = {
    "crnn_torchscript": (2, 4, 8),
    "same_gru_torchscript": (1, 2, 5),
    "same_gru_dynamo": (1, 2, 5),
    "subsampled_torchscript": (4, 0, 7),
    "subsampled_dynamo": (4, 0, 7),
    "same_rnn_dynamo": (1, 1, 3),
    "tcn_torchscript": (1, 0, 15),
    "tcn_dynamo": (1, 0, 15),
    "wavenet_torchscript": (1, 7, 8),
    "separable_torchscript": (4, 4, 11),
    "unfolded_dynamo": (1, 2, 3),
    "deltas_torchscript": (1, 0, 3),
    "deltas_dynamo": (1, 0, 3),
    "paired_torchscript": (1, 0, 1),
    "paired_dynamo": (1, 0, 1),
    "replicated_torchscript": (1, 1, 9),
    "keras_crnn": (2, 4, 8),
    "keras_valid_gru": (2, 2, 3),
    "keras_separable": (1, 1, 3),
    "keras_pooled": (2, 0, 4),
    "keras_conv_lstm": (1, 0, 3),
}
# their states start from what the file asks for as an input; a stream's states start from zero
WITH_STATES = {"lstm_state_dynamo", "lstm_state_torchscript"}
NAMES = sorted(path.stem for path in FOLDER.glob("*.onnx"))
CONVERTED = [name for name in NAMES if name not in REFUSED]
STEPS = 1000


def recorded(name: str) -> tuple[Array, Array]:
    """The framework's input and output, (T, n) each; a classifier's output is one row."""
    held = np.load(FOLDER / f"{name}.npz")
    return held["x"].reshape(held["x"].size // read(FOLDER / f"{name}.onnx").inputs[0].size, -1), held["y"]


@pytest.mark.parametrize("name", [name for name in CONVERTED if name not in WITH_STATES])
def test_answers_are_those_of_the_framework(name: str) -> None:
    model, (x, y) = read(FOLDER / f"{name}.onnx"), recorded(name)
    stream = Stream(model)
    answer = np.concatenate([stream.run(part) for part in np.array_split(x, 7)])
    expected, late = y.reshape(-1, answer.shape[1]), model.delay // model.hop
    begun = answer[-1:] if len(expected) == 1 else answer[late:]
    assert len(answer) == len(x) // model.hop and not answer[:late].any()
    assert len(begun) <= len(expected)
    assert np.abs(begun - expected[: len(begun)]).max() < 1e-5


@pytest.mark.parametrize("name", RHYTHMS)
def test_the_rhythm_is_that_of_the_layers(name: str) -> None:
    model = read(FOLDER / f"{name}.onnx")
    assert (model.hop, model.delay, model.receptive_field) == RHYTHMS[name]


@pytest.mark.parametrize("name", CONVERTED)
def test_answers_are_those_of_onnx_runtime_over_a_long_run(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    figures = parity(read(path), path, steps=STEPS)
    assert max(found.max_error for found in figures.values()) < 1e-5


@pytest.mark.parametrize("name", CONVERTED)
def test_int8_stays_near(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    figures = parity(quantise(read(path), "int8"), path, steps=STEPS)
    assert min(found.snr for found in figures.values()) > 25


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_stream_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedModel, match=REFUSED[name]):
        read(FOLDER / f"{name}.onnx")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_stream_runs_on_windows(name: str) -> None:
    """On one window the answer is that of the framework, on others that of ONNX Runtime, quantised too."""
    path, held = FOLDER / f"{name}.onnx", np.load(FOLDER / f"{name}.npz")
    x, y = held["x"][0], held["y"].reshape(-1)
    model = read(path, window=len(x))
    (answer,) = Stream(model).run(x)
    assert np.abs(answer - y).max() < 1e-5 and len(model.nodes) < 25
    model = replace(read(path, window=11, hop=5), origin={"window": 11})
    assert max(found.max_error for found in parity(model, path, steps=100).values()) < 1e-5
    assert min(found.snr for found in parity(quantise(model, "int8"), path, steps=100).values()) > 25


def test_the_classifier_has_the_textbook_size() -> None:
    """Embedding(1000, 64), LSTM(128), Dense(10): 64,000 + 98,816 + 1,290."""
    assert read(FOLDER / "classifier_keras.onnx").parameters == 164_106
