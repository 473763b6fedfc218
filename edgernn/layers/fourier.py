"""DFT and STFT of a fixed length: products with a constant matrix of cosines and sines."""

from __future__ import annotations

import numpy as np

from edgernn.layers.axes import constant, normal, numbers
from edgernn.layers.base import Array
from edgernn.layers.conv import conv
from edgernn.layers.matmul import affine
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places, taken

LARGEST = 1 << 23  # numbers in the matrix of a transform


@rule("DFT")
def dft(
    g: Importing,
    input: Value,
    dft_length: Value | None = None,
    axis: Value | None = None,
    *,
    axis_: int | None = None,
    inverse: int = 0,
    onesided: int = 0,
) -> Value:
    """ONNX DFT of (..., n, ..., 1 or 2), real and imaginary parts last; the axis is an attribute before opset 20."""
    rank, parts = len(input.shape), input.shape[-1]
    given = axis_ if axis is None else numbers(g, axis, "axis")[0]
    along = normal(g, (1 if g.opset < 20 else -2) if given is None else given, rank)
    halved = bool(onesided and inverse)  # of a real signal, whose other half mirrors this one
    if along == rank - 1 or parts not in (1, 2) or (onesided and parts != 1 + halved):
        g.refuse(f"axis={along}, inverse={inverse}, onesided={onesided} of {list(input.shape)} is not defined")
    if along == input.time:
        g.refuse("transforms the time axis", WINDOW)
    size = input.shape[along]
    whole = 2 * (size - 1) if halved else size
    n = whole if dft_length is None else numbers(g, dft_length, "dft_length")[0]
    matrix = mirrored(g, n) if halved else spectrum(g, n, bool(onesided), bool(inverse), parts)
    read = min(matrix.shape[2], size)
    matrix = np.pad(matrix[:, :, :read], ((0, 0), (0, 0), (0, size - read), (0, 0)))
    order = [k for k in range(rank - 1) if k != along] + [along, rank - 1]
    turned = taken(g, input, places(input).transpose(order), None if input.time is None else order.index(input.time))
    rest, made = turned.shape[:-2], matrix.shape[:2]
    columns = matrix[0, 0].size
    y = affine(g, reshaped(g, turned, (*rest, columns), turned.time), matrix.reshape(-1, columns))
    y = reshaped(g, y, (*rest, *made), y.time)
    return taken(g, y, places(y).transpose(np.argsort(order)), input.time)


@rule("STFT")
def stft(
    g: Importing,
    signal: Value,
    frame_step: Value,
    window: Value | None = None,
    frame_length: Value | None = None,
    *,
    onesided: int = 1,
) -> Value:
    """ONNX STFT of a real signal (1, samples, 1), whose samples are steps: (1, frames, bins, 2)."""
    shape = None if window is None else constant(g, window, "window").astype(np.float64)
    if shape is None and frame_length is None:
        g.refuse("has neither a window nor a frame_length")
    n = len(shape) if shape is not None else numbers(g, frame_length, "frame_length")[0]
    if frame_length is not None and numbers(g, frame_length, "frame_length")[0] != n:
        g.refuse(f"a window of {n} for frames of another length")
    if len(signal.shape) not in (2, 3) or signal.shape[2:] not in ((), (1,)):
        g.refuse(
            f"a signal of shape {list(signal.shape)}, expected one channel of real samples", "take one DFT a frame"
        )
    matrix = spectrum(g, n, bool(onesided), False, 1)[..., 0] * (1.0 if shape is None else shape)
    time = None if signal.time is None else 2
    x = reshaped(g, signal, (signal.shape[0], 1, signal.shape[1]), time)
    weight = g.constant(matrix.reshape(-1, 1, n).astype(np.float32))
    y = conv(g, x, weight, strides=numbers(g, frame_step, "frame_step"))
    y = reshaped(g, y, (y.shape[0], len(matrix), 2, y.shape[2]), None if y.time is None else 3)
    return taken(g, y, places(y).transpose(0, 3, 1, 2), None if y.time is None else 1).like(y)


def spectrum(g: Importing, n: int, onesided: bool, inverse: bool, parts: int) -> Array:
    """(bins, 2, n, parts): real and imaginary part of each bin, by those of each of n numbers."""
    bins = n // 2 + 1 if onesided else n
    if n < 1 or 2 * bins * n * parts > LARGEST or not g.has_room((bins, 2, n, parts)):
        g.refuse(f"a transform of {n} numbers: its matrix would hold more than {LARGEST}", "take a shorter one")
    turns = np.arange(n) * (2 * np.pi / n)
    at = np.outer(np.arange(bins), np.arange(n)) % n
    factor = 1 / n if inverse else 1
    real = (np.cos(turns) * factor).astype(np.float32)[at]
    imaginary = (np.sin(turns) * (factor if inverse else -factor)).astype(np.float32)[at]
    made = np.empty((bins, 2, n, parts), np.float32)
    made[:, 0, :, 0], made[:, 1, :, 0] = real, imaginary
    if parts == 2:
        made[:, 0, :, 1], made[:, 1, :, 1] = -imaginary, real
    return made


def mirrored(g: Importing, n: int) -> Array:
    """(n, 1, bins, 2): each of n real numbers, by the real and imaginary parts of the first half of their spectrum."""
    full = spectrum(g, n, False, True, 2)[:, :1]
    bins = n // 2 + 1
    made: Array = full[:, :, :bins].copy()
    made[:, :, 1 : n - bins + 1] *= 2
    return made
