"""Features: those of Kaldi and librosa, and the same bits however the samples are cut."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import instruction_set
from hypothesis import given, settings
from hypothesis import strategies as st
from make_features import CASES, RATE, sound

from edgernn import BadInput
from edgernn.kernels.isas import REFERENCE
from edgernn.layers import exact
from edgernn.layers.frontend import EDGES, LOGS, MELS, NORMS, STATISTICS, WINDOWS, FrontEnd
from edgernn.pipelines.features import Extractor

THEIRS = np.load(Path(__file__).parent / "golden" / "features.npz")
SINGLE = 1e-4  # Kaldi and librosa compute in float32: 24 bits of what is up to 200 here
SAMPLES = sound()
KALDI = {"kind": "logmel", "preset": "kaldi", "rate": RATE}
LIBROSA = {"kind": "logmel", "preset": "librosa", "rate": RATE}
IMU = {"kind": "imu", "rate": 100, "frame_length": 8, "hop_length": 3, "channels": 3}


def whole(settings: dict[str, Any] | FrontEnd, samples: np.ndarray) -> np.ndarray:
    """All frames of a recording in one call."""
    made = settings if isinstance(settings, FrontEnd) else FrontEnd.from_settings(settings)
    extractor = Extractor(made)
    return np.concatenate([extractor.feed(samples), extractor.finish()])


def cut(samples: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The samples in pieces, some of them empty."""
    places = np.sort(rng.integers(0, len(samples) + 1, rng.integers(0, 40)))
    yield from np.split(samples, places)


@pytest.mark.parametrize("name", CASES)
def test_the_features_are_those_of_kaldi_and_librosa(name: str) -> None:
    case = CASES[name]
    made = whole({"kind": case.kind, "preset": case.library, "rate": RATE, **case.ours}, SAMPLES)
    assert made.shape == THEIRS[name].shape and made.dtype == np.float32
    assert np.abs(made - THEIRS[name]).max() < SINGLE


def test_every_window_and_scale_and_edge_is_compared() -> None:
    made = [
        FrontEnd.from_settings({"kind": c.kind, "preset": c.library, "rate": RATE, **c.ours}) for c in CASES.values()
    ]
    for name, choices in {"window": WINDOWS, "mel": MELS, "edges": EDGES, "log": LOGS, "norm": NORMS}.items():
        assert {getattr(front, name) for front in made} == set(choices)


@st.composite
def front_ends(draw: st.DrawFn) -> FrontEnd:
    """A front end for sound with short frames."""
    length, hop = draw(st.integers(2, 60)), draw(st.integers(1, 80))
    kind = draw(st.sampled_from(["logmel", "mfcc", "raw"]))
    given = {
        "kind": kind,
        "rate": 1000,
        "frame_length": length,
        "hop_length": hop,
        "running": draw(st.sampled_from([0, 1])),
    }
    if kind != "raw":
        bands, preset = draw(st.integers(1, 4)), draw(st.sampled_from(["kaldi", "librosa"]))
        more = {
            "bands": bands,
            "mel": "slaney",
            "edges": draw(st.sampled_from(EDGES)),
            "running_std": draw(st.booleans()),
        }
        given |= {"preset": preset, "n_fft": length + draw(st.integers(0, 9)), **more}
        given |= {"cepstra": draw(st.integers(1, bands)), "use_energy": preset == "kaldi"} if kind == "mfcc" else {}
    return FrontEnd.from_settings(given)


