"""The benchmark's models as LiteRT files: one frame and the states in, the answer and the new states out.

    python tools/litert_models.py

Run it once where TensorFlow is installed. The files, some 30 MB, go to edgernn's folder in the user's cache, where
tools/bench.py looks for them. int8 is LiteRT's dynamic range quantisation: weights in
8 bits, activations scaled anew in every step.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent / part) for part in ("", "tests")]
from cases import SIZES  # noqa: E402

from edgernn.kernels.jit import cache_folder  # noqa: E402
from edgernn.layers import GRU, LSTM, RNN, Affine, Embedding, Map, Softmax  # noqa: E402
from edgernn.layers.base import Array, Layer, dense  # noqa: E402
from edgernn.layers.model import Model  # noqa: E402

Tensor = Any  # TensorFlow's, all of them (1, n)


def litert_file(size: str, name: str) -> Path:
    """Where a size's float or int8 file is, or will be."""
    return cache_folder() / "litert" / f"{size}-{name}.tflite"


def sums(x: Tensor, weight: Array, bias: Array) -> Tensor:
    """The gates' sums for x, in one product."""
    import tensorflow as tf

    return tf.linalg.matmul(x, tf.constant(weight.T)) + tf.constant(bias)


def cell(layer: LSTM | GRU | RNN, x: Tensor, states: list[Tensor]) -> list[Tensor]:
    """The new states, h first; W and R in one product where the cell allows it."""
    import tensorflow as tf

    W, R, hidden = dense(layer.W), dense(layer.R), layer.R.shape[1]
    if isinstance(layer, GRU):
        recurrent = np.pad(layer.bias[3 * hidden :], (2 * hidden, 0))
        z, r, n = tf.split(sums(x, W, layer.bias[: 3 * hidden]), 3, axis=1)
        z_h, r_h, n_h = tf.split(sums(states[0], R, recurrent), 3, axis=1)
        z, r = tf.sigmoid(z + z_h), tf.sigmoid(r + r_h)
        n = tf.tanh(n + r * n_h)
        return [n + z * (states[0] - n)]
    both = sums(tf.concat([x, states[0]], 1), np.concatenate([W, R], axis=1), layer.bias)
    if isinstance(layer, RNN):
        return [tf.tanh(both)]
    i, o, f, c = tf.split(both, 4, axis=1)  # ONNX order
    new = tf.sigmoid(f) * states[1] + tf.sigmoid(i) * tf.tanh(c)
    return [tf.sigmoid(o) * tf.tanh(new), new]


def other(layer: Layer, x: Tensor) -> Tensor:
    """What is neither a cell nor a reshape."""
    import tensorflow as tf

    if isinstance(layer, Embedding):
        return tf.gather(tf.constant(dense(layer.table)), x[:, 0])
    if isinstance(layer, Affine):
        assert layer.bias is not None
        return sums(x, dense(layer.weight), layer.bias)
    if isinstance(layer, Softmax):
        return tf.nn.softmax(x)
    return getattr(tf.nn, layer.function)(x) if isinstance(layer, Map) else x


def step(model: Model, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """(the answer, the new states...)."""
    old, new = list(states), []
    for node in model.nodes:
        if isinstance(node.layer, (LSTM, GRU, RNN)):
            count = 2 if isinstance(node.layer, LSTM) else 1
            made = cell(node.layer, x, old[:count])
            old, new, x = old[count:], [*new, *made], made[0]
        else:
            x = other(node.layer, x)
    return x, *new


def converted(model: Model, int8: bool) -> bytes:
    """The file's content."""
    import tensorflow as tf

    (port,) = model.inputs
    taken = [tf.TensorSpec([1, port.size], tf.int32 if port.dtype == "int64" else tf.float32, "x")]
    taken += [tf.TensorSpec([1, s.initial.shape[-1]], tf.float32, f"s{n}") for n, s in enumerate(model.states)]

    @tf.function(input_signature=taken)  # type: ignore[untyped-decorator]
    def function(x: Tensor, *states: Tensor) -> dict[str, Tensor]:
        return {f"y{n}": value for n, value in enumerate(step(model, x, states))}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    made: bytes = converter.convert()
    return made


def main() -> None:
    """Write float and int8 of every size."""
    for size, make in SIZES.items():
        for name in ("float", "int8"):
            path = litert_file(size, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(converted(make(), name == "int8"))
            print(path)


if __name__ == "__main__":
    main()
