"""What the tests of pools share: models, and frames for many streams of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cases import CASES, frames
from test_hops import model_of

from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.quantiser import FORMATS, quantise
from edgernn.stream import Pool, tiles

MODELS: dict[str, Callable[[], Model]] = {
    **{f"{case}-{number}": lambda case=case, number=number: quantise(CASES[case](), number)  # type: ignore[misc]
       for case in ("LSTM-33-47", "GRU-7-64", "RNN-1-1", "tokens", "residual", "surroundings", "shift-register")
       for number in FORMATS},
    "hop": lambda: model_of(2, 2),
    "window": lambda: model_of(3, 5),
    "window-tokens": lambda: model_of(4, 2, tokens=True),
}  # fmt: skip


def inputs(model: Model, steps: int, n: int, seed: int) -> Array:
    """(steps, n, n_in), or tokens."""
    return np.stack([frames(model, steps, seed + i) for i in range(n)], 1)


def row(answers: object, *at: object) -> object:
    """The same part of every output."""
    return {k: v[at] for k, v in answers.items()} if isinstance(answers, dict) else answers[at]  # type: ignore[index]


def states(pool: Pool) -> list[bytes]:
    return [pool.save_state(i) for i in range(len(pool))]


@pytest.fixture(autouse=True)
def shared_however_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads take their share of the smallest call too."""
    monkeypatch.setattr(tiles, "WORTH", 0)
