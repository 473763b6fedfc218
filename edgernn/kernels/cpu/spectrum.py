"""The spectrum of one frame of sound: logarithms of bands, or cepstra. Its definition: kernels.reference_hearing."""

from __future__ import annotations

from edgernn.kernels import hearing as h
from edgernn.kernels.cpu.doubles import D, item, larger, load_d, logarithm, root, store_d
from edgernn.kernels.cpu.fourier import transform, word
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.vector import N, load_1n

SPAN, NUMBERS, WORK, REMOVE_MEAN, POWER, BANDS = h.SPAN, h.NUMBERS, h.WORK, h.REMOVE_MEAN, h.POWER, h.BANDS
LOG, CEPSTRA, ENERGY, LAST, N_FFT, POINTS, PADDED = h.LOG, h.CEPSTRA, h.ENERGY, h.LAST, h.N_FFT, h.POINTS, h.PADDED
WEIGHED, UNPACK, FIRST, STARTS, WEIGHTS, DCT = h.WEIGHED, h.UNPACK, h.FIRST, h.STARTS, h.WEIGHTS, h.DCT
SCALE, PREEMPHASIS, LOG_FLOOR, LOG_FACTOR, LOG_OFFSET = h.SCALE, h.PREEMPHASIS, h.LOG_FLOOR, h.LOG_FACTOR, h.LOG_OFFSET
ENERGY_FLOOR, FIRST_FACTOR, ENERGY_LEAST, RAW_ENERGY = h.ENERGY_FLOOR, h.FIRST_FACTOR, h.ENERGY_LEAST, h.RAW_ENERGY
SQUARED = 1


@function(D, D, D, N)
def term(x, scale, squared):
    """A number, or the square of it and the scale."""
    return (x * scale) * (x * scale) if squared != 0 else x


@function(D, N, N, D, N)
def total(x, count, scale, squared):
    """A sum of terms in 8 lanes, lane j taking every 8th from j on; then halves are added up."""
    a = b = c = d = e = f = g = i = 0.0
    for n in range(0, count - 7, 8):
        a += term(item(x, n), scale, squared)
        b += term(item(x, n + 1), scale, squared)
        c += term(item(x, n + 2), scale, squared)
        d += term(item(x, n + 3), scale, squared)
        e += term(item(x, n + 4), scale, squared)
        f += term(item(x, n + 5), scale, squared)
        g += term(item(x, n + 6), scale, squared)
        i += term(item(x, n + 7), scale, squared)
    left, x = count % 8, x + 8 * (count - count % 8)
    a += term(item(x, 0), scale, squared) if left > 0 else 0.0
    b += term(item(x, 1), scale, squared) if left > 1 else 0.0
    c += term(item(x, 2), scale, squared) if left > 2 else 0.0
    d += term(item(x, 3), scale, squared) if left > 3 else 0.0
    e += term(item(x, 4), scale, squared) if left > 4 else 0.0
    f += term(item(x, 5), scale, squared) if left > 5 else 0.0
    g += term(item(x, 6), scale, squared) if left > 6 else 0.0
    return ((a + e) + (c + g)) + ((b + f) + (d + i))


@kernel
def windowed(y, x, control, frame):
    """The frame without its mean (where REMOVE_MEAN says so), then through preemphasis and window at y.

    It is left at `frame` where its energy is wanted.
    """
    span, weight, n_fft = word(control, SPAN), word(control, WEIGHED), word(control, N_FFT)
    part, wanted = item(word(control, NUMBERS), PREEMPHASIS), word(control, ENERGY) == RAW_ENERGY
    shift = total(x, span, 1.0, 0) / float(span) if word(control, REMOVE_MEAN) != 0 else 0.0
    before = 0.0
    for i in range(span):
        now = item(x, i) - shift
        store_d(y + 8 * i, now * item(weight, i) - before * (item(weight, i) * part))
        if wanted:
            store_d(frame + 8 * i, now)
        before = now
    for i in range(span, n_fft + 1):
        store_d(y + 8 * i, 0.0)
    return 0


