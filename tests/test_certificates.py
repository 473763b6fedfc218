"""Drift certificates, which anybody may write, are not believed where no answers can have such figures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import STATEFUL, bad

import edgernn
from edgernn.conversion.certificate import figures_of, holds
from edgernn.conversion.parity import noted
from edgernn.layers.model import Model
from edgernn.quantiser.drift import drift


@pytest.fixture(scope="module")
def model() -> Model:
    return edgernn.convert(STATEFUL, quantize="int8")


def stating(model: Model, change: Callable[[dict[str, Any]], object]) -> Model:
    """The model with another certificate."""
    certificate = copy.deepcopy(dict(model.origin["drift"]))
    change(certificate)
    return replace(model, origin={**model.origin, "drift": certificate})


FIGURES: list[dict[str, Any]] = [
    *({key: None} for key in ("frames", "max_error", "rms_error", "peak", "growth")),
    *({key: wrong} for key in ("max_error", "snr", "growth") for wrong in ("1", "nan", True, [])),
    *({key: 10**400} for key in ("frames", "max_error", "growth")),
    *({key: -1.0} for key in ("max_error", "rms_error", "peak")),
    *({"frames": n} for n in (0, -1, 2.0, 10**9)),
    {"snr": 1000.0},  # of this error, the largest number would be far above the peak
    {"snr": -10.0},  # the peak alone is louder
    {"snr": None},
    {"snr": 10**400},
    {"snr": float("inf")},
    {"rms_error": 9.0},
    {"rms_error": 1e-9, "snr": 166.0},  # the largest error alone is more
    {"max_error": 0.0},
    {"rms_error": 0.0, "snr": None},
    {"peak": 0.0},
]


@pytest.mark.parametrize("figures", FIGURES, ids=lambda figures: f"{figures!s:.40}")
def test_figures_that_cannot_be_are_refused(model: Model, figures: dict[str, Any]) -> None:
    with pytest.raises(edgernn.BadModelFile, match=r"of 'y' (is|contradict)"):
        figures_of(stating(model, lambda held: held["outputs"]["y"].update(figures)))


OTHERS: dict[str, tuple[Callable[[dict[str, Any]], object], Callable[[Model], object]]] = {
    "no outputs": (lambda held: held.pop("outputs"), figures_of),
    "another output": (lambda held: held["outputs"].update(z=held["outputs"]["y"]), figures_of),
    "an output that is a number": (lambda held: held["outputs"].update(y=3), figures_of),
    "a figure missing": (lambda held: held["outputs"]["y"].pop("snr"), figures_of),
    "no frames": (lambda held: held.pop("frames"), figures_of),
    "no check": (lambda held: held.pop("check"), holds),
    "too many steps": (lambda held: held["check"].update(steps=10**6), holds),
    "no answers": (lambda held: held["check"].pop("answers"), holds),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_missing_is_named(model: Model, what: str) -> None:
    change, check = OTHERS[what]
    with pytest.raises(edgernn.BadModelFile, match="the drift certificate"):
        check(stating(model, change))
    with pytest.raises(edgernn.BadModelFile, match="no JSON object"):
        check(replace(model, origin={"drift": 1}))


def test_verify_refuses_the_file(model: Model, tmp_path: Path) -> None:
    stating(model, lambda held: held["outputs"]["y"].update(snr=1000.0)).save(tmp_path / "m.edgernn")
    assert "which the file's hash does not cover" in bad("verify", tmp_path / "m.edgernn")


@pytest.mark.parametrize("frames", [1, 2, 50, 5000])
def test_figures_of_any_answers_are_believed(model: Model, frames: int) -> None:
    """Equal answers, silence, one number that is wrong, numbers of all sizes."""
    rng = np.random.default_rng(frames)
    size = model.outputs[0].size
    loud = (rng.standard_normal((frames, size)) * 10.0 ** rng.integers(-30, 30, (frames, size))).astype(np.float32)
    one = np.zeros((frames, size), np.float32)
    one[-1, 0] = 1e-30
    pairs = [(loud, loud), (loud, loud + one), (loud, loud * np.float32(1 + 1e-6)), (one, 0 * one), (0 * one, one)]
    pairs += [
        (loud, 0 * loud),
        (0 * loud, loud),
        (one, loud),
        (0 * one, 0 * one),
        (np.ones_like(one), -np.ones_like(one)),
    ]
    for answers, expected in pairs:
        measured = drift(answers, expected)
        found, _ = figures_of(stating(model, lambda held, m=measured: held.update(outputs=noted({"y": m}))))
        assert asdict(found["y"]) == asdict(measured)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("answer", [np.inf, np.nan])
def test_answers_that_are_not_finite_are_not_called_forged(model: Model, answer: float) -> None:
    expected = np.zeros((5, model.outputs[0].size), np.float32)
    measured = drift(expected + np.float32(answer), expected)
    with pytest.raises(edgernn.BadModelFile, match=r"were infinite or NaN .* of 'y' is None; .*--calibrate"):
        figures_of(stating(model, lambda held: held.update(outputs=noted({"y": measured}))))
