"""Where the buffers lie: what persists first, then scratch, packed by lifetime.

Greedy by size: each scratch buffer, largest first, goes to the lowest offset at which it meets no buffer whose lifetime
overlaps its own (Pisarchyk and Lee 2020, arXiv 2001.03288, section 5.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from edgernn.planner.lower import Instruction, Place


def lifetimes(code: Sequence[Instruction]) -> dict[int, tuple[int, int]]:
    """For each buffer, the first and the last instruction that touch it."""
    found: dict[int, tuple[int, int]] = {}
    for n, instruction in enumerate(code):
        for operand in instruction.operands:
            if isinstance(operand, Place) and operand.buffer >= 0:
                first, _ = found.get(operand.buffer, (n, n))
                found[operand.buffer] = (first, n)
    return found


def layout(code: Sequence[Instruction], sizes: Sequence[int], persistent: Sequence[int]) -> tuple[dict[int, int], int]:
    """The offset of every buffer, and the size of the arena in bytes."""
    offsets: dict[int, int] = {}
    top = 0
    for buffer in persistent:
        offsets[buffer] = top
        top += sizes[buffer]
    end = top
    live = {b: span for b, span in lifetimes(code).items() if b not in offsets}
    begun: list[list[tuple[int, int]]] = [[] for _ in code]  # (offset, end) of what is placed, where its life begins
    alive: list[list[tuple[int, int]]] = [[] for _ in code]  # the same wherever it is alive
    for buffer in sorted(live, key=lambda b: (-sizes[b], b)):
        first, last = live[buffer]
        at = top
        for low, high in sorted(chain(alive[first], *begun[first + 1 : last + 1])):
            if low < at + sizes[buffer] and at < high:
                at = high
        offsets[buffer] = at
        place = (at, at + sizes[buffer])
        begun[first].append(place)
        for beside in alive[first : last + 1]:
            beside.append(place)
        end = max(end, place[1])
    return offsets, end
