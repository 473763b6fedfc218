"""Shorter: a first step that lacks what the others compute from a state, since that is zero before the sequence.

Optimisers leave out what is multiplied by zero and what adds it. Whether that is all that is missing is tried on random
frames: the second step, fed what the first one is fed and started from zero, must make what the first one makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgernn.importer.walk.alike import Steps, Unlike
from edgernn.layers.base import Array

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

SCALES = (0.1, 1.0, 1.0, 3.0, 10.0)  # of the frames that it is tried on
LIMIT = 1e-5  # what optimisers compute from weights is rounded to float32


def check_first(g: Build, steps: Steps, pairs: Sequence[tuple[str, str]], starts: Mapping[str, Array]) -> None:
    """Raise Unlike unless (a, b), of step 1 and of step 0, agree where step 1 reads these values for step 0's."""
    seconds, firsts = [a for a, _ in pairs], [b for _, b in pairs]
    left = [name for name in steps.carried(seconds, 1) if name not in starts]
    if left:
        raise Unlike(f"step 1 carries '{left[0]}', which is no part of the steps after it")
    rng = np.random.default_rng(0)
    for scale in SCALES:
        entering: dict[str, Array] = {state.name: rng.standard_normal(state.initial.shape) for state in g.states}
        for name, size in g.ports.items():
            frame: Array = rng.standard_normal(g.window * size) * scale
            entering[name] = rng.integers(g.tokens[name], size=frame.shape) if name in g.tokens else frame
        with np.errstate(all="ignore"):
            made = _computed(steps, entering, firsts)
            again = _computed(steps, {**entering, **starts}, seconds)
        for a, b in pairs:
            if made[b].shape != again[a].shape or not np.allclose(made[b], again[a], LIMIT, LIMIT, equal_nan=True):
                raise Unlike(f"'{a}' of step 1 is not computed as '{b}' of step 0")


def worked_out(steps: Steps, name: str) -> Array | None:
    """The value that is computed of constants alone; None where it is not."""
    try:
        return _computed(steps, {}, [name])[name]
    except Unlike:
        return None


def _computed(steps: Steps, entering: Mapping[str, Array], wanted: Iterable[str]) -> dict[str, Array]:
    """These values, from what enters a frame."""
    known = dict(entering)
    waiting = list(wanted)
    while waiting:
        name = waiting[-1]
        if name in known:
            waiting.pop()
            continue
        if name not in steps.makers:
            raise Unlike(f"'{name}' is not known beforehand")
        node = steps.makers[name]
        missing = [value for value in node.inputs if value not in known]
        if missing:
            waiting.extend(missing)
        else:
            known.update(zip(node.outputs, node.layer.step(*(known[value] for value in node.inputs)), strict=True))
    return known
