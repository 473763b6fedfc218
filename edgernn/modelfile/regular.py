"""Regular: indices that a few nested loops count are told as those loops, and no tensor holds them.

What is told: the first index and then, for each loop from the outermost on, its turns and its step. (1, 4, 3, 2, 1)
are the indices 1, 2, 4, 5, 7, 8, 10, 11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from edgernn.errors import BadModelFile
from edgernn.layers.base import Array
from edgernn.modelfile.fields import Mismatch, restore

MOST_LOOPS = 8
LARGEST = 1 << 20  # indices that are told so, in all: 4 MB of int32
EXPECTED = f"an index, then turns and step of each of {MOST_LOOPS} loops at most expected"


def told(tensors: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, tuple[int, ...]]]:
    """(the tensors that are not told, name of a tensor of indices -> what is told of it)."""
    kept: dict[str, Array] = {}
    regular: dict[str, tuple[int, ...]] = {}
    room = LARGEST
    for name, array in tensors.items():
        loops = _loops(array) if name.endswith(".index") and array.size <= room else None
        if loops is None:
            kept[name] = array
        else:
            regular[name] = loops
            room -= array.size
    return kept, regular


def counted(tensors: Mapping[str, Array], regular: object) -> dict[str, Array]:
    """All tensors by name. Raises BadModelFile for what `told` never tells."""
    if not isinstance(regular, dict):
        raise BadModelFile("'regular' is not a JSON object")
    made = dict(tensors)
    room = LARGEST
    for name, value in regular.items():
        first, turns, steps = _read(name, value)
        room -= math.prod(turns)
        if name in made:
            raise BadModelFile(f"'regular' tells '{name}', which has a tensor")
        if room < 0:
            raise BadModelFile(f"'regular' tells more than {LARGEST} indices")
        index = np.array([first])
        for n, step in zip(turns, steps, strict=True):
            index = (index[:, None] + np.arange(n) * step).reshape(-1)
        made[name] = index.astype(np.int32)
        made[name].flags.writeable = False
    return made


def _loops(index: Array) -> tuple[int, ...] | None:
    """What is told of these indices (n,); None where they are not regular."""
    rest = index.astype(np.int64)
    loops: tuple[int, ...] = ()
    while rest.size > 1 and len(loops) < 2 * MOST_LOOPS:
        steps = np.diff(rest)
        turns = next(iter(np.flatnonzero(steps != steps[0]).tolist()), steps.size) + 1
        if rest.size % turns or (np.diff(rest.reshape(-1, turns)) != steps[0]).any():
            return None
        rest, loops = rest[::turns], (turns, int(steps[0]), *loops)
    return (int(rest[0]), *loops) if rest.size == 1 else None


def _read(name: str, value: object) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """(first index, turns of each loop, step of each); all indices fit into int32."""
    try:
        first, *loops = restore(tuple[int, ...], value)
    except (Mismatch, ValueError):
        raise BadModelFile(f"'regular' tells {value!r:.40} of '{name}': {EXPECTED}") from None
    turns, steps = tuple(loops[::2]), tuple(loops[1::2])
    whole = len(turns) == len(steps) <= MOST_LOOPS and min(turns, default=1) > 0
    if not whole or abs(first) + sum(n * abs(step) for n, step in zip(turns, steps, strict=True)) >= 1 << 31:
        raise BadModelFile(f"'regular' tells {value!r:.40} of '{name}': {EXPECTED}")
    return first, turns, steps
