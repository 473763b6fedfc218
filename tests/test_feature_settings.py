"""The settings of features: each means what it says and goes round, or is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from commands import SEQUENCE, bad, usage
from test_features import IMU, KALDI, LIBROSA

from edgernn import BadInput
from edgernn.layers.frontend import FrontEnd


def test_settings_go_round() -> None:
    for table in (KALDI, LIBROSA, {**KALDI, "kind": "mfcc"}, {**LIBROSA, "kind": "mfcc"}, IMU):
        front = FrontEnd.from_settings(table)
        assert FrontEnd.from_settings(front.settings()) == front
    front = FrontEnd.from_settings({**KALDI, "rate": 8000})
    assert (front.frame_length, front.hop_length, front.n_fft, front.size) == (200, 80, 256, 23)
    front = FrontEnd.from_settings({"kind": "logmel", "preset": "librosa"})
    assert (front.rate, front.frame_length, front.hop_length, front.n_fft, front.size) == (22050, 2048, 512, 2048, 128)


REFUSED = {
    "lacks 'kind'": {},
    "kind is 'loud': one of logmel, mfcc": {"kind": "loud", "rate": 1, "frame_length": 1, "hop_length": 1},
    "lacks 'edges': give all settings, or preset = \"kaldi\"": {
        "kind": "logmel",
        "rate": 16000,
        "frame_length": 400,
        "hop_length": 160,
        "scale": 1,
    },
    "preset is 'keras'": {**KALDI, "preset": "keras"},
    "no setting 'n_mels': write bands": {**LIBROSA, "n_mels": 40},
    "no setting 'top_db': .*train with top_db=None": {**LIBROSA, "top_db": 80},
    "no setting 'dither': .*train with dither = 0": {**KALDI, "dither": 1.0},
    "no setting 'snip_edges': write edges = \"snip\"": {**KALDI, "snip_edges": False},
    "no setting 'widnow': do you mean 'window'": {**KALDI, "widnow": "hann"},
    "lifter: librosa counts": {**LIBROSA, "kind": "mfcc", "lifter": 22},
    "window is 'kaiser': one of povey, hann": {**KALDI, "window": "kaiser"},
    "bands is '40': a whole number expected": {**KALDI, "bands": "40"},
    "bands is True: a whole number expected": {**KALDI, "bands": True},
    "bands is 1000000000: 1 to 1024 expected": {**KALDI, "bands": 10**9},
    "frame_length is 1099511627776": {**KALDI, "frame_length": 1 << 40},
    "n_fft is 256: 400 to 32768 expected": {**KALDI, "n_fft": 256},
    "band 2 of 200 has no frequency .*: fewer bands or a larger n_fft": {**KALDI, "bands": 200},
    "log_floor is nan: a number expected": {**KALDI, "log_floor": float("nan")},
    "log_floor is 0: 1e-300 to": {**KALDI, "log_floor": 0},
    "rate is inf": {**KALDI, "rate": float("inf")},
    "bands from 4000 to 3000 Hz": {**KALDI, "low_freq": 4000, "high_freq": 3000},
    "high_freq is 9000": {**KALDI, "high_freq": 9000},
    "cepstra is 30: 1 to 23 expected": {**KALDI, "kind": "mfcc", "cepstra": 30},
    'log is "none": cepstra': {**KALDI, "kind": "mfcc", "log": "none"},
    "use_energy: Kaldi's energy is a natural logarithm": {**KALDI, "log": "db", "use_energy": True},
    "mean has 3 numbers: 1 or 23 expected": {**KALDI, "mean": [1, 2, 3]},
    "std is 0: 1e-30": {**KALDI, "std": [0]},
    "mean is 3: a list": {**KALDI, "mean": 3},
    'bands: kind "raw" has kind, rate': {"kind": "raw", "rate": 1, "frame_length": 1, "hop_length": 1, "bands": 3},
    "statistics is 'median': one of": {**IMU, "statistics": ["median"]},
    "a frame of 24000 numbers: at most 4096": {**IMU, "frame_length": 8000},
    "32768 rows of 64 numbers: at most 262144": {**IMU, "frame_length": 32768, "channels": 64, "statistics": ["rms"]},
    "frame_length is nan: a whole number": {**KALDI, "frame_length": float("nan")},
    "rate is nan: a number|lacks 'frame_length'": {**KALDI, "rate": float("nan")},
    "scale is 0": {**IMU, "scale": 0},
}


@pytest.mark.parametrize("message", REFUSED)
def test_settings_are_refused_by_name(message: str) -> None:
    with pytest.raises(BadInput, match=rf"^\[features\] .*({message})|^\[features\] ({message})"):
        FrontEnd.from_settings(REFUSED[message])


def test_what_is_no_table_and_what_is_replaced() -> None:
    with pytest.raises(BadInput, match="a table of settings expected"):
        FrontEnd.from_settings([1])  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="hop_length is 0"):
        replace(FrontEnd.from_settings(KALDI), hop_length=0)


def test_numbers_and_lists_without_an_end_are_mistakes_too(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[features]\nrate = 1" + "0" * 5000)
    arguments = ("convert", SEQUENCE, "-o", tmp_path / "x.edgernn", "--features", tmp_path / "x.toml")
    assert "x.toml is not TOML" in bad(*arguments)
    assert "NAME=NUMBER" in usage("inspect", SEQUENCE, "--set", "sr=" + "[" * 100_000)
