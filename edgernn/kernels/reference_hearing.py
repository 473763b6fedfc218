"""The entries `features` and `scores` in NumPy: what every instruction set must give, bit for bit (see `hearing`).

Sums are taken one number after the other, in the order that is said; nothing depends on how many frames come together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgernn.kernels import contract as c
from edgernn.kernels import hearing as h
from edgernn.kernels.memory import at
from edgernn.layers.base import Array
from edgernn.layers.exact import exp, log

F64 = NDArray[np.float64]
TOGETHER = 32  # frames computed at a time


def features(words: Array) -> int:
    """The entry `features` on a control block."""
    columns = int(words[h.COLUMNS])
    samples = given(words, columns)
    bad = np.flatnonzero(~(np.abs(samples) <= numbers(words)[h.LIMIT]).all(axis=1))  # which NaN is not
    if len(bad):
        return 1 + int(bad[0])
    recent = at(int(words[h.RECENT]), int(words[h.SPAN] + 1) * columns, np.float64).reshape(-1, columns)
    rows = np.concatenate((recent[: words[h.HELD]], samples))
    first, span, hop = int(words[h.NEXT] * words[h.HOP] - words[h.START]), int(words[h.SPAN]), int(words[h.HOP])
    due = max(0, 1 + (len(rows) - first - span) // hop)
    size = int(words[h.SIZE])
    out = at(int(words[c.PORTS + c.PORT_WORDS + c.ADDRESS]), due * size).reshape(due, size)
    running = at(int(words[h.RUNNING]), (1 + 2 * size) * int(words[h.RUNNING_FRAMES]), np.float64)
    after = running.copy()
    for begin in range(0, due, TOGETHER):
        places = range(first + begin * hop, first + min(begin + TOGETHER, due) * hop, hop)
        made = normalised(words, computed(words, np.stack([rows[i : i + span] for i in places])), after)
        if not (np.abs(made) <= h.LARGEST).all():
            return h.TOO_LARGE
        out[begin : begin + TOGETHER] = made
    running[:] = after
    drop = min(max(0, first + due * hop - 1), len(rows))  # one row before the next frame is kept
    words[h.NEXT] += due
    words[h.START] += drop
    words[h.HELD] = len(rows) - drop
    recent[: words[h.HELD]] = rows[drop:]
    return 0


def given(words: Array, columns: int) -> F64:
    """The rows that came."""
    count, kind = int(words[c.FRAMES]), np.float32 if words[h.SINGLE] else np.float64
    return at(int(words[c.PORTS + c.ADDRESS]), count * columns, kind).reshape(count, columns).astype(np.float64)


def computed(words: Array, rows: F64) -> F64:
    """Frames (k, SPAN, COLUMNS) -> (k, SIZE), before they are normalised."""
    if words[h.KIND] == h.SPECTRUM:
        return spectrum(words, rows[:, :, 0])
    scaled = rows * numbers(words)[h.SCALE]
    if words[h.KIND] == h.WINDOW:
        return np.asarray(scaled.reshape(len(rows), -1))
    chosen = at(int(words[h.CHOSEN]), int(words[h.COUNT]), np.int64)
    return np.concatenate([statistic(h.STATISTIC[number], scaled) for number in chosen], axis=1)


def statistic(name: str, x: F64) -> F64:
    """(k, n, columns) -> (k, columns)."""
    n = x.shape[1]
    if name in ("min", "max"):
        return np.asarray(x.min(axis=1) if name == "min" else x.max(axis=1))
    if name == "mean":
        return np.asarray(in_order(x) / n)
    x = x - (in_order(x) / n)[:, None] if name == "std" else x
    return np.asarray(np.sqrt(in_order(x * x) / n))


def normalised(words: Array, made: F64, running: F64) -> F64:
    """Frames (k, SIZE) over mean and deviation; the running ones, how many frames, mean and variance, go on."""
    size = int(words[h.SIZE])
    if words[h.NORMALISED]:
        made = (made - at(int(words[h.MEAN]), size, np.float64)) / at(int(words[h.STD]), size, np.float64)
    if not words[h.RUNNING_FRAMES]:
        return made
    mean, variance = running[1 : 1 + size], running[1 + size :]
    for x in made:
        running[0] += 1
        a = max(1 / running[0], numbers(words)[h.LEAST_WEIGHT])
        change = x - mean
        mean += a * change
        variance[:] = (1 - a) * (variance + a * change * change)
        x -= mean
        if words[h.RUNNING_STD]:
            x /= np.sqrt(np.maximum(variance, h.VARIANCE_LEAST))
    return made


def numbers(words: Array) -> F64:
    """The block's NUMBERS."""
    return at(int(words[h.NUMBERS]), h.NUMBERS_END, np.float64)


