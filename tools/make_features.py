"""Features as Kaldi and librosa compute them, for the tests to compare with: tests/golden/features.npz.

python tools/make_features.py    needs kaldi-native-fbank and librosa, in any environment that has NumPy too

`CASES` says for each array which library made it, with which options, and what the same is called here.
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "tests" / "golden" / "features.npz"
RATE = 16000


class Case(NamedTuple):
    """One set of options: theirs, and ours beside the preset."""

    library: str  # "kaldi" or "librosa", which is the preset too
    kind: str
    theirs: dict[str, Any]
    ours: dict[str, Any]


def _kaldi(ours: dict[str, Any], kind: str = "logmel", **theirs: Any) -> Case:
    return Case("kaldi", kind, theirs, ours)


def _librosa(ours: dict[str, Any], kind: str = "logmel", **theirs: Any) -> Case:
    """n_fft 512, a hop of 160 and 40 bands, if not said otherwise."""
    ours = {"n_fft": 512, "hop_length": 160, "bands": 40, **ours}
    return Case("librosa", kind, {"n_fft": 512, "hop_length": 160, "n_mels": 40, **theirs}, ours)


CASES = {
    "kaldi": _kaldi({}),
    "kaldi-centred": _kaldi({"edges": "symmetric"}, frame_opts={"snip_edges": False}),
    "kaldi-odd": _kaldi(
        {"edges": "symmetric", "frame_length": 401, "hop_length": 161, "n_fft": 512},
        frame_opts={"snip_edges": False, "frame_length_ms": 401 / 16, "frame_shift_ms": 161 / 16},
    ),
    "kaldi-80": _kaldi({"bands": 80}, mel_opts={"num_bins": 80}),
    "kaldi-freq": _kaldi({"low_freq": 100, "high_freq": -400}, mel_opts={"low_freq": 100, "high_freq": -400}),
    "kaldi-hann": _kaldi({"window": "hann"}, frame_opts={"window_type": "hanning"}),
    "kaldi-hamming": _kaldi({"window": "hamming"}, frame_opts={"window_type": "hamming"}),
    "kaldi-rectangular": _kaldi({"window": "rectangular"}, frame_opts={"window_type": "rectangular"}),
    "kaldi-blackman": _kaldi({"window": "blackman"}, frame_opts={"window_type": "blackman"}),
    "kaldi-bare": _kaldi(
        {"preemphasis": 0, "remove_dc_offset": False}, frame_opts={"preemph_coeff": 0, "remove_dc_offset": False}
    ),
    "kaldi-magnitude": _kaldi({"power": 1}, use_power=False),
    "kaldi-linear": _kaldi({"log": "none", "scale": 1.0}, use_log_fbank=False),
    "kaldi-energy": _kaldi({"use_energy": True}, use_energy=True),
    "kaldi-late-energy": _kaldi({"use_energy": True, "raw_energy": False}, use_energy=True, raw_energy=False),
    "kaldi-energy-floor": _kaldi({"use_energy": True, "energy_floor": 1e9}, use_energy=True, energy_floor=1e9),
    "kaldi-htk": _kaldi({"use_energy": True, "htk_compat": True}, use_energy=True, htk_compat=True),
    "mfcc": _kaldi({}, "mfcc"),
    "mfcc-no-energy": _kaldi({"use_energy": False}, "mfcc", use_energy=False),
    "mfcc-htk": _kaldi({"htk_compat": True}, "mfcc", htk_compat=True),
    "mfcc-htk-no-energy": _kaldi({"htk_compat": True, "use_energy": False}, "mfcc", htk_compat=True, use_energy=False),
    "mfcc-unliftered": _kaldi({"lifter": 0, "cepstra": 20}, "mfcc", cepstral_lifter=0, num_ceps=20),
    "librosa": Case("librosa", "logmel", {}, {}),
    "librosa-512": _librosa({}),
    "librosa-window": _librosa({"frame_length": 400}, win_length=400),
    "librosa-reflect": _librosa({"frame_length": 400, "edges": "reflect"}, win_length=400, pad_mode="reflect"),
    "librosa-odd": _librosa({"n_fft": 511, "edges": "reflect"}, n_fft=511, pad_mode="reflect"),
    "librosa-uncentred": _librosa({"frame_length": 400, "edges": "fft"}, win_length=400, center=False),
    "librosa-htk": _librosa(
        {"mel": "htk", "norm": "none", "low_freq": 20, "high_freq": 7600}, htk=True, norm=None, fmin=20, fmax=7600
    ),
    "librosa-magnitude": _librosa({"power": 1, "window": "hamming"}, power=1.0, window="hamming"),
    "librosa-ref": _librosa({"ref": 1e-3}, ref=1e-3),
    "librosa-empty": _librosa({"n_fft": 256, "bands": 80}, n_fft=256, n_mels=80),
    "librosa-mfcc": _librosa({}, "mfcc", n_mfcc=20),
}


def sound() -> np.ndarray:
    """Half a second of speech with an offset, (8000,) float32, whole numbers of 1 / 32768."""
    with wave.open(str(ROOT / "edgernn" / "demo" / "speech.wav")) as file:
        file.setpos(RATE)
        samples = np.frombuffer(file.readframes(8000), "<i2")
    return (samples.astype(np.float32) + 500) / np.float32(32768)


def by_kaldi(x: np.ndarray, kind: str, options: dict[str, Any]) -> np.ndarray:
    """Frames as kaldi-native-fbank computes them, of samples within the range of 16-bit integers."""
    import kaldi_native_fbank as kaldi

    made = kaldi.MfccOptions() if kind == "mfcc" else kaldi.FbankOptions()
    for name, value in {**options, "frame_opts": {"dither": 0, **options.get("frame_opts", {})}}.items():
        if isinstance(value, dict):
            for inner, one in value.items():
                setattr(getattr(made, name), inner, one)
        else:
            setattr(made, name, value)
    online = (kaldi.OnlineMfcc if kind == "mfcc" else kaldi.OnlineFbank)(made)
    scale = 1 if options.get("use_log_fbank") is False else 32768
    online.accept_waveform(RATE, (x * scale).tolist())
    online.input_finished()
    return np.array([online.get_frame(i) for i in range(online.num_frames_ready)])


def by_librosa(x: np.ndarray, kind: str, options: dict[str, Any]) -> np.ndarray:
    """Frames as librosa computes them."""
    import librosa

    own = {name: value for name, value in options.items() if name not in ("ref", "n_mfcc")}
    power = librosa.feature.melspectrogram(y=x, sr=RATE, **own)
    made = librosa.power_to_db(power, ref=options.get("ref", 1.0), top_db=None)
    return (librosa.feature.mfcc(S=made, n_mfcc=options["n_mfcc"]) if kind == "mfcc" else made).T


def main() -> None:
    """Compute every case and write them to one file."""
    x, makers = sound(), {"kaldi": by_kaldi, "librosa": by_librosa}
    arrays = {name: makers[c.library](x, c.kind, c.theirs).astype(np.float32) for name, c in CASES.items()}
    np.savez_compressed(TARGET, **arrays)
    print(f"{TARGET}: {len(arrays)} arrays, {TARGET.stat().st_size:,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
