"""Keras models of the export zoo, written by `keras.Model.export(path, format="onnx")`.

In: nothing but a seed. Out: `makers()`, a function per file, which writes the file and returns its arrays.
May import: keras, tensorflow, numpy. Run by make_exports.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow
from keras import layers

Arrays = dict[str, np.ndarray]

SAVED_STEPS = 30


def classifier() -> keras.Model:
    """Embedding, LSTM, dense on the last step: 164,106 parameters."""
    return keras.Sequential(
        [keras.Input((None,)), layers.Embedding(1000, 64), layers.LSTM(128), layers.Dense(10)], name="classifier"
    )


def tagger(vocabulary: int) -> keras.Model:
    """A label for every token."""
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="tokens"),
            layers.Embedding(vocabulary, 128),
            layers.LSTM(64, return_sequences=True),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="tagger",
    )


def masked() -> keras.Model:
    """Token 0 is padding: the LSTM keeps its state where it stands."""
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(50, 12, mask_zero=True),
            layers.LSTM(16),
            layers.Dense(3),
        ],
        name="masked",
    )


def stack(*hidden: layers.Layer, outputs: int = 4, activation: str | None = None, inputs: int = 8) -> keras.Model:
    """The given layers, then a dense layer on every step they leave."""
    return keras.Sequential([keras.Input((None, inputs)), *hidden, layers.Dense(outputs, activation=activation)])


def deep(kind: type[layers.Layer], units: int) -> keras.Model:
    """Three recurrent layers of one kind."""
    return stack(*(kind(units, return_sequences=True) for _ in range(3)))


def elman() -> keras.Model:
    """The plain recurrent network with a softmax on every step."""
    return stack(layers.SimpleRNN(32, return_sequences=True), outputs=6, activation="softmax")


def gru(reset_after: bool) -> keras.Model:
    """One GRU layer, in Keras' default form or in the form of the first paper."""
    return stack(layers.GRU(16, return_sequences=True, reset_after=reset_after), inputs=6)


def conv_lstm() -> keras.Model:
    """A causal convolution with its normalisation ahead of an LSTM."""
    return stack(
        layers.Conv1D(12, 3, padding="causal", activation="relu"),
        layers.BatchNormalization(),
        layers.LSTM(16, return_sequences=True),
    )


def bidirectional() -> keras.Model:
    """An LSTM in both directions: it can't be streamed."""
    return stack(layers.Bidirectional(layers.LSTM(12, return_sequences=True)))


def bidirectional_gru() -> keras.Model:
    """A GRU in both directions that gives its last answers: two loops, the second over the sequence turned round."""
    return stack(layers.Bidirectional(layers.GRU(12)))


def bidirectional_tagger() -> keras.Model:
    """A label for every token, which depends on the words before and after it."""
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="tokens"),
            layers.Embedding(50, 12),
            layers.Bidirectional(layers.LSTM(12, return_sequences=True)),
            layers.Dense(4, activation="softmax"),
        ],
        name="bidirectional_tagger",
    )


def layernorm() -> keras.Model:
    """A dense layer and a normalisation of each frame ahead of an LSTM."""
    return stack(layers.Dense(16), layers.LayerNormalization(), layers.LSTM(16, return_sequences=True))


def crnn() -> keras.Model:
    """Convolutions over time and frequency, pooling of both, LSTM on the channels of all bands."""
    return stack(
        layers.Reshape((-1, 8, 1)),
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.MaxPooling2D((1, 2)),
        layers.Reshape((-1, 12)),
        layers.LSTM(8, return_sequences=True),
        outputs=3,
    )


def valid_gru() -> keras.Model:
    """A convolution without padding that answers every second frame, ahead of a GRU."""
    return stack(layers.Conv1D(8, 3, strides=2, activation="relu"), layers.GRU(8, return_sequences=True), outputs=3)


