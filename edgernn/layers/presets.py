"""The defaults of Kaldi's and librosa's features, and the names that these libraries have for our settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from edgernn.errors import BadInput

KALDI = {
    "scale": 32768.0,  # Kaldi reads samples as 16-bit integers
    "edges": "snip",
    "window": "povey",
    "periodic": False,
    "preemphasis": 0.97,
    "remove_dc_offset": True,
    "power": 2,
    "bands": 23,
    "low_freq": 20.0,
    "high_freq": 0.0,
    "mel": "kaldi",
    "norm": "none",
    "log": "natural",
    "log_floor": 2.0**-23,
    "ref": 1.0,
    "raw_energy": True,
    "energy_floor": 0.0,
    "htk_compat": False,
}
LIBROSA = {
    "scale": 1.0,
    "edges": "zeros",
    "window": "hann",
    "periodic": True,
    "preemphasis": 0.0,
    "remove_dc_offset": False,
    "power": 2,
    "bands": 128,
    "low_freq": 0.0,
    "high_freq": 0.0,
    "mel": "slaney",
    "norm": "slaney",
    "log": "db",
    "log_floor": 1e-10,
    "ref": 1.0,
    "use_energy": False,
}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {  # preset -> kind -> its defaults
    "kaldi": {"logmel": {**KALDI, "use_energy": False}, "mfcc": {**KALDI, "use_energy": True}},
    "librosa": {"logmel": LIBROSA, "mfcc": LIBROSA},
}
CEPSTRA = {"kaldi": {"cepstra": 13, "lifter": 22.0}, "librosa": {"cepstra": 20, "lifter": 0.0}}

_RANDOM = "dither adds noise, so that no answer is the same twice: train with dither = 0 and leave it out"
_EDGES = 'write edges = "snip" for snip_edges = true, "symmetric" for false'
_CENTER = 'write edges = "zeros" or "reflect" (the pad_mode) for center = true, "fft" for false'
ELSEWHERE = {
    "top_db": "it compares with the loudest part of the whole recording, which a stream does not know: train with "
    "top_db=None",
    "dither": _RANDOM,
    "snip_edges": _EDGES,
    "center": _CENTER,
    "pad_mode": _CENTER,
    "n_mels": "write bands",
    "num_bins": "write bands",
    "num_mel_bins": "write bands",
    "sr": "write rate",
    "sample_rate": "write rate",
    "samp_freq": "write rate",
    "sample_frequency": "write rate",
    "win_length": "write frame_length, in samples",
    "frame_length_ms": "write frame_length, in samples",
    "frame_shift": "write hop_length, in samples",
    "frame_shift_ms": "write hop_length, in samples",
    "fmin": "write low_freq",
    "fmax": "write high_freq",
    "f_min": "write low_freq",
    "f_max": "write high_freq",
    "htk": 'write mel = "htk" for true, "slaney" for false',
    "mel_scale": 'write mel = "htk", "slaney" or "kaldi"',
    "amin": "write log_floor",
    "window_type": 'write window; Kaldi\'s hanning is "hann" with periodic = false',
    "preemph_coeff": "write preemphasis",
    "preemphasis_coefficient": "write preemphasis",
    "use_power": "write power = 2 for true, 1 for false",
    "use_log_fbank": 'write log = "natural" for true, "none" for false',
    "round_to_power_of_two": "write n_fft",
    "num_ceps": "write cepstra",
    "n_mfcc": "write cepstra",
    "cepstral_lifter": "write lifter",
    "normalise": "write mean and std, or running",
}


OPTIONAL = ("mean", "std", "running", "running_std", "use_energy", "raw_energy", "energy_floor", "htk_compat")


def filled_in(given: dict[str, Any], used: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """The settings with the defaults of the preset that they name; without one they must be complete.

    Raises BadInput for an unknown preset, and for settings that it cannot have.
    """
    preset, kind = given.pop("preset", None), given.get("kind")
    if not isinstance(kind, str) or kind not in used:
        return given
    if preset is None:
        missing = [name for name in used[kind] if name not in given and name not in OPTIONAL]
        if missing and kind in PRESETS["kaldi"]:
            raise BadInput(f'[features] lacks \'{missing[0]}\': give all settings, or preset = "kaldi" or "librosa"')
        return given
    if not isinstance(preset, str) or kind not in PRESETS.get(preset, ()):
        raise BadInput(f"[features] preset is {preset!r}: kaldi or librosa expected, for kind logmel or mfcc")
    if preset == "librosa" and given.get("lifter", 0) != 0:
        raise BadInput("[features] lifter: librosa counts its coefficients from 1, Kaldi from 0; only Kaldi's is here")
    defaults = {**PRESETS[preset][kind], **(CEPSTRA[preset] if kind == "mfcc" else {})}
    return {**{name: value for name, value in defaults.items() if name in used[kind]}, **_lengths(preset, given)}


def _lengths(preset: str, given: dict[str, Any]) -> dict[str, Any]:
    """The settings with the lengths of frame, hop and transform, which follow from each other.

    Kaldi: 25 ms every 10 ms, transformed with the next power of two; librosa: n_fft 2048, a window as long, a hop of a
    quarter of it. What is no number is left for the check of types to find.
    """
    if preset == "librosa":
        n_fft = _whole(given, "n_fft", 2048)
        frame = _whole(given, "frame_length", n_fft)
        return {"rate": 22050, "n_fft": n_fft, "frame_length": frame, "hop_length": frame // 4, **given}
    rate = given.get("rate")
    if not isinstance(rate, (int, float)) or not 0 < rate < 1e9:
        return given
    frame = _whole(given, "frame_length", int(rate * 0.025))
    return {"frame_length": frame, "hop_length": int(rate * 0.010), "n_fft": _power_of_two(frame), **given}


def _whole(given: Mapping[str, Any], name: str, default: int) -> int:
    value = given.get(name)
    return value if type(value) is int else default


def _power_of_two(n: int) -> int:
    return 1 << min(max(n - 1, 1), 1 << 20).bit_length()
