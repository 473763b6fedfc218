"""Meeting: whether the steps of a window meet, which those of a batch do not, by what changes with them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.definition import run
from edgernn.layers.model import Model, Port
from edgernn.layers.pointwise import Map

TIMES = 2  # how often the steps are parted at random
ROUNDING = 1e-12  # in float64
SAME = Map("affine", 1.0, 0.0)
MOST = 1 << 25  # products of a window: the steps of a larger model are taken to meet


def steps_meet(model: Model, timed: Collection[str]) -> bool:
    """Whether a number of the answers depends on several steps of the inputs `timed`.

    The steps are parted in two halves. Where they stand alone, no number changes with the one half and with the other.
    Functions of single numbers are left out: what they saturate would not change.
    """
    if model.macs > MOST:
        return True
    model = replace(model, nodes=tuple(replace(n, layer=SAME) if isinstance(n.layer, Map) else n for n in model.nodes))
    rng = np.random.default_rng(0)
    before, after = ({port.name: _frames(rng, port, model.window) for port in model.inputs} for _ in range(2))
    first = _answers(model, before)
    for _ in range(TIMES):
        half = rng.permutation(model.window) < model.window // 2
        changed = []
        for part in (half, ~half):
            mixed = {name: x.copy() for name, x in before.items()}
            for name in timed:
                if name in mixed:
                    mixed[name][part] = after[name][part]
            changed.append(~np.isclose(_answers(model, mixed), first, ROUNDING, ROUNDING))
        if (changed[0] & changed[1]).any():
            return True
    return False


def _frames(rng: np.random.Generator, port: Port, count: int) -> Array:
    shape = (count, port.size)
    if port.dtype == "int64":
        return rng.integers(0, port.high + 1, shape)
    return rng.uniform(-1, 1, shape)


def _answers(model: Model, frames: Any) -> Array:
    with np.errstate(all="ignore"):  # of what noise makes
        found = run(model, frames)
    parts = found.values() if isinstance(found, dict) else [found]
    return np.concatenate([np.nan_to_num(part).reshape(-1) for part in parts])
