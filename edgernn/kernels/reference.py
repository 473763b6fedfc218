"""The reference backend: walks the same programs in NumPy, and so defines what the quantised kernels compute.

It shares no code with the compiled kernels: weights lie row by row, and the arithmetic is that of reference_maths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.kernels import contract as c
from edgernn.kernels import reference_hearing
from edgernn.kernels import reference_maths as maths
from edgernn.kernels.contract import OPERANDS, WORDS, Opcode
from edgernn.kernels.memory import at
from edgernn.kernels.reference_quantised import QuantisedInstructions

Array = NDArray[Any]
f32 = np.float32


class ReferenceBackend:
    """Weights as they are, row by row. The planner's `Backend`."""

    name = "reference"

    def pack(self, weight: Array) -> NDArray[np.uint8]:
        """The matrix itself."""
        return np.ascontiguousarray(weight).reshape(-1).view(np.uint8)

    def pack_nibbles(self, weight: Array) -> NDArray[np.uint8]:
        """The matrix itself, a byte for each number."""
        return self.pack(weight)

    def pack_rows(self, values: Array) -> NDArray[np.uint8]:
        """The numbers themselves."""
        return np.ascontiguousarray(values).view(np.uint8)

    def offsets(self, weight: Array) -> NDArray[np.uint8]:
        """None: activations are signed here."""
        return np.empty(0, np.uint8)


class ReferenceLibrary:
    """What `native.Library` is, in NumPy."""

    backend = ReferenceBackend()
    hear = None  # there is no faster way here

    def prepare(self, program: int, control: int) -> None:
        """Walk a program once."""
        words = at(control, c.PORTS, np.int64)
        _Walker(control, int(words[c.ARENA]), int(words[c.WEIGHTS])).walk(program)

    def run(self, block: Array, frames: int, *arrays: Array) -> int:
        """Check all frames, then walk the program once a frame; 0, or 1 + the number of the bad port."""
        control = block.ctypes.data
        words = at(control, c.PORTS, np.int64)
        _called(block, frames, *arrays)
        for port in range(int(words[c.INPUTS])):
            bad = _first_bad_frame(control, port, range(frames))
            if bad is not None:
                words[c.FRAME] = bad
                return 1 + port
        walker = _Walker(control, int(words[c.ARENA]), int(words[c.WEIGHTS]))
        words[c.ANSWER] = 0
        for frame in range(int(words[c.FRAMES])):
            words[c.FRAME] = frame
            words[c.ANSWER] += walker.walk(int(words[c.PROGRAM]))
        return 0

    def pool(self, block: Array, frames: int, begin: int, end: int, tile: int, numbers: Array, *arrays: Array) -> int:
        """The streams from place begin to end, one after the other, in the tile's first slot; how many were refused."""
        words, control, refusals = block, block.ctypes.data, 0
        for port, array in enumerate(arrays):
            _port(control, port)[c.ADDRESS] = array.ctypes.data
        slot = at(int(words[c.ARENA]) + c.SLOT_HEADER, int(words[c.SLOT]) - c.SLOT_HEADER, np.uint8)
        walker = _Walker(control, slot.ctypes.data, int(words[c.WEIGHTS]))
        streams = int(words[c.POOL])
        for place in range(begin, end):
            number = int(numbers[place])
            rows = range(number, number + frames * streams, streams)
            if any(_first_bad_frame(control, p, rows) is not None for p in range(int(words[c.INPUTS]))):
                numbers[place] = -1 - number
                refusals += 1
                continue
            carried = at(int(words[c.STATES]) + number * int(words[c.CARRIED]), int(words[c.CARRIED]), np.uint8)
            slot[: len(carried)] = carried
            words[c.ANSWER] = number
            for frame in rows:
                words[c.FRAME] = frame
                words[c.ANSWER] += streams * walker.walk(int(words[c.PROGRAM]))
            carried[:] = slot[: len(carried)]
        return refusals

    def features(self, block: Array, count: int, samples: Array, frames: Array) -> int:
        """The entry `features`, see kernels.hearing."""
        return reference_hearing.features(_called(block, count, samples, frames))

    def scores(self, block: Array, count: int, answers: Array, scores: Array) -> int:
        """The entry `scores`, see kernels.hearing."""
        return reference_hearing.scores(_called(block, count, answers, scores))

    def fast(
        self, control: Array, slow: tuple[Callable[..., Any], Callable[..., Any]]
    ) -> tuple[Callable[..., Any], ...]:
        """There are no faster ways here."""
        return slow