@settings(max_examples=100, deadline=None)
@given(front_ends(), st.integers(0, 700), st.integers(0, 2**32 - 1))
def test_however_the_samples_are_cut_the_frames_are_the_same_bits(front: FrontEnd, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(count).astype(np.float32)
    extractor, other = Extractor(front), Extractor(front)
    frames = []
    for part in cut(samples, rng):
        frames.append(extractor.feed(part))
        other.set_state(extractor.state())
        extractor, other = other, extractor
    frames.append(extractor.finish())
    assert np.concatenate(frames).tobytes() == whole(front, samples).tobytes()


@pytest.mark.parametrize("name", ["kaldi-80", "mfcc", "librosa-window", "kaldi-centred"])
def test_real_sizes_in_pieces(name: str) -> None:
    case = CASES[name]
    front = FrontEnd.from_settings({"kind": case.kind, "preset": case.library, "rate": RATE, **case.ours})
    extractor = Extractor(front)
    for size in (1, 160, 777, 8000):
        parts = [extractor.feed(SAMPLES[at : at + size]) for at in range(0, len(SAMPLES), size)]
        assert np.concatenate([*parts, extractor.finish()]).tobytes() == whole(front, SAMPLES).tobytes()


ODD_ENDS: dict[str, dict[str, Any]] = {  # transforms of any length, energies, and what comes after the spectrum
    **{
        f"n_fft {n}": {**KALDI, "frame_length": min(n, 400), "n_fft": n, "bands": 3}
        for n in (512, 480, 511, 1000, 2048)
    },
    "tiny": {**LIBROSA, "frame_length": 2, "n_fft": 2, "hop_length": 3, "bands": 1},
    "three": {**LIBROSA, "frame_length": 3, "n_fft": 3, "hop_length": 2, "bands": 2, "edges": "reflect"},
    "energy": {**KALDI, "kind": "mfcc", "raw_energy": False, "htk_compat": True, "energy_floor": 1.0},
    "energy first": {**KALDI, "use_energy": True, "power": 1, "frame_length": 403},
    "last": {**KALDI, "kind": "mfcc", "use_energy": False, "htk_compat": True},
    "running": {**KALDI, "running": 1, "running_std": True, "mean": [3.0], "std": [0.3]},
    "raw": {"kind": "raw", "rate": RATE, "frame_length": 99, "hop_length": 70, "scale": 3.0, "running": 0.5},
    "far apart": {"kind": "raw", "rate": RATE, "frame_length": 5, "hop_length": 700},
}


FRONT_ENDS = ODD_ENDS | {
    name: {"kind": case.kind, "preset": case.library, "rate": RATE, **case.ours} for name, case in CASES.items()
}


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_features_have_the_bits_of_the_reference(name: str, isa: str) -> None:
    with instruction_set(REFERENCE):
        expected = whole(FRONT_ENDS[name], SAMPLES[:9000])
    with instruction_set(isa):
        assert len(expected) and whole(FRONT_ENDS[name], SAMPLES[:9000]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("statistics", [[], list(STATISTICS)])
def test_frames_of_sensors_have_the_bits_of_the_reference(statistics: list[str], isa: str) -> None:
    rows = np.random.default_rng(0).standard_normal((50, 3))
    table = {**IMU, "differences": True, "statistics": statistics, "scale": 0.3, "running": 1, "running_std": True}
    with instruction_set(REFERENCE):
        expected = whole(table, rows)
    with instruction_set(isa):
        assert whole(table, rows).tobytes() == expected.tobytes()


@pytest.mark.parametrize("n_fft", [16, 30, 31, 97, 1000, 2048])
def test_the_transform_is_that_of_fourier(n_fft: int) -> None:
    frame = np.random.default_rng(n_fft).standard_normal(n_fft)
    bands = n_fft // 2 + 1  # of one point each
    table = {**LIBROSA, "edges": "fft", "window": "rectangular", "n_fft": n_fft, "frame_length": n_fft, "norm": "none"}
    narrow = {**table, "rate": 1000, "bands": 1, "log": "none", "hop_length": n_fft}
    power = np.abs(np.fft.rfft(frame)) ** 2
    for k in range(1, bands - 1, 1 + bands // 8):
        low, high = (k - 1) * 1000 / n_fft, (k + 1) * 1000 / n_fft
        found = whole({**narrow, "low_freq": low, "high_freq": high}, frame)
        middle = low + (high - low) / 2 if high < 1000 else k * 1000 / n_fft  # the mel scale is linear below 1 kHz
        assert found[0, 0] == pytest.approx(power[k] * (1 if middle else 0), rel=1e-6)


def test_functions_that_are_the_same_everywhere() -> None:
    """Close to the true ones, and of these very bits: a machine that has others would have other features."""
    k = np.arange(20001)
    x = (k - 10000) * 0.07
    logs, powers = exact.log(k * 1e-3 + 1e-4), exact.exp(x)
    cos, sin = exact.turn(k, 20001)
    wide = np.longdouble
    assert np.abs(logs - np.log(wide(1) * (k * 1e-3 + 1e-4))).max() < 4e-15
    assert np.abs(powers / np.exp(wide(1) * x) - 1).max() < 4e-16
    assert np.abs(cos - np.cos(2 * np.pi * k / 20001)).max() < 2e-15
    assert np.abs(sin - np.sin(2 * np.pi * k / 20001)).max() < 2e-15
    assert exact.decay(1e-9) == pytest.approx(1e-9, rel=1e-8) and exact.decay(3.0) == pytest.approx(1 - np.exp(-3.0))
    samples = ((k * 7919 % 1009 - 504) / 1024).astype(np.float32)
    bands = whole(KALDI, samples)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in (logs, powers, cos, sin, bands))).hexdigest()
    assert digest == "ae40f701c5b40a7c060be11815068cb92a12ab629399983cd9856b7771789d78"


@pytest.mark.parametrize("statistics", [[], ["mean"], list(STATISTICS)])
@pytest.mark.parametrize("differences", [False, True])
def test_windows_differences_and_statistics_of_sensors(differences: bool, statistics: list[str]) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 3)).astype(np.float32)
    front = FrontEnd.from_settings({**IMU, "differences": differences, "statistics": statistics, "scale": 2})
    columns = np.hstack([rows, np.diff(rows.astype(float), axis=0, prepend=rows[:1])]) if differences else rows
    columns = 2 * columns.astype(np.float64)
    reduce = {"mean": np.mean, "std": np.std, "min": np.min, "max": np.max}
    reduce["rms"] = lambda x, axis: np.sqrt(np.mean(np.square(x), axis))
    expected = []
    for start in range(0, 50 - 8 + 1, 3):
        window = columns[start : start + 8]
        expected.append(np.concatenate([reduce[name](window, axis=0) for name in statistics] or [*window]))
    made = whole(front, rows)
    assert made.shape == (15, front.size) and np.allclose(made, expected, rtol=1e-6, atol=1e-6)
    extractor = Extractor(front)
    parts = [extractor.feed(part) for part in cut(rows, rng)]
    assert np.concatenate(parts).tobytes() == made.tobytes()


