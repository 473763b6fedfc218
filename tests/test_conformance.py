"""Every attribute, optional input, choice of outputs and opset of RNN, GRU and LSTM: honoured, or refused by name."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import ALONE, BACKWARDS, CASES, FEATURES, REFUSED, alone
from covering import covering
from onnx_cases import onnx_runtime
from recurrent_cases import LIMIT, STEPS, Case, on_window, streamed

from edgernn.errors import UnsupportedModel

ROOT = Path(__file__).resolve().parents[1]
HONOURED = [*CASES, *(case for case in ALONE if not case.reason)]
# Features that say what holds anyway, or say it in another way: alone they change no number
NEUTRAL = (
    "`direction=forward`",
    "`hidden_size` absent",
    "`layout=1`",
    "`B` computed at run time",
    "`sequence_lens`, all of them the whole length",
    "`sequence_lens`, given at run time: the whole length",
    "any subset of the outputs",
    "every opset from 7 on",
)


def far(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, number by number."""
    return float(np.abs(a.reshape(-1) - b.reshape(-1)).max())


@pytest.mark.parametrize("case", HONOURED, ids=lambda case: case.id)
def test_what_can_stream_equals_the_oracle_and_onnx_runtime(case: Case) -> None:
    answers, carried = streamed(case), set(case.carried().values())
    assert answers.keys() == ({*case.options["outputs"]} - carried or carried)
    for steps in (1, STEPS // 2, STEPS):
        for name, y in case.expected(steps).items():
            if name in answers:
                wanted = case.by_frame(y)[-1] if name == "Y" else y
                assert far(answers[name][steps - 1], wanted) < LIMIT, (name, steps)
    expected = case.expected()
    if "Y" in answers:
        assert far(answers["Y"], case.by_frame(expected["Y"])) < LIMIT
    if case.by_onnx_runtime:
        for name, y in onnx_runtime(case.model(), case.feeds()).items():
            assert far(y, expected[name]) < LIMIT, name


@pytest.mark.parametrize("case", BACKWARDS, ids=lambda case: case.id)
def test_what_runs_backwards_equals_the_oracle_and_onnx_runtime_on_windows(case: Case) -> None:
    for window in (STEPS,) if case.options["time"] == "fixed" else (1, STEPS // 2, STEPS):
        answers, expected = on_window(case, window), case.expected(window)
        assert answers.keys() == expected.keys()
        assert all(far(answers[name], y) < LIMIT for name, y in expected.items()), window
    if case.by_onnx_runtime:
        for name, y in onnx_runtime(case.model(), case.feeds()).items():
            assert far(y, answers[name]) < LIMIT, name


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_cannot_stream_is_refused_for_its_reason(case: Case) -> None:
    with pytest.raises(UnsupportedModel) as raised:
        streamed(case)
    (problem,) = raised.value.problems
    assert problem.operator == case.kind and case.reason in problem.what
    assert not case.whole or "window=N" in problem.remedy


@pytest.mark.parametrize("feature", [name for name in FEATURES if name not in NEUTRAL])
def test_ignoring_a_feature_would_show(feature: str) -> None:
    for case in FEATURES[feature]:
        (plain,) = (other.expected()["Y"] for other in alone({}, kinds=[case.kind]))
        y, default = case.expected()["Y"], case.attributes().get("activations") == ["Tanh"]
        assert default or plain.shape != y.shape or far(plain, y) > 100 * LIMIT, case.id


def test_every_two_options_that_fit_meet() -> None:
    options: dict[str, list[Any]] = {
        "a": [1, 2, 3, 4],
        "b": [1, 2, 3],
        "c": [None, 0],
        "d": ["x", "y", "z"],
        "e": [0, 1],
    }

    def fits(row: Mapping[str, Any]) -> bool:
        return row.get("a", 0) != row.get("b", 9) and (row.get("c") == 0 or row.get("e") != 1 or "c" not in row)

    rows = covering(options, fits)
    assert rows == covering(options, fits) and all(fits(row) and row.keys() == options.keys() for row in rows)
    every = [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]
    wanted, met = ({pair for row in some for pair in itertools.combinations(row.items(), 2)} for some in (every, rows))
    assert met == {pair for pair in wanted if any(fits(row) and {*pair} <= {*row.items()} for row in every)}
    assert len(rows) < 30


def test_the_readme_shows_the_scoreboard() -> None:
    command = [sys.executable, "tools/conformance.py", "--markdown"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ours = [line.split("|")[1:3] for line in made.splitlines() if line.startswith("|")]
    assert ours[2:] and all("WRONG" not in cell for _, cell in ours)
    assert all("|".join(["", *cells, ""]) in readme for cells in ours)