def in_order(x: F64) -> F64:
    """The sum over axis 1, one after the other."""
    total = np.zeros_like(x[:, 0])
    for i in range(x.shape[1]):
        total = total + x[:, i]
    return total


def total(x: F64) -> F64:
    """(k, n) -> (k, 1): sums in 8 lanes, lane j taking every 8th number from j on; then halves are added up."""
    lanes = in_order(np.pad(x, ((0, 0), (0, -x.shape[1] % 8))).reshape(len(x), -1, 8))
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes


def spectrum(words: Array, x: F64) -> F64:
    """Frames (k, SPAN) -> logarithms of bands, or cepstra, as `layers.frontend` says in equations."""
    span, n_fft, bands = int(words[h.SPAN]), int(words[h.N_FFT]), int(words[h.BANDS])
    if words[h.REMOVE_MEAN]:
        x = x - total(x) / span
    weight, before = at(int(words[h.WEIGHED]), span, np.float64), np.pad(x, ((0, 0), (1, 0)))[:, :-1]
    y = x * weight - before * (weight * numbers(words)[h.PREEMPHASIS])
    power = squares(words, np.pad(y, ((0, 0), (0, n_fft - span))))
    if words[h.POWER] == 1:
        power = np.sqrt(power)
    starts = at(int(words[h.STARTS]), bands + 1, np.int64)
    weights = at(int(words[h.WEIGHTS]), int(starts[-1]), np.float64)
    made = np.empty((len(x), bands))
    for band, low in enumerate(at(int(words[h.FIRST]), bands, np.int64)):
        weight = weights[starts[band] : starts[band + 1]]
        made[:, band] = in_order(power[:, low : low + len(weight)] * weight)
    number = numbers(words)
    if words[h.LOG]:
        made = log(np.maximum(made, number[h.LOG_FLOOR])) * number[h.LOG_FACTOR] - number[h.LOG_OFFSET]
    cepstra = int(words[h.CEPSTRA])
    if cepstra:
        made = in_order(made[:, :, None] * at(int(words[h.DCT]), bands * cepstra, np.float64).reshape(bands, cepstra))
    return arranged(words, made, x * number[h.SCALE] if words[h.ENERGY] == h.RAW_ENERGY else y)


def arranged(words: Array, made: F64, x: F64) -> F64:
    """With the energy of x in coefficient 0, or beside bands, where there is to be one; first, or LAST."""
    if words[h.ENERGY]:
        head = np.maximum(log(np.maximum(total(x * x), h.ENERGY_LEAST)), numbers(words)[h.ENERGY_FLOOR])
    elif words[h.CEPSTRA]:
        head = made[:, :1] * numbers(words)[h.FIRST_FACTOR]
    else:
        return made
    rest = made[:, 1:] if words[h.CEPSTRA] else made
    return np.concatenate((rest, head) if words[h.LAST] else (head, rest), axis=1)