def _port(control: int, port: int) -> Array:
    return at(control + 8 * (c.PORTS + port * c.PORT_WORDS), c.PORT_WORDS, np.int64)


def _called(block: Array, count: int, *arrays: Array) -> Array:
    """The block with what a call brings."""
    block[c.FRAMES] = count
    for port, array in enumerate(arrays):
        block[c.PORTS + port * c.PORT_WORDS + c.ADDRESS] = array.ctypes.data
    return block


def _first_bad_frame(control: int, port: int, frames: range) -> int | None:
    words = _port(control, port)
    kind = np.int64 if words[c.TOKENS] else np.float32
    for frame in frames:
        values = at(int(words[c.ADDRESS]) + frame * int(words[c.STRIDE]), int(words[c.SIZE]), kind)
        good = (values >= words[c.LOW]) & (values <= words[c.HIGH]) if words[c.TOKENS] else np.isfinite(values)
        if not good.all():
            return frame
    return None


class _Walker(QuantisedInstructions):
    def __init__(self, control: int, arena: int, weights: int):
        self.control, self.arena, self.weights = control, arena, weights

    def walk(self, program: int) -> bool:
        with np.errstate(all="ignore"):
            while True:
                words = [int(w) for w in at(program, WORDS, np.int64)]
                opcode = Opcode(words[0])
                if opcode == Opcode.STOP:
                    return True
                operands = self._operands(opcode, words[1:])
                if opcode == Opcode.GATE:
                    if not self._opened(*operands):
                        return False
                else:
                    getattr(self, opcode.name.lower())(*operands)
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

    def _frame(self, port: int, size: int, kind: Any, counter: int = c.FRAME) -> Array:
        words = _port(self.control, port)
        frame = int(at(self.control, c.PORTS, np.int64)[counter])
        return at(int(words[c.ADDRESS]) + frame * int(words[c.STRIDE]), size, kind)

    def _opened(self, wait: int, hop: int) -> bool:
        left = at(wait, 1)[0] - f32(1)
        at(wait, 1)[:] = left if left > 0 else hop
        return bool(left <= 0)

    def _push(self, y: int, count: int, frame: Array) -> None:
        frames = at(y, len(frame) * count)
        frames[:] = np.append(frames[len(frame) :], frame)

    def push(self, y: int, port: int, size: int, count: int) -> None:
        self._push(y, count, self._frame(port, size, np.float32))

    def push_tokens(self, y: int, port: int, size: int, count: int) -> None:
        self._push(y, count, self._frame(port, size, np.int64))

    def tokens(self, y: int, x: int, size: int, low: int, high: int) -> None:
        at(y, size, np.int64)[:] = np.clip(at(x, size), low, high)

    def load(self, y: int, port: int, size: int) -> None:
        at(y, size)[:] = self._frame(port, size, np.float32)

    def load_tokens(self, y: int, port: int, size: int) -> None:
        at(y, size, np.int64)[:] = self._frame(port, size, np.int64)

    def store(self, x: int, port: int, size: int) -> None:
        self._frame(port, size, np.float32, c.ANSWER)[:] = at(x, size)

    def copy(self, y: int, x: int, size: int) -> None:
        at(y, size)[:] = at(x, size)

    def take(self, y: int, x: int, index: int, size: int, fill: f32) -> None:
        places = at(index, size, np.int32)
        source = at(x, int(places.max(initial=0)) + 1)
        at(y, size)[:] = np.where(places >= 0, source[np.maximum(places, 0)], fill)

    def map(self, y: int, x: int, size: int, function: int, alpha: f32, beta: f32) -> None:
        at(y, size)[:] = maths.MAP[c.MAPS[function]](at(x, size), np.array(alpha), np.array(beta))

    def combine(self, y: int, a: int, b: int, size: int, operation: int, a_vector: int, b_vector: int) -> None:
        left = at(a, size) if a_vector else np.repeat(at(a, 1), size)
        right = at(b, size) if b_vector else np.repeat(at(b, 1), size)
        at(y, size)[:] = maths.COMBINE[c.COMBINES[operation]](left, right)

    def taps(self, y: int, x: int, offsets: int, factors: int, bias: int, size: int, count: int, period: int) -> None:
        total, rows = np.resize(at(bias, period), size), at(factors, count * period).reshape(count, period)
        for offset, row in zip(at(offsets, count, np.int32), rows, strict=True):
            total += np.resize(row, size) * at(x + 4 * int(offset), size)
        at(y, size)[:] = total

    def select(self, y: int, condition: int, a: int, b: int, size: int) -> None:
        at(y, size)[:] = np.where(at(condition, size) != 0, at(a, size), at(b, size))

    def reduce(self, y: int, x: int, rows: int, cols: int, operation: int) -> None:
        at(y, rows)[:] = [maths.REDUCE[c.REDUCES[operation]](row) for row in at(x, rows * cols).reshape(rows, cols)]

    def softmax(self, y: int, x: int, rows: int, cols: int, log: int) -> None:
        for row, out in zip(
            at(x, rows * cols).reshape(rows, cols), at(y, rows * cols).reshape(rows, cols), strict=True
        ):
            shifted = row - maths.REDUCE["max"](row)
            e = maths.exp(shifted)
            total = maths.REDUCE["sum"](e)
            out[:] = shifted - maths.log(np.array([total]))[0] if log else e * (f32(1) / total)

    def normalise(self, y: int, x: int, rows: int, cols: int, epsilon: f32, centre: int) -> None:
        for row, out in zip(
            at(x, rows * cols).reshape(rows, cols), at(y, rows * cols).reshape(rows, cols), strict=True
        ):
            mean = maths.REDUCE["mean"](row) if centre else f32(0)
            variance = maths.REDUCE["sum_square"](row - mean) / f32(cols)
            out[:] = (row - mean) * (f32(1) / np.sqrt(variance + epsilon))

    def lookup_f32(self, y: int, tokens: int, table: int, count: int, cols: int, vocabulary: int) -> None:
        rows = at(table, vocabulary * cols).reshape(vocabulary, cols)
        at(y, count * cols)[:] = rows[at(tokens, count, np.int64)].reshape(-1)

    def affine_f32(self, y: int, x: int, W: int, bias: int, rows: int, cols: int, count: int) -> None:
        weight, values = at(W, rows * cols).reshape(rows, cols), at(x, cols * count).reshape(count, cols)
        at(y, rows * count).reshape(count, rows)[:] = values @ weight.T + at(bias, rows)

    def affine_exact(self, y: int, x: int, W: int, bias: int, rows: int, cols: int, count: int) -> None:
        weight, values = at(W, rows * cols).reshape(rows, cols), at(x, cols * count).reshape(count, cols)
        total = np.zeros((count, rows), np.float32)
        for k in range(cols):
            total += values[:, k : k + 1] * weight[:, k]
        at(y, rows * count).reshape(count, rows)[:] = total + at(bias, rows)

    def rnn(self, h_new: int, from_x: int, from_h: int, hidden: int, relu: int) -> None:
        total = at(from_x, hidden) + at(from_h, hidden)
        at(h_new, hidden)[:] = maths.bounded_relu(total) if relu else maths.tanh(total)

    def gru(self, h_new: int, from_x: int, from_h: int, h: int, hidden: int) -> None:
        x_z, x_r, x_n = np.split(at(from_x, 3 * hidden), 3)
        h_z, h_r, h_n = np.split(at(from_h, 3 * hidden), 3)
        n = maths.tanh(x_n + h_n / (maths.gate(x_r + h_r) + f32(1)))
        at(h_new, hidden)[:] = n + (at(h, hidden) - n) / (maths.gate(x_z + h_z) + f32(1))

    def lstm(self, h_new: int, c_new: int, from_x: int, from_h: int, c_old: int, hidden: int) -> None:
        i, o, f, g = np.split(at(from_x, 4 * hidden) + at(from_h, 4 * hidden), 4)
        cell = at(c_old, hidden) / (maths.gate(f) + f32(1)) + maths.gated(g, i)
        at(c_new, hidden)[:] = cell
        at(h_new, hidden)[:] = maths.gated(cell, o)
