"""Between frames: each state takes its new value, in place where nothing is in the way, else by a copy at the end.

A quantised copy of a state outlives the frame too: it is what the next frame's recurrent product reads. It follows from
the state, so it is not saved, but made by the `prepare` program whenever a state is set.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgernn.kernels.contract import OPERANDS, Opcode
from edgernn.planner.lower import Lowering
from edgernn.planner.program import Instruction, Place, Quantised

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


def buffers(instruction: Instruction) -> set[int]:
    """The buffers that the instruction reads or writes."""
    return {o.buffer for o in instruction.operands if isinstance(o, Place) and o.buffer >= 0}


def renamed(instruction: Instruction, old: int, new: int) -> Instruction:
    """The instruction with one buffer's accesses moved to another."""

    def moved(operand: Place | int | float) -> Place | int | float:
        return operand._replace(buffer=new) if isinstance(operand, Place) and operand.buffer == old else operand

    return Instruction(instruction.opcode, tuple(moved(operand) for operand in instruction.operands))


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


def moves_on(state: Place, source: Place) -> bool:
    """Whether a state becomes what stands further on in its own buffer, behind which no other does."""
    return source.buffer == state.buffer and source.start > state.start


class Carried:
    """The states' buffers, and what has to happen to them at the end of a frame."""

    def __init__(self, lowering: Lowering):
        self.lowering = lowering
        self.prepare: list[Instruction] = []
        self.persistent: list[int] = []
        self._moved: dict[int, int] = {}
        self._uses: dict[int, list[int]] = {}  # buffer -> the places in the code that touch it, in order
        self._gone: set[int] = set()  # places in the code whose instructions have moved to `prepare`

    def enter(self, size: int) -> Place:
        """A buffer for a state of `size` numbers."""
        place = self.lowering.buffer(size)
        self.persistent.append(place.buffer)
        return place

    def leave(self, pairs: Sequence[tuple[Place, Place]]) -> None:
        """End of the frame: of each (state, source), state becomes source, and what was made of it is made anew."""
        low = self.lowering
        settled = []
        for state, value in pairs:
            source = low.here(value)
            if source.buffer in self.persistent and not moves_on(state, source):
                # another state's old value, which may be replaced before it is read
                kept = low.buffer(state.size)
                low.emit(Opcode.COPY, kept, source, state.size)
                source = kept
            settled.append((state, source))
        for place in range(len(low.code)):
            self._note(place)
        for state, source in settled:
            self._replace(state, self._now(source))
        low.code = [instruction for place, instruction in enumerate(low.code) if place not in self._gone]

    def _note(self, place: int) -> None:
        """Remember which buffers an instruction touches."""
        for buffer in buffers(self.lowering.code[place]):
            self._uses.setdefault(buffer, []).append(place)

    def _emit(self, opcode: Opcode, *operands: Place | int | float) -> None:
        self.lowering.emit(opcode, *operands)
        self._note(len(self.lowering.code) - 1)

    def _touching(self, *touched: int) -> list[Instruction]:
        """The instructions that touch these buffers, in order."""
        places = {place for buffer in touched for place in self._uses.get(buffer, ())}
        return [self.lowering.code[place] for place in sorted(places)]

    def _now(self, place: Place) -> Place:
        return place._replace(buffer=self._moved.get(place.buffer, place.buffer))

    def _rename(self, old: int, new: int) -> None:
        code, places = self.lowering.code, self._uses.pop(old, [])
        for place in places:
            code[place] = renamed(code[place], old, new)
        self._uses[new] = sorted({*places, *self._uses.get(new, ())})
        self._moved[old] = new

    def _replace(self, state: Place, source: Place) -> None:
        low = self.lowering
        for (of, how), quantised in list(low.quantised.items()):
            if of == state:
                self._carry_quantised(source, how, quantised)
        alone = source.buffer >= 0 and source.start == 0 and source.buffer not in self.persistent
        whole = alone and low.buffers[source.buffer] == low.buffers[state.buffer]
        touching = self._touching(state.buffer, source.buffer) if whole else []
        if can_replace(touching, state.buffer, source.buffer):
            self._rename(source.buffer, state.buffer)
        else:
            self._emit(Opcode.COPY, state, source, state.size)

    def _carry_quantised(self, source: Place, how: Quantised, quantised: Place) -> None:
        """The instruction that quantises the state moves to `prepare`; its buffer is refilled from the source."""
        low = self.lowering
        first = next(place for place in self._uses[quantised.buffer] if low.code[place].operands[0] == quantised)
        self.prepare.append(low.code[first])
        self._gone.add(first)
        for buffer in buffers(low.code[first]):
            self._uses[buffer].remove(first)
        self.persistent.append(quantised.buffer)
        again = next((p for (of, h), p in low.quantised.items() if h == how and self._now(of) == source), None)
        free = again is not None and again.buffer not in self.persistent
        touching = self._touching(quantised.buffer, again.buffer) if again is not None and free else []
        if again is not None and can_replace(touching, quantised.buffer, again.buffer):
            self._rename(again.buffer, quantised.buffer)
        else:
            low.emit_quantise(quantised, source, how)
            self._note(len(low.code) - 1)