def squares(words: Array, y: F64) -> F64:
    """(k, n) -> (k, n // 2 + 1): the squares of the magnitudes of the discrete Fourier transform.

    An even n is transformed as n / 2 complex numbers, neighbours being real and imaginary part.
    """
    n, points = y.shape[1], int(words[h.POINTS])
    if n % 2:
        re, im = transform(words, y, np.zeros_like(y))
        return re[:, : n // 2 + 1] * re[:, : n // 2 + 1] + im[:, : n // 2 + 1] * im[:, : n // 2 + 1]
    re, im = transform(words, y[:, ::2], y[:, 1::2])
    re, im = np.concatenate((re, re[:, :1]), axis=1), np.concatenate((im, im[:, :1]), axis=1)
    cos, sin = at(int(words[h.UNPACK]), 2 * (points + 1), np.float64).reshape(2, -1)
    even_re, even_im = 0.5 * (re + re[:, ::-1]), 0.5 * (im - im[:, ::-1])
    odd_re, odd_im = 0.5 * (im + im[:, ::-1]), 0.5 * (re[:, ::-1] - re)
    re = even_re + (cos * odd_re + sin * odd_im)
    im = even_im + (cos * odd_im - sin * odd_re)
    return np.asarray(re * re + im * im)


def transform(words: Array, re: F64, im: F64) -> tuple[F64, F64]:
    """The discrete Fourier transform of POINTS complex numbers, (k, POINTS) each part.

    Where POINTS is no power of two, as Bluestein has it (IEEE Trans. Audio Electroacoustics 18, 1970): with w_j =
    exp(-i pi j^2 / POINTS), X_k = w_k sum_j (w_j x_j) conj(w_(k - j)), a convolution that PADDED points are enough for.
    CHIRP_TURNED is the transform of conj(w), over PADDED.
    """
    points, padded = int(words[h.POINTS]), int(words[h.PADDED])
    turns = at(int(words[h.TWIDDLES]), 2 * padded, np.float64).reshape(2, -1)
    if points == padded:
        return power_of_two(turns, re, im)
    cos, sin = at(int(words[h.CHIRP]), 2 * points, np.float64).reshape(2, -1)
    turned_re, turned_im = at(int(words[h.CHIRP_TURNED]), 2 * padded, np.float64).reshape(2, -1)
    widths = ((0, 0), (0, padded - points))
    re, im = np.pad(re * cos + im * sin, widths), np.pad(im * cos - re * sin, widths)
    re, im = power_of_two(turns, re, im)
    re, im = re * turned_re - im * turned_im, -(re * turned_im + im * turned_re)
    re, im = power_of_two(turns, re, im)  # of the conjugate: the conjugate of the inverse
    re, im = re[:, :points], -im[:, :points]
    return re * cos + im * sin, im * cos - re * sin


def power_of_two(turns: Array, re: F64, im: F64) -> tuple[F64, F64]:
    """The same of a power of two: Stockham's way in steps of four, the last of two.

    turns: cosines and sines of 2 pi k / n.
    """
    n, done = re.shape[1], 1
    while n > 2:
        shape = (-1, 4, n // 4, done)
        (a, b, c_, d), (e, f, g, i) = (x.reshape(shape).transpose(1, 0, 2, 3) for x in (re, im))
        plus_re, plus_im, minus_re, minus_im = a + c_, e + g, a - c_, e - g
        sum_re, sum_im, turned_re, turned_im = b + d, f + i, f - i, d - b  # turned: (b - d) times -i
        parts = [
            (plus_re + sum_re, plus_im + sum_im),
            (minus_re + turned_re, minus_im + turned_im),
            (plus_re - sum_re, plus_im - sum_im),
            (minus_re - turned_re, minus_im - turned_im),
        ]
        for k in range(1, 4):
            cos, sin = turns[:, k * done * np.arange(n // 4), None]
            x, y = parts[k]
            parts[k] = x * cos + y * sin, y * cos - x * sin
        re, im = (np.stack([part[m] for part in parts], axis=2).reshape(len(re), -1) for m in (0, 1))
        n, done = n // 4, done * 4
    if n == 2:
        halves = [np.split(x, 2, axis=1) for x in (re, im)]
        re, im = (np.concatenate((a + b, a - b), axis=1) for a, b in halves)
    return re, im


def posteriors(activation: int, answers: F64) -> F64:
    """(k, n) -> (k, n): PLAIN answers, their SOFTMAX or each one's SIGMOID."""
    if activation == h.SOFTMAX:
        powers = exp(answers - answers.max(axis=1, keepdims=True))
        return np.asarray(powers / in_order(powers)[:, None])
    if activation == h.SIGMOID:
        e = exp(-np.abs(answers))
        return np.where(answers < 0, e, 1.0) / (1 + e)
    return answers


def scores(words: Array) -> int:
    """The entry `scores` on a control block."""
    labels, smoothed, count = int(words[h.LABELS]), int(words[h.SMOOTHED]), int(words[c.FRAMES])
    answers = given(words, labels)
    out = at(int(words[c.PORTS + c.PORT_WORDS + c.ADDRESS]), count * labels, np.float64).reshape(count, labels)
    if not np.isfinite(answers).all():
        return h.NOT_FINITE
    recent = at(int(words[h.LATEST]), (smoothed - 1) * labels, np.float64).reshape(smoothed - 1, labels)
    joined = np.concatenate((recent, posteriors(int(words[h.ACTIVATION]), answers)))
    for k in range(count):
        divisor = min(int(words[h.COUNTED]) + k + 1, smoothed)
        out[k] = in_order(joined[None, k : k + smoothed])[0] / divisor
    recent[:] = joined[count:]
    words[h.COUNTED] += count
    if count:
        at(int(words[h.SCORE]), labels, np.float64)[:] = out[-1]
    return int((out >= at(int(words[h.LOWEST]), labels, np.float64)).any(axis=1).sum())
