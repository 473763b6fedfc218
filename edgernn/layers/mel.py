"""Mel scales, and the triangles on them that sum a spectrum into bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.exact import exp, log

if TYPE_CHECKING:
    from edgernn.layers.frontend import FrontEnd

LOG_STEP = log(np.array(6.4))


def mel(f: FrontEnd, hertz: Array) -> Array:
    """Hz -> mel. Slaney (Auditory Toolbox, 1998): linear below 1 kHz, above it 27 steps for a factor of 6.4."""
    if f.mel != "slaney":
        return 1127 * log(1 + hertz / 700)
    high = 15 + 27 * log(np.maximum(hertz, 1e-30) / 1000) / LOG_STEP
    return np.where(hertz < 1000, hertz * 3 / 200, high)


def hertz(f: FrontEnd, mels: Array) -> Array:
    """Mel -> Hz, the inverse of `mel`."""
    if f.mel != "slaney":
        return 700 * (exp(mels / 1127) - 1)
    return np.where(mels < 15, mels * 200 / 3, 1000 * exp((mels - 15) / 27 * LOG_STEP))


def mel_bank(f: FrontEnd) -> tuple[Array, Array, Array]:
    """(bins, weights, starts): band b is the sum over weights[i] * power[bins[i]] from starts[b] up to starts[b + 1].

    Raises BadInput where a band on Kaldi's scale has no bin, as Kaldi does; librosa's such bands are 0.
    """
    low_mel, high_mel = mel(f, np.array([f.low_freq, f.top])).tolist()
    corners = np.linspace(low_mel, high_mel, f.bands + 2)
    kaldi = f.mel == "kaldi"
    count = f.n_fft // 2 + (0 if kaldi else 1)  # Kaldi leaves out the highest
    places = np.arange(count) * f.rate / f.n_fft
    places, corners = (mel(f, places), corners) if kaldi else (places, hertz(f, corners))
    lows, highs = np.searchsorted(places, corners[:-2], "right"), np.searchsorted(places, corners[2:], "left")
    bins: list[Array] = []
    weights: list[Array] = []
    for band, (low, high) in enumerate(zip(lows, highs, strict=True)):
        left, middle, right = corners[band : band + 3].tolist()
        chosen = np.arange(low, high) if high > low else np.zeros(1, np.intp)
        x = places[chosen]
        weight = np.maximum(0, np.minimum((x - left) / (middle - left), (right - x) / (right - middle)))
        if kaldi and not weight.any():
            raise BadInput(
                f"[features] band {band} of {f.bands} has no frequency of a transform of {f.n_fft} samples: "
                "fewer bands or a larger n_fft expected"
            )
        if f.norm == "slaney":
            weight = weight * (2 / (hertz_of(f, right) - hertz_of(f, left)))
        bins.append(chosen)
        weights.append(weight)
    starts = np.cumsum([0, *(len(part) for part in bins[:-1])])
    return np.concatenate(bins), np.concatenate(weights), starts


def hertz_of(f: FrontEnd, corner: float) -> float:
    """A corner in Hz."""
    return float(hertz(f, np.array(corner))) if f.mel == "kaldi" else corner
