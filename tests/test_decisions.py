"""Decisions: what the equations say, however the answers are cut."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from conftest import instruction_set
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import BadInput, Decision
from edgernn.kernels.isas import REFERENCE
from edgernn.layers.deciding import Deciding
from edgernn.pipelines.decide import Decider

LABELS = ["a", "b", "c"]


def decided(table: dict[str, Any] | Deciding, answers: Any, seconds: float = 1.0, delay: float = 0.0) -> list[Decision]:
    """The decisions on a whole recording."""
    deciding = table if isinstance(table, Deciding) else Deciding.from_settings(table)
    decider = Decider(deciding, seconds, delay)
    return decider.feed(np.array(answers, float).reshape(-1, len(deciding.labels))) + decider.finish()


def spans(table: dict[str, Any], scores: list[float]) -> list[tuple[float, float]]:
    """(start, end) of the decisions on one label, an answer a second."""
    return [(d.start, d.end) for d in decided({"labels": ["a"], **table}, scores)]


END = {"report": "end"}
CASES: dict[str, tuple[dict[str, Any], list[float], list[tuple[float, float]]]] = {
    "at its start": ({}, [0, 0.6, 0.7, 0, 0.5], [(1, 2), (4, 5)]),
    "at its end": (END, [0, 0.6, 0.7, 0, 0.5], [(1, 3), (4, 5)]),
    "hysteresis": ({**END, "release": 0.2}, [0.3, 0.6, 0.3, 0.2, 0.1, 0.3], [(1, 4)]),
    "no hysteresis": (END, [0.3, 0.6, 0.3, 0.6], [(1, 2), (3, 4)]),
    "long enough": ({"minimum_duration": 3}, [0.6, 0.6, 0.6, 0, 0.6, 0.6, 0], [(0, 3)]),
    "long enough at its end": ({**END, "minimum_duration": 2.5}, [0.6, 0.6, 0.6, 0, 0.6, 0.6, 0], [(0, 3)]),
    "refractory": ({"refractory": 2}, [1, 0, 1, 0, 1, 0, 1], [(0, 1), (4, 5)]),
    "refractory at its end": ({**END, "refractory": 2}, [1, 1, 0, 1, 1, 1], [(0, 2), (4, 6)]),
    "on when refractory is over": ({**END, "refractory": 3}, [1, 0, 1, 1, 1, 1], [(0, 1), (4, 6)]),
    "told once": ({}, [1] * 9, [(0, 1)]),
    "too short sets nothing": ({"minimum_duration": 2, "refractory": 9}, [1, 0, 1, 1], [(2, 4)]),
    "smoothing": ({**END, "smoothing": 2}, [1, 0, 0, 1, 1, 0, 0], [(0, 2), (3, 6)]),
}


@pytest.mark.parametrize("name", CASES)
def test_one_label(name: str) -> None:
    table, scores, expected = CASES[name]
    assert spans(table, scores) == expected


def test_labels_by_themselves_and_the_highest_first() -> None:
    answers = [[0.6, 0.7, 0.9], [0.6, 0.7, 0.1], [0.8, 0.7, 0.1]]
    table = {"labels": LABELS, "ignored": ["c"]}
    assert [(d.label, d.start) for d in decided(table, answers)] == [("b", 1), ("a", 2)]
    assert [(d.label, d.start) for d in decided({**table, "top": 2}, answers)] == [("b", 0), ("a", 1)]
    assert [(d.label, d.start) for d in decided({**table, "top": 0}, answers)] == [("a", 0), ("b", 0)]
    by_label = {**table, "top": 0, "threshold": {"a": 0.75, "b": 0.65}}
    assert [(d.label, d.start) for d in decided(by_label, answers)] == [("b", 0), ("a", 2)]


def test_posteriors() -> None:
    answers = np.array([[1.0, 2.0, -900.0], [800.0, 0.0, 0.0]])
    decider = Decider(Deciding.from_settings({"labels": LABELS, "activation": "softmax"}), 1)
    decider.feed(answers[:1])
    expected = math.exp(2) / (math.exp(1) + math.exp(2))
    assert decider.scores == pytest.approx({"a": 1 - expected, "b": expected, "c": 0})
    assert [d.score for d in decider.feed(answers[1:])] == [1.0]
    decider = Decider(Deciding.from_settings({"labels": ["a"], "activation": "sigmoid"}), 1)
    decider.feed([[math.log(3)]])
    assert decider.scores["a"] == pytest.approx(0.75)


def test_times_are_those_of_the_stream() -> None:
    table = {"labels": ["a"], "report": "end"}
    (found,) = decided(table, [0, 1, 1, 0], seconds=0.02, delay=-0.005)
    assert (found.start, found.end) == (0.025, 0.065)
    (found,) = decided(table, [1, 1, 0, 0], seconds=0.02, delay=0.03)
    assert (found.start, found.end) == (0.0, 0.01)


def plain(d: Deciding, answers: np.ndarray) -> list[tuple[int, str, int, int]]:
    """(told, label, first answer, end) by the equations, an answer at a time; no activation, an answer a second."""
    window = max(1, round(d.smoothing))
    least, refractory = max(1, math.ceil(d.minimum_duration)), math.ceil(d.refractory)
    found = []
    for i, label in enumerate(d.labels):
        on, free, told = None, 0, False
        for k in range(len(answers) + 1):
            over = k == len(answers)
            past = np.zeros(1) if over else answers[max(0, k - window + 1) : k + 1].mean(axis=0)
            if on is not None and (over or past[i] < d.release[i]):
                if d.report == "end" and k - on >= least:
                    found.append((k, label, on, k))
                    free = k + refractory
                on = None
            elif not over and on is None:
                higher = int((past > past[i]).sum())
                if past[i] >= d.threshold[i] and k >= free and (d.top == 0 or higher < d.top):
                    on, told = k, False
            if on is not None and d.report == "start" and not told and k + 1 - on >= least:
                found.append((k, label, on, k + 1))
                free, told = k + 1 + refractory, True
    return [one for one in sorted(found, key=lambda one: one[0]) if one[1] not in d.ignored]


@st.composite
def deciders(draw: st.DrawFn) -> Deciding:
    """Settings with times of a few answers."""
    threshold = draw(st.sampled_from([0.25, 0.5, 0.75]))
    return Deciding.from_settings(
        {
            "labels": LABELS,
            "threshold": threshold,
            "release": draw(st.sampled_from([threshold, threshold / 2])),
            "smoothing": draw(st.integers(0, 4)),
            "minimum_duration": draw(st.integers(0, 3)),
            "refractory": draw(st.integers(0, 6)),
            "ignored": draw(st.sampled_from([[], ["c"]])),
            "top": draw(st.integers(0, 3)),
            "report": draw(st.sampled_from(["start", "end"])),
        }
    )


@settings(max_examples=100, deadline=None)
@given(deciders(), st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_any_answers_in_any_pieces(deciding: Deciding, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    answers = np.repeat(rng.integers(0, 5, (count, 3)), rng.integers(1, 4), axis=0) / 4  # sums of these are exact
    whole = decided(deciding, answers)
    assert [(d.label, d.start, d.end) for d in whole] == [(a, b, c) for _, a, b, c in plain(deciding, answers)]
    decider, other, pieces = Decider(deciding, 1), Decider(deciding, 1), []
    for part in np.split(answers, np.sort(rng.integers(0, len(answers) + 1, 12))):
        pieces += decider.feed(part)
        other.set_state(decider.state())
        decider, other = other, decider
    assert pieces + decider.finish() == whole
    by_label = [[d for d in whole if d.label == label] for label in LABELS]
    for found in by_label:
        assert all(b.start >= a.end + deciding.refractory for a, b in pairwise(found))
        assert all(d.end - d.start >= deciding.minimum_duration and math.isfinite(d.score) for d in found)


@pytest.mark.parametrize("smoothing", [2, 30, 300])
def test_smoothed_scores_are_the_same_bits_in_any_pieces(smoothing: int) -> None:
    answers = np.random.default_rng(0).standard_normal((1000, 3))
    table = {"labels": LABELS, "activation": "softmax", "smoothing": smoothing}
    whole, single = (Decider(Deciding.from_settings(table), 1) for _ in range(2))
    for at in range(0, 1000, 250):
        whole.feed(answers[at : at + 250])
        for answer in answers[at : at + 250]:
            single.feed(answer[None])
        assert whole.scores == single.scores


@pytest.mark.parametrize("activation", ["none", "softmax", "sigmoid"])
def test_scores_have_the_bits_of_the_reference(activation: str, isa: str) -> None:
    answers = (np.random.default_rng(0).standard_normal((300, 3)) * 20).astype(np.float32)
    deciding, found = Deciding.from_settings({"labels": LABELS, "activation": activation, "smoothing": 7}), []
    for name in (REFERENCE, isa):
        with instruction_set(name):
            decider = Decider(deciding, 1)
        told = [[*decider.feed(answer[None]), *decider.scores.values()] for answer in answers]
        found.append([*told, *(part.tobytes() for part in decider.state())])
    assert found[0] == found[1]


ANOMALY = {"kind": "anomaly", "baseline": 50, "warmup": 20, "threshold": 6}


def test_anomalies_stand_out_from_a_running_baseline() -> None:
    rng = np.random.default_rng(0)
    errors = 2 + 0.1 * rng.standard_normal(400)
    errors[5] = 50  # while it warms up
    errors[200:230] += 3
    errors[300:] = 4 + 0.1 * rng.standard_normal(100)  # a new level, which is an alarm that stays
    found = decided({**ANOMALY, "report": "end", "release": 2, "baseline": 20}, errors)
    assert [(d.start, d.end) for d in found] == [(200, 230), (300, 400)]
    assert decided({**ANOMALY, "report": "end"}, errors[:200]) == []


def test_the_baseline_stands_still_during_an_alarm() -> None:
    decider = Decider(Deciding.from_settings({**ANOMALY, "warmup": 3}), 1)
    decider.feed([[1.0], [1.1], [0.9], [1.0]])
    before = decider.state()[0]
    assert len(decider.feed([[9.0]])) == 1 and decider.feed([[9.0]] * 20) == []
    assert (decider.state()[0][2:] == before[2:]).all()
    decider.feed([[1.0]])
    assert decider.state()[0][2] == before[2] + 1


def test_answers_that_never_vary_and_errors_that_are_zero() -> None:
    assert decided(ANOMALY, np.zeros(100)) == []
    assert decided(ANOMALY, np.ones(100)) == []
    assert [d.start for d in decided(ANOMALY, [*np.ones(50), 2.0])] == [50]
    assert all(math.isfinite(d.score) for d in decided(ANOMALY, [*np.zeros(50), 1e38]))


def test_bad_answers_leave_the_state_as_it_was() -> None:
    decider = Decider(Deciding.from_settings({"labels": ["a"], "smoothing": 3}), 1)
    decider.feed([[1.0]])
    before = [part.tolist() for part in decider.state()]
    for bad, said in (
        ([[math.nan]], "not finite"),
        ([[math.inf]], "not finite"),
        ([[1.0, 2.0]], r"shape \(1, 2\); \(n, 1\) expected"),
        ([1.0], r"shape \(1,\); \(n, 1\) expected"),
        ([[1.0], [1.0, 2.0]], "no array of numbers"),
        ([["a"]], "real numbers expected"),
    ):
        with pytest.raises(BadInput, match=said):
            decider.feed(bad)
    assert [part.tolist() for part in decider.state()] == before
    with pytest.raises(ValueError):
        decider.set_state([part[:1] for part in decider.state()])


REFUSED: dict[str, dict[str, Any]] = {
    "lacks 'labels'": {},
    "has no setting 'top_k': write top": {"labels": LABELS, "top_k": 2},
    "kind is 'regression': one of labels, anomaly": {"labels": LABELS, "kind": "regression"},
    "labels: one or more texts, each once": {"labels": ["a", "a"]},
    "labels is \\[\\]: a text": {"labels": ["a", []], "threshold": {"a": 1}},
    "ignored is 3: a list": {"labels": ["a"], "ignored": 3, "threshold": {"a": 1}},
    "labels is 'a': a list": {"labels": "a"},
    "ignored: 'x' is none of the labels a, b, c": {"labels": LABELS, "ignored": ["x"]},
    "threshold: 2 numbers for 3 labels": {"labels": LABELS, "threshold": [1, 2]},
    "threshold: 'x' is none of": {"labels": LABELS, "threshold": {"x": 1}},
    "threshold has no number for 'b'": {"labels": LABELS, "threshold": {"a": 1, "c": 1}},
    "threshold is nan: a number expected": {"labels": LABELS, "threshold": math.nan},
    r"release of 'a' \(no higher than its threshold\) is 0.6": {"labels": LABELS, "release": 0.6},
    "smoothing is -1: 0 to 86400": {"labels": LABELS, "smoothing": -1},
    "refractory is 1e\\+20": {"labels": LABELS, "refractory": 1e20},
    "top is '1': a whole number": {"labels": LABELS, "top": "1"},
    "activation: the softmax of one number is always 1": {"labels": ["a"], "activation": "softmax"},
    'kind "anomaly" has one label': {"kind": "anomaly", "labels": LABELS},
}


@pytest.mark.parametrize("message", REFUSED)
def test_settings_are_refused_by_name(message: str) -> None:
    with pytest.raises(BadInput, match=rf"\[decisions\] {message}"):
        Deciding.from_settings(REFUSED[message])


def test_settings_go_round() -> None:
    for table in ({"labels": LABELS, "threshold": {"a": 0.9, "b": 0.8}, "ignored": ["c"], "release": 0.2}, ANOMALY):
        deciding = Deciding.from_settings(table)
        assert Deciding.from_settings(deciding.settings()) == deciding
    assert Deciding.from_settings({"labels": LABELS, "threshold": 0.7}).release == (0.7, 0.7, 0.7)
    with pytest.raises(BadInput, match="refractory is nan"):
        replace(deciding, refractory=math.nan)
