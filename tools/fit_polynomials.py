"""Fits the polynomials of the kernels' elementary functions: minimax by Lawson's iteration, rounded to float32.

    python tools/fit_polynomials.py

Prints each polynomial's coefficients, lowest first, and its largest error. C. L. Lawson, 1961; J. R. Rice, 1969.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def lawson(
    x: NDArray[np.float64], y: NDArray[np.float64], powers: Sequence[int], scale: NDArray[np.float64]
) -> list[float]:
    """Coefficients c of sum(c[i] * x**powers[i]) that minimise max |(p - y) / scale|, by reweighted least squares."""
    basis = np.stack([x**p for p in powers], 1) / scale[:, None]
    target, weight = y / scale, np.full(len(x), 1.0 / len(x))
    best, best_error = np.zeros(len(powers)), np.inf
    for _ in range(400):
        root = np.sqrt(weight)
        c = np.linalg.lstsq(basis * root[:, None], target * root, rcond=None)[0]
        error = np.abs(basis @ c - target)
        if error.max() < best_error:
            best, best_error = c, error.max()
        weight = weight * error
        weight /= weight.sum()
    return list(best)


def fit(name: str, function: Function, low: float, high: float, powers: Sequence[int], fixed: dict[int, float]) -> None:
    """Fit and print one polynomial. Coefficients are rounded from the lowest on, each time refitting the rest."""
    x = np.cos(np.linspace(0, np.pi, 4001)) * (high - low) / 2 + (high + low) / 2
    x = x[np.abs(x) > 1e-9]
    known = dict(fixed)
    while len(known) < len(powers):
        left = [p for p in powers if p not in known]
        rest = function(x) - sum(c * x**p for p, c in known.items())
        c = lawson(x, rest, left, np.maximum(np.abs(function(x)), 1e-30))
        known[left[0]] = float(np.float32(c[0]))
    p = sum(c * x**p for p, c in known.items())
    relative = np.abs((p - function(x)) / function(x)).max()
    print(f"{name}: {[float(np.float32(known[p])) for p in powers]}  relative error {relative:.2g}")


def _log_erfc(x: float) -> float:
    from math import erfc, log

    return -log(erfc(x))


if __name__ == "__main__":
    from math import erf

    for degree in (5, 6):
        fit(f"exp2 degree {degree}", np.exp2, -0.5, 0.5, range(degree + 1), {0: 1.0})
    # log(1 + r) = r - r**2 / 2 + r**3 * q(r), with 1 + r in [sqrt(1/2), sqrt(2)]
    fit("log q", lambda r: (np.log1p(r) - r + r * r / 2) / r**3, 2**-0.5 - 1, 2**0.5 - 1, range(9), {})
    erf_over_x: Function = lambda z: np.array([erf(v**0.5) / v**0.5 for v in z])  # noqa: E731
    fit("erf(x) / x, in x**2, |x| <= 1", erf_over_x, 1e-6, 1.0, range(7), {})
    minus_log_erfc: Function = lambda x: np.array([_log_erfc(v) for v in x])  # noqa: E731
    fit("-log(erfc(x)), 1 <= x <= 4", minus_log_erfc, 1.0, 4.0, range(9), {})
    fit("sin(x) / x, in x**2, |x| <= pi / 4", lambda z: np.sinc(np.sqrt(z) / np.pi), 1e-6, 0.6169, range(4), {0: 1.0})
    fit("cos(x), in x**2, |x| <= pi / 4", lambda z: np.cos(np.sqrt(z)), 1e-6, 0.6169, range(5), {0: 1.0, 1: -0.5})