@kernel
def squares(y, room, control, unused):
    """Half a spectrum of n_fft numbers y, over them; n_fft may be odd. room: for two vectors of PADDED complex ones."""
    n_fft, points, padded = word(control, N_FFT), word(control, POINTS), word(control, PADDED)
    im, even = 8 * (padded + 1), n_fft == 2 * points
    for j in range(points):
        store_d(room + 8 * j, item(y, 2 * j) if even else item(y, j))
        store_d(room + im + 8 * j, item(y, 2 * j + 1) if even else 0.0)
    z = transform(room, room + 2 * im, control, 0)
    if not even:
        for k in range(n_fft // 2 + 1):
            re, imaginary = item(z, k), item(z + im, k)
            store_d(y + 8 * k, re * re + imaginary * imaginary)
        return 0
    store_d(z + 8 * points, load_d(z))
    store_d(z + im + 8 * points, load_d(z + im))
    turns = word(control, UNPACK)
    for k in range(points + 1):
        cos, sin = item(turns, k), item(turns, k + points + 1)
        a, b, c, d = item(z, k), item(z + im, k), item(z, points - k), item(z + im, points - k)
        odd_re, odd_im = 0.5 * (b + d), 0.5 * (c - a)
        re = 0.5 * (a + c) + (cos * odd_re + sin * odd_im)
        imaginary = 0.5 * (b - d) + (cos * odd_im - sin * odd_re)
        store_d(y + 8 * k, re * re + imaginary * imaginary)
    return 0


@kernel
def banded(y, power, control, bands):
    """Logarithms of sums over triangles."""
    first, starts, weights = word(control, FIRST), word(control, STARTS), word(control, WEIGHTS)
    for band in range(bands):
        begin, end = load_1n(starts + 8 * band), load_1n(starts + 8 * band + 8)
        low, sum_ = power + 8 * load_1n(first + 8 * band), 0.0
        for i in range(end - begin):
            sum_ += item(low, i) * item(weights, begin + i)
        store_d(y + 8 * band, sum_)
    numbers = word(control, NUMBERS)
    floor, factor, offset = item(numbers, LOG_FLOOR), item(numbers, LOG_FACTOR), item(numbers, LOG_OFFSET)
    if word(control, LOG) != 0:
        for band in range(bands):
            store_d(y + 8 * band, logarithm(larger(item(y, band), floor)) * factor - offset)
    return 0


@kernel
def cosines(y, x, control, cepstra):
    """Cepstra y of logarithms x."""
    dct = word(control, DCT)
    for i in range(cepstra):
        store_d(y + 8 * i, 0.0)
    for band in range(word(control, BANDS)):
        value = item(x, band)
        for i in range(cepstra):
            store_d(y + 8 * i, item(y, i) + value * load_d(dct))
            dct += 8
    return 0


@function(D, N, N, N)
def log_energy(control, frame, wave):
    """Kaldi's: of the frame as it came, times SCALE, or of the windowed one."""
    span, numbers = word(control, SPAN), word(control, NUMBERS)
    if word(control, ENERGY) == RAW_ENERGY:
        found = total(frame, span, item(numbers, SCALE), SQUARED)
    else:
        found = total(wave, span, 1.0, SQUARED)
    return larger(logarithm(larger(found, ENERGY_LEAST)), item(numbers, ENERGY_FLOOR))


@kernel
def arranged(y, made, control, head):
    """What was made in its place, with what lies at `head` for coefficient 0, or beside bands where there is energy."""
    cepstra, first = word(control, CEPSTRA), 0
    count = cepstra if cepstra != 0 else word(control, BANDS)
    if cepstra != 0 or word(control, ENERGY) != 0:
        first = 1 if cepstra != 0 else 0
        last = 8 * (count - first)
        store_d(y + (last if word(control, LAST) != 0 else 0), load_d(head))
        y += 0 if word(control, LAST) != 0 else 8
    for i in range(first, count):
        store_d(y + 8 * (i - first), item(made, i))
    return 0


@kernel
def spectrum(y, x, control, unused):
    """A frame of SPAN samples as bands or cepstra.

    WORK holds one number, the frame without its mean, the windowed one (of n_fft numbers and one to spare), logarithms
    of bands, cepstra, and two vectors of PADDED complex numbers.
    """
    bands, cepstra, head = word(control, BANDS), word(control, CEPSTRA), word(control, WORK)
    frame = head + 8
    wave = frame + 8 * word(control, SPAN)
    made = wave + 8 * (word(control, N_FFT) + 1)
    after = made + 8 * bands
    windowed(wave, x, control, frame)
    if word(control, ENERGY) != 0:
        store_d(head, log_energy(control, frame, wave))
    squares(wave, after + 8 * cepstra, control, 0)
    if word(control, POWER) == 1:
        for k in range(word(control, N_FFT) // 2 + 1):
            store_d(wave + 8 * k, root(item(wave, k)))
    banded(made, wave, control, bands)
    if cepstra != 0:
        cosines(after, made, control, cepstra)
        made = after
    if word(control, ENERGY) == 0:
        store_d(head, item(made, 0) * item(word(control, NUMBERS), FIRST_FACTOR))
    arranged(y, made, control, head)
    return 0