def test_normalisation_by_what_the_file_says_and_by_what_runs() -> None:
    bare = {"kind": "raw", "rate": 100, "frame_length": 2, "hop_length": 2}
    samples = np.random.default_rng(1).standard_normal(200).astype(np.float32) * 3 + 5
    frames = samples.reshape(-1, 2).astype(np.float64)
    made = whole({**bare, "mean": [5.0, 4.0], "std": [3.0]}, samples)
    assert np.allclose(made, (frames - [5, 4]) / 3, rtol=1e-6, atol=1e-6)
    made = whole({**bare, "running": 1.0, "running_std": True}, samples)  # 50 frames
    for t in (3, 20):  # at first these are the mean and the deviation of all frames so far
        seen = frames[: t + 1]
        assert np.allclose(made[t], (frames[t] - seen.mean(0)) / np.sqrt(seen.var(0)), rtol=1e-5)
    m, a = frames[:50].mean(0), 1 - np.exp(-1 / 50)
    only_mean = whole({**bare, "running": 1.0}, samples)
    for t in range(50, 100):
        m = m + max(a, 1 / (t + 1)) * (frames[t] - m)
        assert np.allclose(only_mean[t], frames[t] - m, rtol=1e-5, atol=1e-6)


def test_bad_samples_leave_the_state_as_it_was() -> None:
    front = FrontEnd.from_settings(KALDI)
    extractor, good = Extractor(front), SAMPLES[:3000]
    first = extractor.feed(good)
    bad = {
        "all numbers must be finite": np.array([0, np.nan], np.float32),
        "is inf": np.array([np.inf]),
        r"sample 0 of 1 is 1e\+39": np.array([1e39]),
        r"\(n,\) of one channel": np.zeros((4, 2)),
        "real numbers expected": np.array(["1"]),
        "no array of numbers": [[1.0], [2.0, 3.0]],
        "masked array": np.ma.masked_array(np.zeros(500), True),
    }
    for message, samples in bad.items():
        with pytest.raises(BadInput, match=message):
            extractor.feed(samples)
    assert np.concatenate([first, extractor.feed(SAMPLES[3000:])]).tobytes() == whole(front, SAMPLES).tobytes()
    with pytest.raises(BadInput, match="beyond float32"):
        whole({**KALDI, "log": "none"}, np.full(16000, 3e38) * np.sin(np.arange(16000)))
    with pytest.raises(BadInput, match=r"\(n, 3\) expected"):
        Extractor(FrontEnd.from_settings(IMU)).feed(np.zeros((5, 2)))


def test_silence_is_finite() -> None:
    for table in (KALDI, {**KALDI, "kind": "mfcc"}, LIBROSA, {**KALDI, "running": 1, "running_std": True}):
        assert np.isfinite(whole(table, np.zeros(8000))).all()
