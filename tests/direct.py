"""The Builder's verbs computed at once, in float64 NumPy: what a lowering means, without a planner or a kernel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgernn.layers.base import dense
from edgernn.layers.model import Model
from edgernn.layers.pointwise import FUNCTIONS, OPERATIONS
from edgernn.layers.reduce import REDUCTIONS

Array = np.ndarray


@dataclass(frozen=True)
class Held:
    """A value: flat numbers."""

    numbers: Array

    @property
    def size(self) -> int:
        """How many there are."""
        return self.numbers.size


class Direct:
    """Implements `layers.base.Builder` by computing; `run` walks a Model through its lowerings."""

    def __init__(self, model: Model):
        self.model = model

    def run(self, x: Array) -> dict[str, Array]:
        """The answers to (T, size) frames of the only input port, by output port."""
        port = self.model.inputs[0]
        kind = np.int64 if port.dtype == "int64" else np.float64
        states = {state.name: state.initial.astype(np.float64).reshape(-1) for state in self.model.states}
        rows: dict[str, list[Array]] = {out.name: [] for out in self.model.outputs}
        for frame in np.asarray(x, kind).reshape(-1, port.size):
            values = {name: Held(value) for name, value in states.items()} | {port.value: Held(frame)}
            for node in self.model.nodes:
                shapes = tuple(self.model.shapes[name] for name in node.inputs)
                made = node.layer.lower(self, shapes, *(values[name] for name in node.inputs))
                values.update(zip(node.outputs, made, strict=True))
            for out in self.model.outputs:
                rows[out.name].append(values[out.value].numbers)
            states = {state.name: values[state.source].numbers for state in self.model.states}
        return {name: np.array(row) for name, row in rows.items()}

    def constant(self, values: Array) -> Held:
        return Held(np.asarray(values, np.float64).reshape(-1))

    def affine(self, x: Held, weight: Any, bias: Array | None, count: int = 1) -> Held:
        y = x.numbers.reshape(count, -1) @ dense(weight).astype(np.float64).T
        return Held((y if bias is None else y + bias).reshape(-1))

    def map(self, function: str, x: Held, alpha: float = 0.0, beta: float = 0.0) -> Held:
        with np.errstate(all="ignore"):
            return Held(FUNCTIONS[function](x.numbers, alpha, beta))

    def combine(self, operation: str, a: Held, b: Held) -> Held:
        assert a.size == b.size or 1 in (a.size, b.size)
        with np.errstate(all="ignore"):
            return Held(OPERATIONS[operation](a.numbers, b.numbers))

    def select(self, condition: Held, a: Held, b: Held) -> Held:
        assert condition.size == a.size == b.size
        return Held(np.where(condition.numbers != 0, a.numbers, b.numbers))

    def along(self, x: Held, weight: Any, count: int = 1) -> tuple[Held, Any]:
        return x, weight

    def sums(self, x: Held, index: Array, factors: Array, bias: Array) -> Held:
        return Held((x.numbers[index] * factors).sum(axis=1) + bias)

    def take(self, x: Held, index: Array, fill: float = 0.0) -> Held:
        assert index.ndim == 1 and index.min() >= -1 and index.max() < x.size
        return Held(np.append(x.numbers, fill)[index])

    def view(self, x: Held, start: int, size: int) -> Held:
        assert 0 <= start <= start + size <= x.size
        return Held(x.numbers[start : start + size])

    def join(self, *parts: Held) -> Held:
        return Held(np.concatenate([part.numbers for part in parts]))

    def collect(self, parts: Iterable[Held], size: int) -> Held:
        made = self.join(*parts)
        assert made.size == size
        return made

    def reduce(self, operation: str, x: Held, rows: int, cols: int) -> Held:
        return Held(REDUCTIONS[operation](x.numbers.reshape(rows, cols), axis=1, keepdims=False))

    def softmax(self, x: Held, rows: int, cols: int, log: bool = False) -> Held:
        e = np.exp(x.numbers.reshape(rows, cols))
        y = e / e.sum(1, keepdims=True)
        return Held((np.log(y) if log else y).reshape(-1))

    def normalise(self, x: Held, rows: int, cols: int, epsilon: float, centre: bool = True) -> Held:
        y = x.numbers.reshape(rows, cols)
        y = y - y.mean(1, keepdims=True) if centre else y
        return Held((y / np.sqrt((y * y).mean(1, keepdims=True) + epsilon)).reshape(-1))

    def lookup(self, token: Held, table: Any) -> Held:
        return Held(dense(table)[int(token.numbers[0])].astype(np.float64))

    def cell(self, kind: str, x: Held, states: tuple[Held, ...], W: Any, R: Any, bias: Array) -> tuple[Held, ...]:
        hidden = R.shape[1]
        held = [state.numbers.reshape(-1, hidden) for state in states]
        rows = []
        for frame in (x.numbers.reshape(-1, W.shape[1]) @ dense(W).T).reshape(-1, len(held[0]), len(W)):
            held = one_step(kind, frame, held[0] @ dense(R).T, held, bias)
            rows.append(held[0])
        return Held(np.concatenate(rows).reshape(-1)), *(Held(state.reshape(-1)) for state in held[1:])


def one_step(kind: str, from_x: Array, from_h: Array, states: list[Array], bias: Array) -> list[Array]:
    """The new states of all sequences, (P, H) each."""
    h = states[0]
    if kind == "lstm":
        i, o, f, c = np.split(from_x + from_h + bias, 4, axis=1)
        new_c = squash(f) * states[1] + squash(i) * np.tanh(c)
        return [squash(o) * np.tanh(new_c), new_c]
    if kind == "gru":
        (xz, xr, xn), (hz, hr, hn) = np.split(from_x, 3, axis=1), np.split(from_h, 3, axis=1)
        bz, br, bn, rn = np.split(bias, 4)
        z, r = squash(xz + hz + bz), squash(xr + hr + br)
        n = np.tanh(xn + r * (hn + rn) + bn)
        return [(1 - z) * n + z * h]
    total = from_x + from_h + bias
    return [np.tanh(total) if kind == "rnn_tanh" else np.maximum(total, 0)]


def squash(x: Array) -> Array:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))