def separable() -> keras.Model:
    """A depthwise-separable convolution with its normalisation ahead of a plain recurrent layer."""
    return stack(
        layers.SeparableConv1D(8, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.SimpleRNN(8, return_sequences=True),
        outputs=3,
    )


def pooled() -> keras.Model:
    """A convolution and pooling over time ahead of a GRU; the mean of its states so far."""
    return stack(
        layers.ZeroPadding1D((2, 0)),
        layers.Conv1D(8, 3, activation="relu"),
        layers.MaxPooling1D(2),
        layers.GRU(8, return_sequences=True),
        layers.GlobalAveragePooling1D(),
        outputs=3,
    )


@dataclass(frozen=True)
class Recipe:
    """One model: how to build it, and the number of words it knows (None: it takes frames)."""

    build: Callable[[], keras.Model]
    words: int | None = None


def recipes(vocabulary: int) -> dict[str, Recipe]:
    """All Keras models by file name, the tagger with `vocabulary` words."""
    return {
        "classifier_keras": Recipe(classifier, 1000),
        "tagger_keras": Recipe(partial(tagger, vocabulary), vocabulary),
        "elman_keras": Recipe(elman),
        "deep_rnn_keras": Recipe(partial(deep, layers.SimpleRNN, 24)),
        "deep_gru_keras": Recipe(partial(deep, layers.GRU, 20)),
        "deep_lstm_keras": Recipe(partial(deep, layers.LSTM, 16)),
        "keras_gru_reset_after": Recipe(partial(gru, True)),
        "keras_gru_reset_before": Recipe(partial(gru, False)),
        "keras_conv_lstm": Recipe(conv_lstm),
        "keras_bidirectional": Recipe(bidirectional),
        "keras_bidirectional_gru": Recipe(bidirectional_gru),
        "keras_bidirectional_tagger": Recipe(bidirectional_tagger, 50),
        "keras_layernorm": Recipe(layernorm),
        "keras_masked_embedding": Recipe(masked, 50),
        "keras_crnn": Recipe(crnn),
        "keras_valid_gru": Recipe(valid_gru),
        "keras_separable": Recipe(separable),
        "keras_pooled": Recipe(pooled),
    }


def draw(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """A weight of one kind (the end of its Keras path), in multiples of 1/256; no bias or statistic is trivial."""
    if kind in ("gamma", "moving_variance"):
        value = rng.uniform(0.5, 1.5, shape)
    elif kind in ("bias", "beta", "moving_mean"):
        value = rng.normal(0, 0.25, shape)
    elif kind == "embeddings":
        value = rng.normal(0, 0.5, shape)
    else:  # kernel, recurrent_kernel: (..., n_in, n_out)
        value = rng.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape)
    return (np.round(value * 256) / 256).astype(np.float32)


def sample(rng: np.random.Generator, model: keras.Model, words: int | None) -> np.ndarray:
    """Frames (1, T, n), or tokens (1, T); where 0 is padding, one 0 stands amid them and several at the end."""
    if words is None:
        return rng.normal(size=(1, SAVED_STEPS, model.input_shape[-1])).astype(np.float32)
    x = rng.integers(1, words, (1, SAVED_STEPS)).astype(model.inputs[0].dtype)
    if any(getattr(layer, "mask_zero", False) for layer in model.layers):
        x[:, 7] = 0
        x[:, -6:] = 0
    return x


def make(recipe: Recipe, path: Path) -> Arrays:
    """Write one file and return the arrays that belong to it."""
    keras.backend.clear_session()
    model = recipe.build()
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(draw(rng, weight.path.rsplit("/", 1)[-1], tuple(weight.shape)))
    x = sample(rng, model, recipe.words)
    y = model(x, training=False).numpy()  # a model that was never called can't be exported
    model.export(path, format="onnx", verbose=False)
    return {"x": x, "y": y}


def makers(vocabulary: int) -> dict[str, Callable[[Path], Arrays]]:
    """A function for each file, by the file's name."""
    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    return {name: partial(make, recipe) for name, recipe in recipes(vocabulary).items()}
