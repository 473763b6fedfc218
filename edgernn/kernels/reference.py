"""The reference backend: walks the same programs in NumPy, and so defines what the quantised kernels compute, bit for bit.

It shares no code with the compiled kernels: weights lie row by row, and the arithmetic is that of reference_maths. Slow.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.kernels import contract as c
from edgernn.kernels import reference_maths as maths
from edgernn.kernels.contract import OPERANDS, QUANTISED_HEADER, WORDS, Opcode

Array = NDArray[Any]
f32 = np.float32


def at(address: int, count: int, kind: Any = np.float32) -> Array:
    """`count` numbers at an address."""
    if count == 0:
        return np.empty(0, kind)
    raw = (ctypes.c_uint8 * (count * np.dtype(kind).itemsize)).from_address(address)
    return np.frombuffer(raw, kind)


class ReferenceBackend:
    """Weights as they are, row by row. The planner's `Backend`."""

    name = "reference"

    def pack(self, weight: Array, gates: int) -> NDArray[np.uint8]:
        """The matrix itself."""
        return np.ascontiguousarray(weight).reshape(-1).view(np.uint8)

    def pack_rows(self, values: Array, gates: int) -> NDArray[np.uint8]:
        """The numbers themselves."""
        return np.ascontiguousarray(values).view(np.uint8)

    def offsets(self, weight: Array, gates: int) -> NDArray[np.uint8]:
        """None: activations are signed here."""
        return np.empty(0, np.uint8)


class ReferenceLibrary:
    """What `library.Library` is, in NumPy."""

    backend = ReferenceBackend()

    def prepare(self, program: int, control: int) -> None:
        """Walk a program once."""
        words = at(control, c.PORTS, np.int64)
        _Walker(control, int(words[c.ARENA]), int(words[c.WEIGHTS])).walk(program)

    def run(self, control: int) -> int:
        """Check all frames, then walk the program once a frame; 0, or 1 + the number of the bad port."""
        words = at(control, c.PORTS, np.int64)
        for port in range(int(words[c.INPUTS])):
            bad = _first_bad_frame(control, port, int(words[c.FRAMES]))
            if bad is not None:
                words[c.FRAME] = bad
                return 1 + port
        walker = _Walker(control, int(words[c.ARENA]), int(words[c.WEIGHTS]))
        for frame in range(int(words[c.FRAMES])):
            words[c.FRAME] = frame
            walker.walk(int(words[c.PROGRAM]))
        return 0

    def step(self, control: Array, slow: Callable[..., Any]) -> Callable[..., Any]:
        """There is no faster way here."""
        return slow


def _port(control: int, port: int) -> Array:
    return at(control + 8 * (c.PORTS + port * c.PORT_WORDS), c.PORT_WORDS, np.int64)


def _first_bad_frame(control: int, port: int, frames: int) -> int | None:
    words = _port(control, port)
    size = int(words[c.SIZE])
    values = at(int(words[c.ADDRESS]), frames * size, np.int64 if words[c.TOKENS] else np.float32).reshape(frames, size)
    good = (values >= words[c.LOW]) & (values <= words[c.HIGH]) if words[c.TOKENS] else np.isfinite(values)
    bad = np.flatnonzero(~good.all(1))
    return int(bad[0]) if len(bad) else None


