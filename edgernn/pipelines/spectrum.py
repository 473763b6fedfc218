"""Tables of a front end for sound: what each sample of a frame, each band and each point of a transform counts.

Their equations are those of `layers.frontend.FrontEnd`; the entry `features` (`kernels.hearing`) works with them.
"""

from __future__ import annotations

import math

import numpy as np

from edgernn.kernels import hearing as h
from edgernn.kernels.reference_hearing import power_of_two
from edgernn.layers.base import Array
from edgernn.layers.exact import exp, log, turn
from edgernn.layers.frontend import FrontEnd
from edgernn.layers.mel import mel_bank

DECIBELS = 4.342944819032518  # 10 / ln 10


def tables(f: FrontEnd) -> dict[int, Array]:
    """Word of the control block -> float64 or int64 array."""
    bins, weights, starts = mel_bank(f)
    ends = np.append(starts, len(bins))
    made: dict[int, Array] = {h.WEIGHED: weighed(f), h.WEIGHTS: weights}
    made |= {h.FIRST: bins[starts].astype(np.int64), h.STARTS: ends.astype(np.int64)}
    if f.kind == "mfcc":
        made[h.DCT] = dct(f)
    return made | transforms(f)


def settings(f: FrontEnd) -> dict[int, int]:
    """Word of the control block -> number."""
    points = transformed(f.n_fft)
    energy = h.NO_ENERGY if not f.use_energy else h.RAW_ENERGY if f.raw_energy else h.WINDOWED_ENERGY
    return {
        h.REMOVE_MEAN: f.remove_dc_offset,
        h.POWER: f.power,
        h.BANDS: f.bands,
        h.LOG: f.log != "none",
        h.CEPSTRA: f.cepstra if f.kind == "mfcc" else 0,
        h.ENERGY: energy,
        h.LAST: f.htk_compat,
        h.N_FFT: f.n_fft,
        h.POINTS: points,
        h.PADDED: padded(points),
    }


def numbers(f: FrontEnd) -> dict[int, float]:
    """Place in NUMBERS -> number."""
    factor, highest = DECIBELS if f.log == "db" else 1.0, np.array(max(f.log_floor, f.ref))
    return {
        h.PREEMPHASIS: f.preemphasis,
        h.LOG_FLOOR: f.log_floor,
        h.LOG_FACTOR: factor,
        h.LOG_OFFSET: float(log(highest)) * factor if f.log == "db" else 0.0,
        h.ENERGY_FLOOR: float(log(np.array(f.energy_floor))) if f.energy_floor > 0 else -math.inf,
        h.FIRST_FACTOR: math.sqrt(2.0) if f.htk_compat and not f.use_energy else 1.0,
    }


def room(f: FrontEnd) -> int:
    """How many numbers WORK has to hold."""
    points = padded(transformed(f.n_fft))
    return 1 + f.span + f.n_fft + 1 + f.bands + f.cepstra + 4 * (points + 1)


def weighed(f: FrontEnd) -> Array:
    """(span,): what each sample of a frame counts; the first one stands for the one before it in preemphasis too."""
    pad = (f.span - f.frame_length) // 2
    weight = f.scale * np.pad(window_of(f), (pad, f.span - f.frame_length - pad))
    weight[0] *= 1 - f.preemphasis
    return np.asarray(weight)


def window_of(f: FrontEnd) -> Array:
    """(frame_length,) float64. Povey's is Kaldi's own: a Hann window to the power of 0.85."""
    n = f.frame_length
    if f.window == "rectangular" or n == 1:
        return np.ones(n)
    i, whole = np.arange(n), n if f.periodic else n - 1
    once = turn(i, whole)[0]
    if f.window == "hamming":
        return 0.54 - 0.46 * once
    if f.window == "blackman":
        return 0.42 - 0.5 * once + 0.08 * turn(2 * i, whole)[0]
    hann = 0.5 - 0.5 * once
    if f.window == "hann":
        return hann
    return np.where(hann > 0, exp(0.85 * log(np.maximum(hann, 1e-300))), 0.0)


def dct(f: FrontEnd) -> Array:
    """(bands, cepstra): the orthonormal DCT-II with Kaldi's lifter."""
    i, band = np.arange(f.cepstra), np.arange(f.bands)[:, None]
    matrix = np.sqrt(2 / f.bands) * turn(i * (2 * band + 1), 4 * f.bands)[0]
    matrix[:, 0] = np.sqrt(1 / f.bands)
    return np.asarray(matrix * (1 + f.lifter / 2 * turn(i, 2 * f.lifter)[1] if f.lifter else 1.0))


def transformed(n_fft: int) -> int:
    """How many complex points stand for a transform of real ones."""
    return n_fft if n_fft % 2 else n_fft // 2


def padded(points: int) -> int:
    """The power of two that these points are transformed with."""
    return points if points & (points - 1) == 0 else 1 << (2 * points - 2).bit_length()


def transforms(f: FrontEnd) -> dict[int, Array]:
    """Cosines and sines for the transform of `n_fft` real numbers (see `reference_hearing.transform`)."""
    points = transformed(f.n_fft)
    whole = padded(points)
    turns = np.stack(turn(np.arange(whole), whole))
    made = {h.TWIDDLES: turns, h.UNPACK: np.stack(turn(np.arange(points + 1), f.n_fft))}
    if whole > points:
        j = np.arange(points)
        chirp = np.stack(turn(j * j % (2 * points), 2 * points))
        around = np.zeros((2, whole))
        around[:, :points] = chirp
        around[:, whole - points + 1 :] = chirp[:, :0:-1]
        re, im = power_of_two(turns, around[:1], around[1:])
        made |= {h.CHIRP: chirp, h.CHIRP_TURNED: np.concatenate((re, im)) / whole}
    return made
