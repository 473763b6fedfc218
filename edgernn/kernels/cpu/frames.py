"""Between the caller's buffers and the arena: loading, pushing and storing frames; and the check of what comes in."""

from __future__ import annotations

from edgernn.kernels.contract import ADDRESS, ANSWER, FRAME, HIGH, LOW, PORT_WORDS, PORTS, SIZE, STRIDE, TOKENS
from edgernn.kernels.cpu.copies import copied
from edgernn.kernels.cpu.elementwise import arg, read
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.maths import ONE, ZERO
from edgernn.kernels.cpu.vector import N, f32, i32, load_1f, load_1i, load_1n, store_1f, store_1n

INFINITE = i32(0x7F800000)  # the exponent of infinities and NaNs
NONE = i32(0)


@function(N, N, N, N)
def port_word(control, port, word):
    """A word of the control block's entry for a port."""
    return load_1n(control + 8 * (PORTS + port * PORT_WORDS + word))


@function(N, N, N)
def frame_of(control, port):
    """The address of the port's current frame."""
    return port_word(control, port, ADDRESS) + load_1n(control + 8 * FRAME) * port_word(control, port, STRIDE)


@function(N, N, N)
def answer_of(control, port):
    """The address of the port's current answer."""
    return port_word(control, port, ADDRESS) + load_1n(control + 8 * ANSWER) * port_word(control, port, STRIDE)


@function(N, N, N, N)
def shift(y, size, count):
    """Moves `count` frames forward by one; the address where the last one was."""
    return copied(y, y + 4 * size, size * (count - 1))


@kernel
def load(a, arena, weights, control):
    """LOAD: a frame of numbers into the arena."""
    copied(arena + arg(a, 0), frame_of(control, arg(a, 1)), arg(a, 2))
    return 0


@kernel
def load_tokens(a, arena, weights, control):
    """LOAD_TOKENS: a frame of tokens into the arena."""
    y, x, size = arena + arg(a, 0), frame_of(control, arg(a, 1)), arg(a, 2)
    for n in range(size):
        store_1n(y + 8 * n, load_1n(x + 8 * n))
    return 0


@kernel
def push(a, arena, weights, control):
    """PUSH: a frame of numbers behind those before it."""
    size = arg(a, 2)
    copied(shift(arena + arg(a, 0), size, arg(a, 3)), frame_of(control, arg(a, 1)), size)
    return 0


@kernel
def push_tokens(a, arena, weights, control):
    """PUSH_TOKENS: a frame of tokens, as numbers, behind those before it."""
    size, x = arg(a, 2), frame_of(control, arg(a, 1))
    y = shift(arena + arg(a, 0), size, arg(a, 3))
    for n in range(size):
        store_1f(y + 4 * n, f32(load_1n(x + 8 * n)))
    return 0


@kernel
def tokens(a, arena, weights, control):
    """TOKENS: numbers as tokens, kept within low..high."""
    y, x, low, high = arena + arg(a, 0), read(a, 1, arena, weights), f32(arg(a, 3)), f32(arg(a, 4))
    for n in range(arg(a, 2)):
        token = load_1f(x + 4 * n)
        token = token if token > low else low
        store_1n(y + 8 * n, int(token if token < high else high))
    return 0


@kernel
def opened(a, arena, weights, control):
    """GATE: 1 where the pass goes on."""
    wait = arena + arg(a, 0)
    left = load_1f(wait) - ONE
    store_1f(wait, left if left > ZERO else f32(arg(a, 1)))
    return 0 if left > ZERO else 1


@kernel
def store(a, arena, weights, control):
    """STORE: an answer into the caller's buffer."""
    copied(answer_of(control, arg(a, 1)), read(a, 0, arena, weights), arg(a, 2))
    return 0


@function(N, N, N)
def finite(x, count):
    """1 where all of the numbers are finite."""
    bad = NONE
    for n in range(count):
        if (load_1i(x + 4 * n) & INFINITE) == INFINITE:
            bad |= i32(1)
    return 1 if bad == NONE else 0


@kernel
def check(port, control, frames, first):
    """0 when every number of the frames from `first` on is finite (tokens: within low..high), else 1 + the bad one."""
    stride, size = port_word(control, port, STRIDE), port_word(control, port, SIZE)
    address = port_word(control, port, ADDRESS) + first * stride
    if port_word(control, port, TOKENS) != 0:
        least, most = port_word(control, port, LOW), port_word(control, port, HIGH)
        for frame in range(frames):
            for n in range(size):
                token = load_1n(address + frame * stride + 8 * n)
                if token < least or token > most:
                    return 1 + frame
        return 0
    if stride == 4 * size and finite(address, size * frames) != 0:
        return 0
    for frame in range(frames):
        if finite(address + frame * stride, size) == 0:
            return 1 + frame
    return 0
