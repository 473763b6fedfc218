"""The entry `pool`: many streams of one program, a tile of slots at a time, instruction by instruction.

Instructions that multiply by weights take all slots at once (see pooled); the others run slot after slot.
"""

from __future__ import annotations

from typing import Any

from numba.extending import intrinsic

from edgernn.kernels.contract import (
    ANSWER,
    ARENA,
    CARRIED,
    FRAME,
    FRAMES,
    INPUTS,
    POOL,
    PROGRAM,
    SLOT,
    SLOT_ANSWER,
    SLOT_FRAME,
    SLOT_HEADER,
    SLOT_STREAM,
    STATES,
    STREAMS,
    WEIGHTS,
    WORDS,
)
from edgernn.kernels.cpu.frames import check, opened
from edgernn.kernels.cpu.functions import call_symbol, function, kernel
from edgernn.kernels.cpu.pooled import POOLED
from edgernn.kernels.cpu.vector import BYTES, N, load_1n, load_i, store_1n, store_i
from edgernn.kernels.cpu.walk import I64, STOP, dispatch


@intrinsic  # type: ignore[untyped-decorator]
def together(typingctx: Any, opcode: Any, a: Any, slots: Any, count: Any, weights: Any) -> Any:
    """Call the kernel of this opcode for all slots: 1, or 0 where there is none."""

    def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
        before, after = b.block, b.append_basic_block("after")
        switch = b.switch(args[0], after)
        b.position_at_end(after)
        done = b.phi(I64)
        done.add_incoming(I64(0), before)
        for code in POOLED:
            block = b.append_basic_block(code.name)
            switch.add_case(I64(code), block)
            with b.goto_block(block):
                call_symbol(context, b, f"pooled_{code.name.lower()}", N(N, N, N, N), list(args[1:]))
                b.branch(after)
                done.add_incoming(I64(1), block)
        b.position_at_end(after)
        return done

    return N(N, N, N, N, N), codegen


@kernel
def passed(program, control, slots, count):
    """A gate: the slots for which it opens move to the front of the list; how many they are."""
    kept = 0
    for n in range(count):
        slot = load_1n(slots + 8 * n)
        if opened(program, slot + SLOT_HEADER, 0, control) != 0:
            store_1n(slots + 8 * kept, slot)
            kept += 1
    return kept


@kernel
def walk_slots(program, control, slots, count):
    """One pass of a program for these slots; those that reach the end stand first in the list: how many they are."""
    weights = load_1n(control + 8 * WEIGHTS)
    opcode = load_1n(program)
    while opcode != STOP and count != 0:
        if opcode < STOP:
            count = passed(program, control, slots, count)
        elif together(opcode, program, slots, count, weights) == 0:
            for n in range(count):
                slot = load_1n(slots + 8 * n)
                store_1n(control + 8 * FRAME, load_1n(slot + 8 * SLOT_FRAME))
                store_1n(control + 8 * ANSWER, load_1n(slot + 8 * SLOT_ANSWER))
                dispatch(opcode, program, slot + SLOT_HEADER, weights, control)
        program += 8 * WORDS
        opcode = load_1n(program)
    return count


@function(N, N, N, N)
def move(to, what, size):
    """Copy bytes, a multiple of a register."""
    for at in range(0, size, BYTES):
        store_i(to + at, load_i(what + at))
    return 0


@kernel
def refused(control, stream, unused_a, unused_b):
    """Whether a frame of this stream holds a bad number."""
    pool = load_1n(control + 8 * POOL)
    for port in range(load_1n(control + 8 * INPUTS)):
        for frame in range(load_1n(control + 8 * FRAMES)):
            if check(port, control, 1, frame * pool + stream) != 0:
                return 1
    return 0


@kernel
def enter(control, begin, end, unused):
    """The streams from place begin to end fill slots, from the first one on, without the refused: how many they are."""
    streams, states = load_1n(control + 8 * STREAMS), load_1n(control + 8 * STATES)
    carried, slot = load_1n(control + 8 * CARRIED), load_1n(control + 8 * ARENA)
    entered = 0
    for place in range(streams + 8 * begin, streams + 8 * end, 8):
        stream = load_1n(place)
        if refused(control, stream, 0, 0) != 0:
            store_1n(place, -1 - stream)
        else:
            store_1n(slot + 8 * SLOT_FRAME, stream)
            store_1n(slot + 8 * SLOT_ANSWER, stream)
            store_1n(slot + 8 * SLOT_STREAM, stream)
            move(slot + SLOT_HEADER, states + stream * carried, carried)
            slot += load_1n(control + 8 * SLOT)
            entered += 1
    return entered


@kernel
def advance(control, slots, count, unused):
    """One frame for the first `count` slots. slots: room for their addresses."""
    first, size, pool = load_1n(control + 8 * ARENA), load_1n(control + 8 * SLOT), load_1n(control + 8 * POOL)
    for n in range(count):
        store_1n(slots + 8 * n, first + n * size)
    for n in range(walk_slots(load_1n(control + 8 * PROGRAM), control, slots, count)):
        answer = load_1n(slots + 8 * n) + 8 * SLOT_ANSWER
        store_1n(answer, load_1n(answer) + pool)
    for n in range(count):
        frame = first + n * size + 8 * SLOT_FRAME
        store_1n(frame, load_1n(frame) + pool)
    return 0


@kernel
def pool(control, begin, end, tile):
    """All frames for the streams from place begin to end, a tile at a time; how many were refused."""
    refusals = end - begin
    first, size = load_1n(control + 8 * ARENA), load_1n(control + 8 * SLOT)
    states, carried = load_1n(control + 8 * STATES), load_1n(control + 8 * CARRIED)
    while begin < end:
        count = enter(control, begin, min(begin + tile, end), 0)
        refusals -= count
        for _ in range(load_1n(control + 8 * FRAMES)):
            advance(control, first + tile * size + 8, count, 0)
        for slot in range(first, first + count * size, size):
            move(states + load_1n(slot + 8 * SLOT_STREAM) * carried, slot + SLOT_HEADER, carried)
        begin += tile
    return refusals