class _Walker:
    def __init__(self, control: int, arena: int, weights: int):
        self.control, self.arena, self.weights = control, arena, weights

    def walk(self, program: int) -> None:
        with np.errstate(all="ignore"):
            while True:
                words = [int(w) for w in at(program, WORDS, np.int64)]
                opcode = Opcode(words[0])
                if opcode == Opcode.STOP:
                    return
                getattr(self, opcode.name.lower())(*self._operands(opcode, words[1:]))
                program += 8 * WORDS

    def _operands(self, opcode: Opcode, words: list[int]) -> list[Any]:
        return [self._operand(name[0], word) for name, word in zip(OPERANDS[opcode], words, strict=False)]

    def _operand(self, kind: str, word: int) -> Any:
        if kind == "f":
            return np.int32(word).view(np.float32)
        if kind == "i":
            return word
        if kind == "k":
            return self.weights + word
        return self.arena + word if word >= 0 else self.weights - 1 - word

    def _frame(self, port: int, size: int, kind: Any) -> Array:
        words = _port(self.control, port)
        frame = int(at(self.control, c.PORTS, np.int64)[c.FRAME])
        return at(int(words[c.ADDRESS]) + frame * int(words[c.STRIDE]), size, kind)

    def load(self, y: int, port: int, size: int) -> None:
        at(y, size)[:] = self._frame(port, size, np.float32)

    def load_tokens(self, y: int, port: int, size: int) -> None:
        at(y, size, np.int64)[:] = self._frame(port, size, np.int64)

    def store(self, x: int, port: int, size: int) -> None:
        self._frame(port, size, np.float32)[:] = at(x, size)

    def copy(self, y: int, x: int, size: int) -> None:
        at(y, size)[:] = at(x, size)

    def take(self, y: int, x: int, index: int, size: int, fill: f32) -> None:
        places = at(index, size, np.int32)
        source = at(x, int(places.max(initial=0)) + 1)
        at(y, size)[:] = np.where(places >= 0, source[np.maximum(places, 0)], fill)

    def map(self, y: int, x: int, size: int, function: int, alpha: f32, beta: f32) -> None:
        at(y, size)[:] = maths.MAP[c.MAPS[function]](at(x, size), alpha, beta)

    def combine(self, y: int, a: int, b: int, size: int, operation: int, a_vector: int, b_vector: int) -> None:
        left = at(a, size) if a_vector else np.repeat(at(a, 1), size)
        right = at(b, size) if b_vector else np.repeat(at(b, 1), size)
        at(y, size)[:] = maths.COMBINE[c.COMBINES[operation]](left, right)

    def select(self, y: int, condition: int, a: int, b: int, size: int) -> None:
        at(y, size)[:] = np.where(at(condition, size) != 0, at(a, size), at(b, size))

    def reduce(self, y: int, x: int, rows: int, cols: int, operation: int) -> None:
        at(y, rows)[:] = [maths.REDUCE[c.REDUCES[operation]](row) for row in at(x, rows * cols).reshape(rows, cols)]

    def softmax(self, y: int, x: int, rows: int, cols: int, log: int) -> None:
        for row, out in zip(at(x, rows * cols).reshape(rows, cols), at(y, rows * cols).reshape(rows, cols), strict=True):
            shifted = row - maths.REDUCE["max"](row)
            e = maths.exp(shifted)
            total = maths.REDUCE["sum"](e)
            out[:] = shifted - maths.log(np.array([total]))[0] if log else e * (f32(1) / total)

    def normalise(self, y: int, x: int, rows: int, cols: int, epsilon: f32, centre: int) -> None:
        for row, out in zip(at(x, rows * cols).reshape(rows, cols), at(y, rows * cols).reshape(rows, cols), strict=True):
            mean = maths.REDUCE["mean"](row) if centre else f32(0)
            variance = maths.REDUCE["sum_square"](row - mean) / f32(cols)
            out[:] = (row - mean) * (f32(1) / np.sqrt(variance + epsilon))

    def lookup_f32(self, y: int, tokens: int, table: int, count: int, cols: int, vocabulary: int) -> None:
        rows = at(table, vocabulary * cols).reshape(vocabulary, cols)
        at(y, count * cols)[:] = rows[at(tokens, count, np.int64)].reshape(-1)

    def lookup_i8(self, y: int, tokens: int, table: int, scale: int, count: int, cols: int, vocabulary: int) -> None:
        rows, token = at(table, vocabulary * cols, np.int8).reshape(vocabulary, cols), at(tokens, count, np.int64)
        at(y, count * cols)[:] = (rows[token].astype(np.float32) * at(scale, vocabulary)[token, None]).reshape(-1)

    def quantise(self, y: int, x: int, cols: int, count: int) -> None:
        values = at(x, cols * count)
        largest = np.maximum(np.abs(values).max(initial=0), f32(1e-20))
        at(y, 1)[:] = largest / f32(127)
        stride = -(-cols // 4) * 4
        q = at(y + QUANTISED_HEADER, stride * count, np.int8).reshape(count, stride)
        q[:, :cols] = np.rint(values * (f32(127) / largest)).astype(np.int8).reshape(count, cols)
        q[:, cols:] = 0

    def _sums(self, x: int, W: int, scale: int, rows: int, cols: int, position: int = 0) -> Array:
        """The integer products of one quantised row, as float32."""
        stride = -(-cols // 4) * 4
        q = at(x + QUANTISED_HEADER + stride * position, cols, np.int8).astype(np.int64)
        total = at(W, rows * cols, np.int8).reshape(rows, cols).astype(np.int64) @ q
        return total.astype(np.float32) * (at(scale, rows) * at(x, 1)[0])

    def affine_f32(self, y: int, x: int, W: int, bias: int, rows: int, cols: int, count: int) -> None:
        weight, values = at(W, rows * cols).reshape(rows, cols), at(x, cols * count).reshape(count, cols)
        at(y, rows * count).reshape(count, rows)[:] = values @ weight.T + at(bias, rows)

    def affine_i8(
        self, y: int, x: int, W: int, scale: int, offset: int, bias: int, rows: int, cols: int, count: int
    ) -> None:
        for position in range(count):
            out = at(y + 4 * rows * position, rows)
            out[:] = at(bias, rows) + self._sums(x, W, scale, rows, cols, position)

    def _gates_f32(self, x: int, h: int, W: int, R: int, cols: int, hidden: int, gates: int) -> tuple[Array, Array]:
        w, r = at(W, gates * hidden * cols).reshape(-1, cols), at(R, gates * hidden * hidden).reshape(-1, hidden)
        return w @ at(x, cols), r @ at(h, hidden)

    def _gates_i8(self, x: int, h: int, stored: list[int], cols: int, hidden: int, gates: int) -> tuple[Array, Array]:
        W, w_scale, _, R, r_scale, _ = stored
        return self._sums(x, W, w_scale, gates * hidden, cols), self._sums(h, R, r_scale, gates * hidden, hidden)

    def rnn_f32(self, y: int, x: int, h: int, W: int, R: int, bias: int, cols: int, hidden: int, relu: int) -> None:
        from_x, from_h = self._gates_f32(x, h, W, R, cols, hidden, 1)
        _rnn(y, (from_x + at(bias, hidden)) + from_h, relu)

    def rnn_i8(self, y: int, x: int, h: int, *rest: int) -> None:
        *stored, bias, cols, hidden, relu = rest
        from_x, from_h = self._gates_i8(x, h, stored, cols, hidden, 1)
        _rnn(y, (at(bias, hidden) + from_x) + from_h, relu)

    def gru_f32(self, y: int, x: int, h: int, W: int, R: int, bias: int, cols: int, hidden: int) -> None:
        _gru(y, at(h, hidden), at(bias, 4 * hidden), *self._gates_f32(x, h, W, R, cols, hidden, 3))

    def gru_i8(self, y: int, x: int, h_q: int, h: int, *rest: int) -> None:
        *stored, bias, cols, hidden = rest
        _gru(y, at(h, hidden), at(bias, 4 * hidden), *self._gates_i8(x, h_q, stored, cols, hidden, 3))

    def lstm_f32(self, y: int, c_new: int, x: int, h: int, cell: int, *rest: int) -> None:
        W, R, bias, cols, hidden = rest
        from_x, from_h = self._gates_f32(x, h, W, R, cols, hidden, 4)
        _lstm(y, c_new, at(cell, hidden), (at(bias, 4 * hidden) + from_x) + from_h)

    def lstm_i8(self, y: int, c_new: int, x: int, h: int, cell: int, *rest: int) -> None:
        *stored, bias, cols, hidden = rest
        from_x, from_h = self._gates_i8(x, h, stored, cols, hidden, 4)
        _lstm(y, c_new, at(cell, hidden), (at(bias, 4 * hidden) + from_x) + from_h)


def _rnn(y: int, total: Array, relu: int) -> None:
    at(y, len(total))[:] = maths.MAP["relu" if relu else "tanh"](total, f32(0), f32(0))


def _gru(y: int, h: Array, bias: Array, from_x: Array, from_h: Array) -> None:
    b_z, b_r, b_n, b_m = np.split(bias, 4)
    x_z, x_r, x_n = np.split(from_x, 3)
    h_z, h_r, h_n = np.split(from_h, 3)
    z, r = (b_z + x_z) + h_z, (b_r + x_r) + h_r
    n = maths.tanh((b_n + x_n) + (b_m + h_n) / (maths.gate(r) + f32(1)))
    at(y, len(h))[:] = n + (h - n) / (maths.gate(z) + f32(1))


def _lstm(y: int, c_new: int, c_old: Array, gates: Array) -> None:
    i, o, f, g = np.split(gates, 4)
    cell = c_old / (maths.gate(f) + f32(1)) + maths.gated(g, i)
    at(c_new, len(cell))[:] = cell
    at(y, len(cell))[:] = maths.gated(cell, o)
