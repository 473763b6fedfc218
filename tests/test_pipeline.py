"""Pipelines: samples in, decisions out, in stream time."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import Net
from hypothesis import given, settings
from hypothesis import strategies as st
from listeners import LISTENER, LOUD, PULSE, RATE, average, equipped, forecaster, listener, noise

from edgernn import BadInput, Decision, Model, Pipeline
from edgernn.layers import Affine, Take
from edgernn.layers.deciding import Deciding
from edgernn.layers.model import Node, Port, State


def late(model: Model) -> Model:
    """The same, answering two frames late."""
    zeros = np.zeros(1, np.float32)
    before = State("one", "v0", zeros), State("two", "one", zeros)
    return replace(model, outputs=(Port("y", "two", 1),), states=before, delay=2)


def windowed(size: int) -> Model:
    """On the last four frames, every two of them: the mean of the last two."""
    last = Take(np.arange(2 * size, 4 * size, dtype=np.int32), (2 * size,))
    mean = Affine(np.full((1, 2 * size), 0.5 / size, np.float32))
    nodes = Node("t", last, ("x",), ("t",)), Node("m", mean, ("t",), ("y",))
    return Model((Port("x", "x", size),), (Port("y", "y", 1),), (), nodes, hop=2, window=4)


RAW = {"kind": "raw", "rate": RATE, "frame_length": 20, "hop_length": 20}
TIMED: dict[str, Callable[[], Model]] = {
    "raw": lambda: equipped(average(20), RAW, LOUD),
    "delayed": lambda: equipped(late(average(20)), RAW, LOUD),
    "windowed": lambda: equipped(windowed(20), RAW, LOUD),
    "overlapping": lambda: equipped(average(60), {**RAW, "frame_length": 60}, LOUD),
}


@pytest.mark.parametrize("name", TIMED)
def test_decisions_are_in_stream_time(name: str) -> None:
    pipeline = TIMED[name]().pipeline()
    found = pipeline.feed(PULSE) + pipeline.finish()
    assert [(d.label, d.start, d.end) for d in found] == [("loud", 1.0, 2.0)]
    assert found[0].score == pytest.approx(1)


@pytest.mark.parametrize("edges", ["snip", "symmetric", "fft", "reflect", "zeros"])
def test_a_frame_stands_for_one_hop_around_its_middle(edges: str) -> None:
    features = {"kind": "logmel", "preset": "kaldi", "rate": RATE, "hop_length": 10, "frame_length": 40, "n_fft": 64}
    more = {"bands": 2, "edges": edges, "log": "none", "scale": 1.0, "window": "rectangular", "mel": "slaney"}
    pulse = PULSE * (-1) ** (np.arange(3000) // 2)
    peak = equipped(average(2), {**features, **more}).pipeline().answers(pulse).max()
    table = {**LOUD, "threshold": float(peak) / 4}  # a frame half of which is loud has half the amplitude
    pipeline = equipped(average(2), {**features, **more}, table).pipeline()
    (found,) = pipeline.feed(pulse) + pipeline.finish()
    assert abs(found.start - 1) < 0.016 and abs(found.end - 2) < 0.016  # a hop and a half


def test_what_a_decision_comes_late_by() -> None:
    for name in TIMED:
        model = replace(TIMED[name](), deciding=Deciding.from_settings({**LOUD, "report": "start"}))
        pipeline = model.pipeline()
        for at in range(0, 3000, 5):
            if found := pipeline.feed(PULSE[at : at + 5]):
                assert pipeline.time == pytest.approx(found[0].end + pipeline.lag)


@pytest.mark.parametrize("onset", [1.0, 1.003, 1.017])
@pytest.mark.parametrize("hops", [1, 3, 10])
@pytest.mark.parametrize("name", TIMED)
def test_a_decision_comes_no_later_than_smoothing_and_a_hop(name: str, hops: int, onset: float) -> None:
    """After what it is about begins, and what features and model look ahead: with any threshold, and no sooner."""
    model = TIMED[name]()
    assert model.frontend is not None
    hop = model.hop * model.frontend.seconds
    # of a frame that overlaps others a part may be loud: that of its middle counts
    threshold = 0.5 if name == "overlapping" else 0.999
    table = {**LOUD, "report": "start", "threshold": threshold, "smoothing": hops * hop}
    pipeline = replace(model, deciding=Deciding.from_settings(table)).pipeline()
    pulse = np.zeros(3000, np.float32)
    pulse[round(onset * RATE) :] = 1
    ends = [pipeline.time for at in range(0, 3000, 10) if pipeline.feed(pulse[at : at + 10])]
    late = ends[0] - onset - pipeline.lag
    assert late <= hops * hop + hop + 1e-9
    assert late >= (0.5 if name == "overlapping" else 1) * hops * hop - hop


@pytest.mark.parametrize("make", [listener, forecaster])
def test_any_pieces_and_any_pauses_give_the_same(make: Callable[[], Model]) -> None:
    model = make()
    samples, rng = noise(model), np.random.default_rng(0)
    if model.frontend and model.frontend.kind == "imu":
        samples[150] += 5
    pipeline, other = model.pipeline(), Pipeline(model)
    whole = pipeline.feed(samples) + pipeline.finish()
    assert whole and pipeline.feed(samples) + pipeline.finish() == whole
    found: list[Decision] = []
    for part in np.split(samples, np.sort(rng.integers(0, len(samples), 40))):
        found += pipeline.feed(part)
        other.load_state(pipeline.save_state())
        assert other.time == pipeline.time and other.scores == pipeline.scores
        pipeline, other = other, pipeline
    assert found + pipeline.finish() == whole


def test_an_anomaly_is_where_the_forecast_fails() -> None:
    model = forecaster()
    samples = noise(model)
    samples[150:] += 5
    pipeline = model.pipeline()
    (found,) = pipeline.feed(samples)
    assert (found.label, found.start, found.end) == ("anomaly", 1.5, 1.51) and found.score > 6


def test_answers_are_those_of_a_stream_on_the_features() -> None:
    from edgernn.pipelines.features import Extractor

    model = listener()
    assert model.frontend is not None
    samples = noise(model)
    expected = model.stream().run(Extractor(model.frontend).feed(samples))
    pipeline = model.pipeline()
    parts = [pipeline.answers(samples[:7000]), pipeline.answers(samples[7000:], end=True)]
    assert np.concatenate(parts).tobytes() == expected.tobytes() and pipeline.time == 0
    bare = replace(model, deciding=None)
    with pytest.raises(BadInput, match="no decisions"):
        bare.pipeline().feed(samples)
    assert bare.pipeline().scores == {} and bare.pipeline().gap(3) == []
    with pytest.raises(BadInput, match="no front end"):
        replace(bare, frontend=None).pipeline()


def test_gaps() -> None:
    pipeline = equipped(average(20), RAW, LOUD).pipeline()
    pipeline.feed(PULSE[:1500])
    found = pipeline.gap(0.05)  # silence stands for it
    assert [(d.start, d.end) for d in found] == [(1.0, 1.5)] and pipeline.time == 1.55
    assert pipeline.feed(PULSE[1550:1700]) == []
    found = pipeline.gap(0.8)
    assert [(d.start, d.end) for d in found] == [(1.54, 1.7)] and pipeline.time == 2.5
    assert [(d.start, d.end) for d in pipeline.feed(PULSE[900:2000]) + pipeline.finish()] == [(2.6, 3.6)]
    for seconds in (-1.0, float("nan"), 1e12):
        with pytest.raises(BadInput, match="a gap of"):
            pipeline.gap(seconds)


def test_sensors_hold_their_last_row_over_a_short_gap() -> None:
    model = forecaster()
    samples = noise(model) + 100
    pipeline = model.pipeline()
    assert pipeline.feed(samples[:150]) + pipeline.gap(0.05) + pipeline.feed(samples[155:]) == []
    fresh = model.pipeline()
    assert fresh.gap(0.05) == [] and fresh.time == 0.05


def test_bad_samples_leave_the_pipeline_as_it_was() -> None:
    model = listener()
    pipeline, samples = model.pipeline(), noise(model)
    pipeline.feed(samples[:5000])
    before = pipeline.save_state()
    for bad, said in (
        (np.full(9, np.nan), "sample 0 of 9 is nan"),
        (np.zeros((3, 2)), r"shape \(3, 2\); \(n,\) of one channel expected"),
        (np.array(["x"]), "real numbers expected"),
    ):
        with pytest.raises(BadInput, match=said):
            pipeline.feed(bad)
    assert pipeline.save_state() == before


def test_short_blocks_are_heard_as_any_others() -> None:
    """By one native call: with the bits, the states and the errors of all that it stands for."""
    for model in (listener(), replace(listener(), deciding=replace(LISTENER.deciding, smoothing=0.0))):  # type: ignore[type-var]
        quick, slow = model.pipeline(), model.pipeline()
        assert quick._ear is not None
        slow._ear = None
        samples = noise(model)
        for at in range(0, len(samples), 160):
            block = samples[at : at + 160]
            assert quick.feed(block) == slow.feed(block) and quick.scores == slow.scores
            assert quick.save_state() == slow.save_state()
        bad = np.array([0, np.nan], np.float32)
        messages = []
        for pipeline in (quick, slow):
            with pytest.raises(BadInput) as caught:
                pipeline.feed(bad)
            messages.append(str(caught.value))
        assert messages[0] == messages[1] and quick.save_state() == slow.save_state()


def test_answers_that_are_not_finite_are_an_error() -> None:
    net = Net(20)
    huge = net.model(y=(net.add(Affine(np.full((1, 20), 3e38, np.float32)), "x"), 1))
    pipeline = equipped(huge, RAW, LOUD).pipeline()
    for samples in (PULSE[1000:1020], PULSE[1000:2000]):  # a short block, and a long one
        with pytest.raises(BadInput, match="answers are not finite"):
            pipeline.feed(samples)


def sealed(content: bytes) -> bytes:
    """Content with its checksum."""
    return content + hashlib.sha256(content).digest()


def test_foreign_and_damaged_states_are_refused() -> None:
    model = listener()
    pipeline = model.pipeline()
    pipeline.feed(noise(model)[:5000])
    blob = pipeline.save_state()
    middle = 48 + 8  # the first vector: when the stream began, and answers to leave out
    bad: dict[str, Any] = {
        "is bytes, not str": "x",
        "not a saved state of a pipeline": blob[8:],
        "checksum": blob[:100] + b"\x01" + blob[101:],
        "another model": forecaster().pipeline().save_state(),
        "take a newer one": blob[:8] + b"\x07" + blob[9:],
        "too short": sealed(blob[:60]),
        "does not fit": sealed(blob[:middle] + np.array(np.nan).tobytes() + blob[middle + 8 : -32]),
    }
    for message, one in bad.items():
        with pytest.raises(BadInput, match=message):
            pipeline.load_state(one)
        assert pipeline.save_state() == blob


@settings(max_examples=60, deadline=None)
@given(st.integers(48, 10**6), st.binary(min_size=1, max_size=16))
def test_no_state_breaks_a_pipeline(at: int, noise_bytes: bytes) -> None:
    model = LISTENER
    pipeline = model.pipeline()
    pipeline.feed(np.ones(1000))
    blob = bytearray(pipeline.save_state()[:-32])
    at %= len(blob) - 48 - len(noise_bytes)
    blob[48 + at : 48 + at + len(noise_bytes)] = noise_bytes
    try:
        pipeline.load_state(sealed(bytes(blob)))
    except BadInput:
        return
    with suppress(BadInput):  # which large numbers in the state may lead to
        pipeline.answers(np.ones(1000))


@pytest.mark.parametrize("make", [listener, forecaster])
def test_a_copy_goes_on_by_itself(make: Callable[[], Model]) -> None:
    """Also once the first is gone, in whose memory it must not work."""
    pipeline = make().pipeline()
    samples = noise(pipeline.model)
    pipeline.feed(samples[:1000])
    twins = [copy.copy(pipeline), copy.deepcopy(pipeline), pickle.loads(pickle.dumps(pipeline))]
    found = pipeline.feed(samples[1000:]) + pipeline.finish()
    assert twins[1].model is pipeline.model
    extractor, decider = pipeline._extractor, pipeline._decider
    del pipeline
    for twin in twins:
        assert twin.feed(samples[1000:]) + twin.finish() == found
    for part in (extractor, decider):
        with pytest.raises(TypeError, match="Pipeline"):
            copy.deepcopy(part)
