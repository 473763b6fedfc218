"""Weights, whatever their storage: pieces of them, and their products with many vectors."""

from __future__ import annotations

from collections.abc import Iterator

from edgernn.layers.base import Array, Builder, Int8Matrix, Matrix, Ref

MOST_STEPS = 1 << 14  # of all sequences in one frame: each is instructions of its own


def rows(weight: Matrix, start: int, stop: int) -> Matrix:
    """The rows start..stop of a weight, in the same storage."""
    if isinstance(weight, Int8Matrix):
        return Int8Matrix(weight.q[start:stop], weight.scale[start:stop])
    return weight[start:stop]


def products(b: Builder, x: Ref, weight: Matrix, bias: Array | None, count: int) -> Iterator[Ref]:
    """weight @ x[p] + bias for each p < count, in order; x: (count, cols).

    In int8 each is a product of its own, made when it is asked for: x[p] then has its own scale, as it would alone.
    """
    size, cols = weight.shape
    if isinstance(weight, Int8Matrix):
        yield from (b.affine(b.view(x, p * cols, cols), weight, bias) for p in range(count))
        return
    y = b.affine(x, weight, bias, count)
    yield from (b.view(y, p * size, size) for p in range(count))


def extent(W: Matrix, R: Matrix, x: int, h: int) -> tuple[int, int]:
    """(S, P): x numbers are S steps of as many sequences P as states of h numbers; W: (rows, n_in), R: (rows, H).

    Raises ValueError where they are not, or are too many.
    """
    n_in, hidden_size = W.shape[1], R.shape[1]
    count = h // max(hidden_size, 1)
    steps = x // max(count * n_in, 1)
    if steps * count < 1 or count * hidden_size != h or steps * count * n_in != x:
        raise ValueError(f"{x} numbers and states of {h} do not fit weights {W.shape} and {R.shape}")
    if steps * count > MOST_STEPS:
        raise ValueError(f"{steps} steps of {count} sequences in one frame: at most {MOST_STEPS} in all")
    return steps, count
