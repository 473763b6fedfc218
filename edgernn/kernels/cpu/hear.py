"""The entry `hear`: a block of samples through features, plan and scores (see kernels.hearing)."""

from __future__ import annotations

from edgernn.kernels import hearing as h
from edgernn.kernels.contract import ADDRESS, ANSWER, BUSY, FRAMES, PORT_WORDS, PORTS
from edgernn.kernels.cpu.fourier import word
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.hearing import features, scores
from edgernn.kernels.cpu.vector import N, store_1n
from edgernn.kernels.cpu.walk import run

GIVEN, TAKEN = PORTS + ADDRESS, PORTS + PORT_WORDS + ADDRESS
FEATURES, PLAN, SCORES, ROWS, SINGLE, NEXT = h.FEATURES, h.PLAN, h.SCORES, h.ROWS, h.SINGLE, h.NEXT
FRAMES_AT, ANSWERS_AT, SCORES_AT, REFUSED = h.FRAMES_AT, h.ANSWERS_AT, h.SCORES_AT, h.REFUSED


@function(N, N, N, N, N)
def bound(control, count, from_, to):
    """The block for so many rows of float32, with what is given and what is taken at these addresses."""
    store_1n(control + 8 * FRAMES, count)
    store_1n(control + 8 * GIVEN, from_)
    store_1n(control + 8 * TAKEN, to)
    return control


@kernel
def hear(control, unused_a, unused_b, unused_c):
    """The entry `hear`."""
    first, plan, last = word(control, FEATURES), word(control, PLAN), word(control, SCORES)
    if word(first, BUSY) + word(plan, BUSY) + word(last, BUSY) != 0:
        return REFUSED
    frames, answers, frame = word(control, FRAMES_AT), word(control, ANSWERS_AT), word(first, NEXT)
    store_1n(first + 8 * SINGLE, 1)
    if features(bound(first, word(control, FRAMES), word(control, GIVEN), frames), 0, 0, 0) != 0:
        return REFUSED
    count = word(first, NEXT) - frame
    store_1n(control + 8 * ROWS, 0)
    if count == 0:
        return 0
    run(bound(plan, count, frames, answers), 0, 0, 0)
    store_1n(control + 8 * ROWS, word(plan, ANSWER))
    store_1n(last + 8 * SINGLE, 1)
    return scores(bound(last, word(plan, ANSWER), answers, word(control, SCORES_AT)), 0, 0, 0)
