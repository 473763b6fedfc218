"""The kernel: every stream of a pool through all frames of a call, in one launch."""

from __future__ import annotations

from numba import cuda, int32

from edgernn.kernels.contract import FORMS, WORDS, Opcode
from edgernn.kernels.cuda.affine import affine_floats, affine_integers
from edgernn.kernels.cuda.elementwise import combine, copy, gru, lstm, map_, rnn, select, take, taps
from edgernn.kernels.cuda.frames import (
    FLOAT,
    INT4,
    INT8,
    INT16,
    NONE,
    Traffic,
    keep,
    load,
    lookup,
    opened,
    push,
    store,
    tokens,
)
from edgernn.kernels.cuda.maths import ZERO
from edgernn.kernels.cuda.primitives import Thread, device, u64
from edgernn.kernels.cuda.rows import normalise, part_of_largest, quantise, reduce, softmax

CODE = {code.name: int(code) for code in Opcode}
STOP, GATE, LOAD, LOAD_TOKENS, STORE = (CODE[name] for name in ("STOP", "GATE", "LOAD", "LOAD_TOKENS", "STORE"))
COPY, TAKE, MAP, COMBINE, SELECT = (CODE[name] for name in ("COPY", "TAKE", "MAP", "COMBINE", "SELECT"))
REDUCE, SOFTMAX, NORMALISE = (CODE[name] for name in ("REDUCE", "SOFTMAX", "NORMALISE"))
LOOKUP_F32, LOOKUP_I8, LOOKUP_I16, LOOKUP_I4 = (CODE[f"LOOKUP_{name}"] for name in ("F32", "I8", "I16", "I4"))
AFFINE_F32, AFFINE_EXACT, AFFINE_I8 = (CODE[f"AFFINE_{name}"] for name in ("F32", "EXACT", "I8"))
AFFINE_I8X16, AFFINE_I16, AFFINE_I4 = (CODE[f"AFFINE_{name}"] for name in ("I8X16", "I16", "I4"))
QUANTISE, RNN, GRU, LSTM = (CODE[name] for name in ("QUANTISE", "RNN", "GRU", "LSTM"))
PUSH, PUSH_TOKENS, TOKENS, TAPS = (CODE[name] for name in ("PUSH", "PUSH_TOKENS", "TOKENS", "TAPS"))
MOST_THREADS = 256  # in a block
(FORM_8, FORM_8X16, FORM_16, FORM_4) = range(len(FORMS))


@device
def heavy(t, a, opcode):
    """The instructions that multiply and look up."""
    if opcode == AFFINE_I8:
        affine_integers(t, a, FORM_8)
    elif opcode == AFFINE_I8X16:
        affine_integers(t, a, FORM_8X16)
    elif opcode == AFFINE_I16:
        affine_integers(t, a, FORM_16)
    elif opcode == AFFINE_I4:
        affine_integers(t, a, FORM_4)
    elif opcode == AFFINE_F32 or opcode == AFFINE_EXACT:
        affine_floats(t, a)
    elif opcode == LOOKUP_F32:
        lookup(t, a, FLOAT)
    elif opcode == LOOKUP_I8:
        lookup(t, a, INT8)
    elif opcode == LOOKUP_I16:
        lookup(t, a, INT16)
    elif opcode == LOOKUP_I4:
        lookup(t, a, INT4)


@device
def light(t, a, opcode):
    """The instructions on numbers and rows."""
    if opcode == GRU:
        gru(t, a)
    elif opcode == LSTM:
        lstm(t, a)
    elif opcode == RNN:
        rnn(t, a)
    elif opcode == MAP:
        map_(t, a)
    elif opcode == COMBINE:
        combine(t, a)
    elif opcode == COPY:
        copy(t, a)
    elif opcode == TAKE:
        take(t, a)
    elif opcode == TAPS:
        taps(t, a)
    elif opcode == SELECT:
        select(t, a)
    elif opcode == REDUCE:
        reduce(t, a)
    elif opcode == SOFTMAX:
        softmax(t, a)
    elif opcode == NORMALISE:
        normalise(t, a)
    elif opcode == TOKENS:
        tokens(t, a)


@device
def traffic(t, a, opcode, c, frame, answer):
    """The instructions that meet the caller's frames."""
    if opcode == LOAD or opcode == LOAD_TOKENS:
        load(t, a, c, frame)
    elif opcode == STORE:
        store(t, a, c, answer)
    elif opcode == PUSH or opcode == PUSH_TOKENS:
        push(t, a, c, frame)


@device
def meet(t):
    """Wait for the threads that share this block's streams."""
    if t.groups > 1:
        cuda.syncthreads()


@device
def passed(t, c, parts, live, frame, answer):
    """One pass over the program: whether this stream reached its end. Every thread of a block takes the same path."""
    a = 0
    opcode = t.program[u64(0)]
    while opcode != STOP:
        if opcode == GATE:
            left = opened(t, a) if live else ZERO
            meet(t)
            if live and t.group == 0:
                keep(t, a, left)
            live = live and not left > ZERO
        elif opcode == QUANTISE:
            if live:
                parts[cuda.threadIdx.x] = part_of_largest(t, a)
            meet(t)
            if live:
                quantise(t, a, parts)
        elif live:
            heavy(t, a, opcode)
            light(t, a, opcode)
            traffic(t, a, opcode, c, frame, answer)
        meet(t)
        a += WORDS
        opcode = t.program[u64(a)]
    return live


@cuda.jit
def run(program, ints, floats, fitting, weights, arena, lanes, streams, frames, ports, xs, inputs, answers, bad, given):
    """All frames of the streams whose bad[stream] is NONE; given[stream] becomes how many answers they gave.

    fitting: words of the weights that go to shared memory, all or none; weights, arena: words of each.
    """
    panels = ints
    if fitting > 0:
        panels = cuda.shared.array(0, int32)
        for i in range(cuda.threadIdx.x, fitting, cuda.blockDim.x):
            panels[i] = ints[i]
        cuda.syncthreads()
    lane, stream = cuda.threadIdx.x % lanes, cuda.blockIdx.x * lanes + cuda.threadIdx.x % lanes
    origin = weights + cuda.blockIdx.x * arena * lanes + lane
    group, groups = cuda.threadIdx.x // lanes, cuda.blockDim.x // lanes
    t = Thread(program, ints, floats, panels, origin, lanes, lane, group, groups)
    parts = cuda.shared.array(MOST_THREADS, int32)
    c = Traffic(ports, xs, inputs, answers, stream, streams)
    live, answer = stream < streams, 0
    if live:
        live = bad[stream] == NONE
    for frame in range(frames):
        if passed(t, c, parts, live, frame, answer):
            answer += 1
    if live and t.group == 0:
        given[stream] = answer
