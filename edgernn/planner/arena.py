"""Where the buffers lie: what persists first, then scratch, packed by lifetime.

Greedy by size: each scratch buffer, largest first, goes to the lowest offset at which it meets no buffer whose lifetime
overlaps its own (Pisarchyk and Lee 2020, arXiv 2001.03288, section 5.2). In a program of more than LARGE instructions,
as a window over recurrent layers makes, a buffer that is needed for more than LONG of them shares its place with none:
there may be thousands of them, and each would be compared with all.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Sequence

from edgernn.planner.program import Instruction, Place

LARGE, LONG = 5000, 200


def lifetimes(code: Sequence[Instruction]) -> dict[int, tuple[int, int]]:
    """For each buffer, the first and the last instruction that touch it."""
    found: dict[int, tuple[int, int]] = {}
    for n, instruction in enumerate(code):
        for operand in instruction.operands:
            if isinstance(operand, Place) and operand.buffer >= 0:
                first, _ = found.get(operand.buffer, (n, n))
                found[operand.buffer] = (first, n)
    return found


class _Placed:
    """Where buffers lie, found by lifetime without looking at all of them.

    A lifetime is kept in pieces of a power of two, so that those which hold an instruction are found by its place in
    each power; the others that meet a lifetime begin inside it.
    """

    def __init__(self) -> None:
        self._pieces: dict[int, dict[int, list[tuple[int, int]]]] = {}  # power -> number -> from, to
        self._begins: list[tuple[int, int, int]] = []  # first instruction, from, to

    def add(self, low: int, high: int, first: int, last: int) -> None:
        """A buffer at low..high from instruction `first` to `last`."""
        insort(self._begins, (first, low, high))
        power, begin, end = 0, first, last + 1
        while begin < end:
            if begin & 1:
                self._pieces.setdefault(power, {}).setdefault(begin, []).append((low, high))
                begin += 1
            if end & 1:
                end -= 1
                self._pieces.setdefault(power, {}).setdefault(end, []).append((low, high))
            power, begin, end = power + 1, begin >> 1, end >> 1

    def during(self, first: int, last: int) -> list[tuple[int, int]]:
        """(from, to) of the buffers whose lifetimes meet first..last."""
        found: list[tuple[int, int]] = []
        for power, pieces in self._pieces.items():
            if first >> power in pieces:
                found += pieces[first >> power]
        inside = self._begins[bisect(self._begins, (first + 1,)) : bisect(self._begins, (last + 1,))]
        return found + [(low, high) for _, low, high in inside]


def layout(code: Sequence[Instruction], sizes: Sequence[int], persistent: Sequence[int]) -> tuple[dict[int, int], int]:
    """The offset of every buffer, and the size of the arena in bytes."""
    offsets: dict[int, int] = {}
    top = 0
    for buffer in persistent:
        offsets[buffer] = top
        top += sizes[buffer]
    live = {b: span for b, span in lifetimes(code).items() if b not in offsets}
    for buffer in [b for b, (first, last) in live.items() if len(code) > LARGE and last - first > LONG]:
        del live[buffer]
        offsets[buffer] = top
        top += sizes[buffer]
    end = top
    placed = _Placed()
    for buffer in sorted(live, key=lambda b: (-sizes[b], b)):
        first, last = live[buffer]
        at = top
        for low, high in sorted(placed.during(first, last)):
            if low < at + sizes[buffer] and at < high:
                at = high
        offsets[buffer] = at
        placed.add(at, at + sizes[buffer], first, last)
        end = max(end, at + sizes[buffer])
    return offsets, end
