"""Frames of sound as logarithms of mel bands, or as cepstra. The equations are those of `layers.frontend.FrontEnd`.

All in float64, and each frame by itself: its bits do not depend on how many frames are in a call. That is why sums are
taken by NumPy's reductions over the last axis, and not as products of matrices, whose order of summation depends on
the number of rows.
"""

from __future__ import annotations

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.frontend import FrontEnd
from edgernn.layers.mel import mel_bank

ENERGY_FLOOR = 2.0**-23  # of Kaldi's energies, before the logarithm


class Spectrum:
    """Frames of samples in, frames of features out; without a state."""

    def __init__(self, frontend: FrontEnd):
        f = self.frontend = frontend
        pad = (f.span - f.frame_length) // 2
        window = f.scale * np.pad(window_of(f), (pad, f.span - f.frame_length - pad))
        self._now, self._before = window.copy(), f.preemphasis * window[1:]  # of a sample and of the one before it
        self._now[0] *= 1 - f.preemphasis
        self._bins, self._weights, self._starts = mel_bank(f)
        self._dct = dct(f) if f.kind == "mfcc" else None  # (cepstra, bands)

    def __call__(self, frames: Array) -> Array:
        """(k, span) -> (k, size), float64. `frames` is left as it is."""
        f = self.frontend
        x = frames - np.add.reduce(frames, axis=1, keepdims=True) / f.span if f.remove_dc_offset else frames
        y = x * self._now
        if f.preemphasis:
            y[:, 1:] -= x[:, :-1] * self._before
        spectrum = np.fft.rfft(y, f.n_fft)
        power = spectrum.real**2 + spectrum.imag**2
        if f.power == 1:
            power = np.sqrt(power)
        made: Array = np.add.reduceat(
            power.take(self._bins, axis=1) * self._weights, self._starts, axis=1
        )  # (k, bands)
        made = self._logarithm(made)
        if self._dct is not None:
            made = np.add.reduce(made[:, None, :] * self._dct, axis=2)
        if not f.use_energy:
            return self._as_kaldi(made, None) if f.htk_compat else made
        return self._as_kaldi(made, log_energy(x * f.scale if f.raw_energy else y))

    def _logarithm(self, sums: Array) -> Array:
        f = self.frontend
        if f.log == "none":
            return sums
        sums = np.maximum(sums, f.log_floor)
        if f.log == "natural":
            return np.log(sums)
        return np.asarray(10 * np.log10(sums) - 10 * np.log10(max(f.log_floor, f.ref)))

    def _as_kaldi(self, made: Array, energy: Array | None) -> Array:
        """Kaldi's energy in the place where it has it; HTK has it, or coefficient 0, at the end."""
        f = self.frontend
        if energy is not None and f.energy_floor > 0:
            energy = np.maximum(energy, np.log(f.energy_floor))
        if f.kind == "logmel":
            parts = [made] if energy is None else [made, energy] if f.htk_compat else [energy, made]
            return np.concatenate(parts, axis=1)
        first = made[:, :1] * (np.sqrt(2.0) if f.htk_compat else 1) if energy is None else energy
        return np.concatenate([made[:, 1:], first] if f.htk_compat else [first, made[:, 1:]], axis=1)


def log_energy(x: Array) -> Array:
    """(k, n) -> (k, 1): the logarithm of the sum of squares."""
    return np.log(np.maximum(np.add.reduce(x * x, axis=1, keepdims=True), ENERGY_FLOOR))


def window_of(f: FrontEnd) -> Array:
    """(frame_length,) float64. Povey's is Kaldi's own: a Hann window to the power of 0.85."""
    n = f.frame_length
    if f.window == "rectangular" or n == 1:
        return np.ones(n)
    phase = 2 * np.pi * np.arange(n) / (n if f.periodic else n - 1)
    hann = 0.5 - 0.5 * np.cos(phase)
    if f.window == "hamming":
        return 0.54 - 0.46 * np.cos(phase)
    if f.window == "blackman":
        return 0.42 - 0.5 * np.cos(phase) + 0.08 * np.cos(2 * phase)
    return hann**0.85 if f.window == "povey" else hann


def dct(f: FrontEnd) -> Array:
    """(cepstra, bands): the orthonormal DCT-II with Kaldi's lifter."""
    i, band = np.arange(f.cepstra)[:, None], np.arange(f.bands)
    matrix = np.sqrt(2 / f.bands) * np.cos(np.pi * i * (band + 0.5) / f.bands)
    matrix[0] = np.sqrt(1 / f.bands)
    lifter = 1 + f.lifter / 2 * np.sin(np.pi * i / f.lifter) if f.lifter else 1.0
    return np.asarray(matrix * lifter)
