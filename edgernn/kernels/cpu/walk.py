"""The entries: `prepare` walks a program once, `run` checks all frames and then walks the program once a frame."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from edgernn.kernels.contract import ANSWER, ARENA, FRAME, FRAMES, INPUTS, PROGRAM, WEIGHTS, WORDS, Opcode
from edgernn.kernels.cpu import affine, cells, elementwise, quantise, rows, taps, wide  # noqa: F401  (they register)
from edgernn.kernels.cpu.frames import check, opened
from edgernn.kernels.cpu.functions import call_symbol, kernel
from edgernn.kernels.cpu.vector import N, load_1n, store_1n

I64 = ir.IntType(64)
STOP = int(Opcode.STOP)

KERNELS = tuple(code for code in Opcode if code not in (Opcode.STOP, Opcode.GATE))


@intrinsic  # type: ignore[untyped-decorator]
def dispatch(typingctx: Any, opcode: Any, a: Any, arena: Any, weights: Any, control: Any) -> Any:
    """Call the kernel of this opcode."""

    def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
        after = b.append_basic_block("after")
        switch = b.switch(args[0], after)
        for code in KERNELS:
            block = b.append_basic_block(code.name)
            switch.add_case(I64(code), block)
            with b.goto_block(block):
                call_symbol(context, b, code.name.lower(), N(N, N, N, N), list(args[1:]))
                b.branch(after)
        b.position_at_end(after)
        return I64(0)

    return N(N, N, N, N, N), codegen


@kernel
def walk(program, arena, weights, control):
    """One pass over a program: 1 where it reaches the end, 0 where a gate is closed."""
    while True:
        opcode = load_1n(program)
        while opcode > STOP:
            dispatch(opcode, program, arena, weights, control)
            program += 8 * WORDS
            opcode = load_1n(program)
        if opcode == STOP:
            return 1
        if opened(program, arena, weights, control) == 0:
            return 0
        program += 8 * WORDS


@kernel
def prepare(program, control, unused_a, unused_b):
    """Walk another program (what follows from the states) in this control block's arena."""
    return walk(program, load_1n(control + 8 * ARENA), load_1n(control + 8 * WEIGHTS), control)


@kernel
def run(control, unused_a, unused_b, unused_c):
    """All frames. 0, or 1 + the number of the port that holds a bad number; its frame is then in the control block."""
    count = load_1n(control + 8 * FRAMES)
    for port in range(load_1n(control + 8 * INPUTS)):
        bad = check(port, control, count, 0)
        if bad != 0:
            store_1n(control + 8 * FRAME, bad - 1)
            return 1 + port
    program = load_1n(control + 8 * PROGRAM)
    arena, weights = load_1n(control + 8 * ARENA), load_1n(control + 8 * WEIGHTS)
    answers = 0
    for frame in range(count):
        store_1n(control + 8 * FRAME, frame)
        store_1n(control + 8 * ANSWER, answers)
        answers += walk(program, arena, weights, control)
    store_1n(control + 8 * ANSWER, answers)
    return 0
