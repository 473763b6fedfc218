"""Between frames: each state takes its new value, in place where nothing is in the way, else by a copy at the end.

A quantised copy of a state outlives the frame too: it is what the next frame's recurrent product reads. It follows from
the state, so it is not saved, but made by the `prepare` program whenever a state is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgernn.kernels.contract import OPERANDS, Opcode
from edgernn.planner.lower import Instruction, Lowering, Place, Quantised

# (opcode, written operand, read operand) that may be one buffer: each number is read before it is written, and by no
# later register of the same instruction
IN_PLACE = {
    (Opcode.MAP, 0, 1),
    (Opcode.GRU, 0, 3),
    (Opcode.LSTM, 1, 4),
}


def reads(instruction: Instruction, buffer: int) -> list[int]:
    """Which operands of the instruction read this buffer."""
    return _touching(instruction, buffer, "r")


def writes(instruction: Instruction, buffer: int) -> list[int]:
    """Which operands of the instruction write this buffer."""
    return _touching(instruction, buffer, "w")


def _touching(instruction: Instruction, buffer: int, kind: str) -> list[int]:
    named = zip(instruction.operands, OPERANDS[instruction.opcode], strict=True)
    return [i for i, (o, name) in enumerate(named) if name[0] == kind and isinstance(o, Place) and o.buffer == buffer]


def renamed(code: list[Instruction], old: int, new: int) -> list[Instruction]:
    """The code with one buffer's accesses moved to another."""

    def moved(operand: Place | int | float) -> Place | int | float:
        return replace(operand, buffer=new) if isinstance(operand, Place) and operand.buffer == old else operand

    return [Instruction(i.opcode, tuple(moved(o) for o in i.operands)) for i in code]


def can_replace(code: list[Instruction], old: int, new: int) -> bool:
    """Whether what is written to buffer `new` may be written over `old` at once: nothing reads `old` afterwards."""
    written = [n for n, i in enumerate(code) if writes(i, new)]
    if not written or len(written) > 1:
        return False
    instruction, at = code[written[0]], written[0]
    if any(reads(i, old) for i in code[at + 1 :]) or any(writes(i, old) for i in code):
        return False
    return all(
        (instruction.opcode, w, r) in IN_PLACE for w in writes(instruction, new) for r in reads(instruction, old)
    )


class Carried:
    """The states' buffers, and what has to happen to them at the end of a frame."""

    def __init__(self, lowering: Lowering):
        self.lowering = lowering
        self.prepare: list[Instruction] = []
        self.persistent: list[int] = []
        self._moved: dict[int, int] = {}

    def enter(self, size: int) -> Place:
        """A buffer for a state of `size` numbers."""
        place = self.lowering.buffer(size)
        self.persistent.append(place.buffer)
        return place

    def leave(self, pairs: Sequence[tuple[Place, Place]]) -> None:
        """End of the frame: of each (state, source), state becomes source, and what was made of it is made anew."""
        low = self.lowering
        settled = []
        for state, source in pairs:
            if source.buffer in self.persistent:  # another state's old value, which may be replaced before it is read
                kept = low.buffer(state.size)
                low.emit(Opcode.COPY, kept, source, state.size)
                source = kept
            settled.append((state, source))
        for state, source in settled:
            self._replace(state, self._now(source))

    def _now(self, place: Place) -> Place:
        return replace(place, buffer=self._moved.get(place.buffer, place.buffer))

    def _rename(self, old: int, new: int) -> None:
        self.lowering.code = renamed(self.lowering.code, old, new)
        self._moved[old] = new

    def _replace(self, state: Place, source: Place) -> None:
        low = self.lowering
        for (of, how), quantised in list(low.quantised.items()):
            if of == state:
                self._carry_quantised(source, how, quantised)
        alone = source.buffer >= 0 and source.start == 0 and source.buffer not in self.persistent
        whole = alone and low.buffers[source.buffer] == low.buffers[state.buffer]
        if whole and can_replace(low.code, state.buffer, source.buffer):
            self._rename(source.buffer, state.buffer)
        else:
            low.emit(Opcode.COPY, state, source, state.size)

    def _carry_quantised(self, source: Place, how: Quantised, quantised: Place) -> None:
        """The instruction that quantises the state moves to `prepare`; its buffer is refilled from the source."""
        low = self.lowering
        first = next(n for n, i in enumerate(low.code) if i.opcode == Opcode.QUANTISE and i.operands[0] == quantised)
        self.prepare.append(low.code.pop(first))
        self.persistent.append(quantised.buffer)
        again = next((p for (of, h), p in low.quantised.items() if h == how and self._now(of) == source), None)
        free = again is not None and again.buffer not in self.persistent
        if again is not None and free and can_replace(low.code, quantised.buffer, again.buffer):
            self._rename(again.buffer, quantised.buffer)
        else:
            low.emit_quantise(quantised, source, how)
