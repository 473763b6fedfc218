"""The discrete Fourier transform of one frame, in float64. Its definition: kernels.reference_hearing.

A vector of n complex numbers is n + 1 real parts (one to spare), then as many imaginary ones.
"""

from __future__ import annotations

from edgernn.kernels.cpu.doubles import item, store_d
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.vector import N, load_1n
from edgernn.kernels.hearing import CHIRP, CHIRP_TURNED, PADDED, POINTS, TWIDDLES


@function(N, N, N)
def word(control, index):
    """A word of a control block."""
    return load_1n(control + 8 * index)


@kernel
def fours(x, y, turns, sizes):
    """One step of Stockham's, from x to y; sizes: points << 32 of the whole transform, and of those that are done."""
    points, done = sizes >> 32, sizes & 0xFFFFFFFF
    quarter = points // 4
    im, sines, far = 8 * (points + 1), 8 * points, 8 * done
    for p in range(0, quarter, done):
        one, to = turns + 8 * p, y + 32 * p
        c1, s1 = item(one, 0), item(one + sines, 0)
        c2, s2 = item(one + 8 * p, 0), item(one + 8 * p + sines, 0)
        c3, s3 = item(one + 16 * p, 0), item(one + 16 * p + sines, 0)
        for j in range(p, p + done):
            a, b, c, d = item(x, j), item(x, j + quarter), item(x, j + 2 * quarter), item(x, j + 3 * quarter)
            e, f = item(x + im, j), item(x + im, j + quarter)
            g, h = item(x + im, j + 2 * quarter), item(x + im, j + 3 * quarter)
            plus_re, plus_im, minus_re, minus_im = a + c, e + g, a - c, e - g
            sum_re, sum_im, turned_re, turned_im = b + d, f + h, f - h, d - b
            at = to + 8 * (j - p)
            store_d(at, plus_re + sum_re)
            store_d(at + im, plus_im + sum_im)
            u, v = minus_re + turned_re, minus_im + turned_im
            store_d(at + far, u * c1 + v * s1)
            store_d(at + far + im, v * c1 - u * s1)
            u, v = plus_re - sum_re, plus_im - sum_im
            store_d(at + 2 * far, u * c2 + v * s2)
            store_d(at + 2 * far + im, v * c2 - u * s2)
            u, v = minus_re - turned_re, minus_im - turned_im
            store_d(at + 3 * far, u * c3 + v * s3)
            store_d(at + 3 * far + im, v * c3 - u * s3)
    return 0


@kernel
def power_of_two(x, y, turns, points):
    """The transform of x, which lies in x or y afterwards: its address."""
    done = 1
    while 4 * done <= points:
        fours(x, y, turns, (points << 32) | done)
        x, y, done = y, x, 4 * done
    if done < points:
        for part in range(0, 16 * (points + 1), 8 * (points + 1)):
            for j in range(done):
                a, b = item(x + part, j), item(x + part, j + done)
                store_d(x + part + 8 * j, a + b)
                store_d(x + part + 8 * (j + done), a - b)
    return x


@function(N, N, N, N, N, N)
def turned(x, y, points, padded, chirp):
    """y = x times the chirp, number by number; both have room for PADDED numbers."""
    im = 8 * (padded + 1)
    for j in range(points):
        a, b, c, s = item(x, j), item(x + im, j), item(chirp, j), item(chirp, j + points)
        store_d(y + 8 * j, a * c + b * s)
        store_d(y + im + 8 * j, b * c - a * s)
    return 0


@kernel
def transform(x, y, control, unused):
    """The transform of POINTS complex numbers in x, which lies in x or y afterwards: its address.

    Both have room for PADDED; where POINTS is no power of two, it goes Bluestein's way.
    """
    points, padded, turns = word(control, POINTS), word(control, PADDED), word(control, TWIDDLES)
    if points == padded:
        return power_of_two(x, y, turns, points)
    chirp, other, im = word(control, CHIRP), word(control, CHIRP_TURNED), 8 * (padded + 1)
    turned(x, x, points, padded, chirp)
    for j in range(points, padded):
        store_d(x + 8 * j, 0.0)
        store_d(x + im + 8 * j, 0.0)
    z = power_of_two(x, y, turns, padded)
    for j in range(padded):
        a, b, c, d = item(z, j), item(z + im, j), item(other, j), item(other, j + padded)
        store_d(z + 8 * j, a * c - b * d)
        store_d(z + im + 8 * j, -(a * d + b * c))
    z = power_of_two(z, x + y - z, turns, padded)
    for j in range(points):
        store_d(z + im + 8 * j, -item(z + im, j))
    turned(z, z, points, padded, chirp)
    return z
