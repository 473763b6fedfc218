"""The plan's instruction set: what planner and backends agree on. Plain data, no processor in it.

A program is an int64 array (instructions, WORDS). Word 0 is the Opcode, the others its operands in the order of
OPERANDS. An operand is, by its kind:

    w   byte offset in the arena that the instruction writes
    r   value that it reads: a byte offset in the arena, or, negative, -1 - offset among the weights
    k   byte offset among the weights
    i   integer
    f   float32, as its bits

Values are float32 vectors in C order; buffers are 64-byte aligned and padded, so that a kernel may read and write whole
registers. Tokens are int64.

A quantised vector is QUANTISED_HEADER bytes that begin with its float32 scale, then `count` rows of integers, of
`quantised_stride` bytes each, filled up with zeros. Its reach is the largest number held, beyond which it is cut off; 0
stands for the vector's own largest number. Its form is what the matrix it meets wants, a number of FORMS:

    int8     numbers within -127..127, in fours
    int8x16  within -32767..32767, in fours: as 16-bit numbers, or, for a set that stores int8 with an offset, as four
             high bytes with that offset and four low bytes
    int16    within -32767..32767, in pairs: two high parts, then two low parts, x = 256 high + low, both int16
    int4     as int8 without any offset, in groups of 32, each with its sum times -8 as an int32 behind it

A pool is POOL streams of one program. What a stream carries from frame to frame is the beginning of its arena, CARRIED
bytes (Plan.carried_bytes); of all streams it lies side by side at STATES. Each worker has a control block and a tile of
its own: slots of SLOT bytes, each SLOT_HEADER and an arena; then the address of room for what kernels make of weights
and vectors, and a list of as many addresses as there are slots. The entry `pool(control, begin, end, tile)` runs FRAMES
frames through the streams whose numbers stand at STREAMS, from place begin to end: as many as the tile has slots enter
it at a time, and each instruction runs for all of them before the next one does, so that weights are read once a tile.
A port holds (FRAMES, POOL, size) numbers in, (answers, POOL, size) out. A stream with a bad number in any of its frames
does not enter: its number at STREAMS becomes -1 - itself; the entry returns how many did not. A stream's answers are
the same bits as if it ran alone.

May import: NumPy.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

WORDS = 16
ALIGNMENT = 64
QUANTISED_HEADER = 64


class Opcode(IntEnum):
    """What an instruction does. `rows`, `cols`, `count` and `size` count numbers, not bytes.

    PUSH and PUSH_TOKENS shift `count` frames by one and put the new one behind them, as float32; TOKENS gives such
    frames as tokens. GATE counts `wait` down and ends the pass unless it reaches 0; there it starts again from `hop`.
    """

    GATE = -1
    STOP = 0
    LOAD = 1
    LOAD_TOKENS = 2
    STORE = 3
    COPY = 4
    TAKE = 5
    MAP = 6
    COMBINE = 7
    SELECT = 8
    REDUCE = 9
    SOFTMAX = 10
    NORMALISE = 11
    LOOKUP_F32 = 12
    LOOKUP_I8 = 13
    QUANTISE = 14
    AFFINE_F32 = 15
    AFFINE_I8 = 16
    RNN = 17
    GRU = 18
    LSTM = 19
    AFFINE_EXACT = 20
    AFFINE_I8X16 = 21
    AFFINE_I16 = 22
    AFFINE_I4 = 23
    LOOKUP_I16 = 24
    LOOKUP_I4 = 25
    PUSH = 26
    PUSH_TOKENS = 27
    TOKENS = 28
    TAPS = 29


OPERANDS: dict[Opcode, tuple[str, ...]] = {
    Opcode.STOP: (),
    Opcode.GATE: ("w wait", "i hop"),
    Opcode.PUSH: ("w y", "i port", "i size", "i count"),
    Opcode.PUSH_TOKENS: ("w y", "i port", "i size", "i count"),
    Opcode.TOKENS: ("w y", "r x", "i size", "i low", "i high"),
    Opcode.LOAD: ("w y", "i port", "i size"),
    Opcode.LOAD_TOKENS: ("w y", "i port", "i size"),
    Opcode.STORE: ("r x", "i port", "i size"),
    Opcode.COPY: ("w y", "r x", "i size"),
    Opcode.TAKE: ("w y", "r x", "k index", "i size", "f fill"),
    Opcode.MAP: ("w y", "r x", "i size", "i function", "f alpha", "f beta"),
    Opcode.COMBINE: ("w y", "r a", "r b", "i size", "i operation", "i a_is_vector", "i b_is_vector"),
    Opcode.SELECT: ("w y", "r condition", "r a", "r b", "i size"),
    # y[i] = bias[n] + sum over k of factors[k, n] * x[offsets[k] + i] with n = i % period, each product and sum rounded
    # in the order of k; period: a multiple of 64, or size
    Opcode.TAPS: ("w y", "r x", "k offsets", "k factors", "k bias", "i size", "i count", "i period"),
    Opcode.REDUCE: ("w y", "r x", "i rows", "i cols", "i operation"),
    Opcode.SOFTMAX: ("w y", "r x", "i rows", "i cols", "i log"),
    Opcode.NORMALISE: ("w y", "r x", "i rows", "i cols", "f epsilon", "i centre"),
    Opcode.LOOKUP_F32: ("w y", "r tokens", "k table", "i count", "i cols", "i vocabulary"),
    Opcode.LOOKUP_I8: ("w y", "r tokens", "k table", "k scale", "i count", "i cols", "i vocabulary"),
    Opcode.LOOKUP_I16: ("w y", "r tokens", "k table", "k scale", "i count", "i cols", "i vocabulary"),
    Opcode.LOOKUP_I4: ("w y", "r tokens", "k table", "k scale", "k factor", "i count", "i cols", "i vocabulary"),
    Opcode.QUANTISE: ("w y", "r x", "i cols", "i count", "i form", "f reach"),
    Opcode.AFFINE_F32: ("w y", "r x", "k panels", "k bias", "i rows", "i cols", "i count"),
    # the same with each product rounded and added in the order of the columns: what float32 layers of a quantised model
    # run, whose bits must be the same everywhere
    Opcode.AFFINE_EXACT: ("w y", "r x", "k panels", "k bias", "i rows", "i cols", "i count"),
    Opcode.AFFINE_I8: ("w y", "r x", "k panels", "k scale", "k offset", "k bias", "i rows", "i cols", "i count"),
    # y = bias + (W q) * (row scale * scale of q), where W q is an exact integer that is rounded to float32 once
    Opcode.AFFINE_I8X16: ("w y", "r x", "k panels", "k scale", "k offset", "k bias", "i rows", "i cols", "i count"),
    Opcode.AFFINE_I16: ("w y", "r x", "k panels", "k scale", "k offset", "k bias", "i rows", "i cols", "i count"),
    Opcode.AFFINE_I4: ("w y", "r x", "k panels", "k scale", "k factor", "k bias", "i rows", "i cols", "i count"),
    # from_x = W x + b and from_h = R h + b lie gate after gate, in ONNX order
    Opcode.RNN: ("w h_new", "r from_x", "r from_h", "i hidden", "i relu"),
    Opcode.GRU: ("w h_new", "r from_x", "r from_h", "r h", "i hidden"),
    Opcode.LSTM: ("w h_new", "w c_new", "r from_x", "r from_h", "r c", "i hidden"),
}

# The control block that an entry is called with: int64 words, some for the caller (see builtin), then PORT_WORDS for
# each port, inputs first. FRAME counts the frames of a call, ANSWER the answers given in it so far
PROGRAM, WEIGHTS, ARENA, FRAMES, INPUTS, FRAME, BUSY, ANSWER, CALLER, PORTS = 0, 1, 2, 3, 4, 5, 6, 7, 8, 24
# A pool's control block has these words too; its ARENA is a tile of slots (see above)
STREAMS, STATES, CARRIED, POOL, SLOT = 19, 20, 21, 22, 23
# The words that begin a slot, and its bytes before the arena
SLOT_FRAME, SLOT_ANSWER, SLOT_STREAM, SLOT_X, SLOT_STEP, SLOT_HEADER = 0, 1, 2, 3, 4, 64
ADDRESS, STRIDE, SIZE, TOKENS, LOW, HIGH, PORT_WORDS = 0, 1, 2, 3, 4, 5, 6

# The numbers of MAP, COMBINE and REDUCE: positions in these lists
# fmt: off
MAPS = (
    "abs", "neg", "exp", "log", "sqrt", "reciprocal", "floor", "ceil", "round", "sign", "trunc", "erf", "relu",
    "leakyrelu", "thresholdedrelu", "elu", "celu", "selu", "sigmoid", "hardsigmoid", "hardswish", "tanh", "scaledtanh",
    "softsign", "softplus", "gelu", "gelu_tanh", "mish", "swish", "affine", "clip", "shrink", "not", "pow", "sin",
    "cos",
)
COMBINES = (
    "add", "sub", "mul", "div", "min", "max", "pow", "less", "less_equal", "greater", "greater_equal", "equal", "and",
    "or", "xor", "mod",
)
FORMS = ("int8", "int8x16", "int16", "int4")  # of quantised vectors: by the weights they are made for
GROUP = 32  # columns of an int4 matrix that share a factor
REDUCES = ("sum", "mean", "max", "min", "prod", "sum_square", "sum_abs")
# fmt: on


def quantised_stride(form: str, cols: int) -> int:
    """Bytes of one row of a quantised vector."""
    numbers, size = {"int8": (4, 4), "int8x16": (4, 8), "int16": (2, 8), "int4": (GROUP, GROUP + 4)}[form]
    return -(-cols // numbers) * size


class Backend(Protocol):
    """How one kind of processor wants its weights."""

    @property
    def name(self) -> str:
        """The instruction set, or `reference`."""

    def pack(self, weight: NDArray[np.generic]) -> NDArray[np.uint8]:
        """The bytes in which the kernels read a (rows, cols) matrix: float32, int16, int8, or factors in uint8."""

    def pack_nibbles(self, weight: NDArray[np.int8]) -> NDArray[np.uint8]:
        """The same of a matrix in int4, all numbers within -8..7."""

    def pack_rows(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """One 32-bit number for each row of such a matrix (bias, scale)."""

    def offsets(self, weight: NDArray[np.int8]) -> NDArray[np.uint8]:
        """int32 a row, added to its product with int8 (or high bytes) to undo their unsigned form; may be empty."""
