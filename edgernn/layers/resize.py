"""Resize and Upsample: axes stretched or shrunk; along time steps may be repeated, or joined by straight lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgernn.layers.axes import check_size, constant, full_shape, integers, normal_axes
from edgernn.layers.base import Array
from edgernn.layers.combine import combined
from edgernn.layers.rhythm import WINDOW, continued, multiplied, shown, steps_of
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.slices import every, padded
from edgernn.layers.take import places, taken

# where place i of an axis that becomes `new` long lies on the old one, n long; in float32, as runtimes have it
PLACES: dict[str, Callable[[Array, float, int, int], Array]] = {
    "half_pixel": lambda i, scale, n, new: (i + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda i, scale, n, new: (i + 0.5) / scale - 0.5 if new > 1 else 0 * i,
    "asymmetric": lambda i, scale, n, new: i / scale,
    "align_corners": lambda i, scale, n, new: i * (n - 1) / (new - 1) if new > 1 else 0 * i,
}
NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


@rule("Resize")
def resize(
    g: Importing,
    X: Value,
    roi: Value | None = None,
    scales: Value | None = None,
    sizes: Value | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Value:
    """ONNX Resize with mode nearest or linear; before opset 11 it is Upsample."""
    if g.opset < 11:
        return upsample(g, X, roi, mode=mode)
    at, nearest = PLACES.get(coordinate_transformation_mode), NEAREST.get(nearest_mode)
    if at is None or nearest is None or antialias or keep_aspect_ratio_policy != "stretch":
        g.refuse(
            f"coordinate_transformation_mode={coordinate_transformation_mode}, nearest_mode={nearest_mode}, "
            f"antialias={antialias}, keep_aspect_ratio_policy={keep_aspect_ratio_policy} are not supported together"
        )
    along = range(len(X.shape)) if axes is None else normal_axes(g, axes, len(X.shape))
    if sizes is None:
        factors = _scales(constant(g, scales, "scales"))
    else:
        old, new = full_shape(g, X), integers(g, sizes, "sizes")
        factors = [_ratio(m, old[axis]) for axis, m in zip(along, new, strict=True)]
    return _resized(g, X, dict(zip(along, factors, strict=True)), mode, at, nearest)


@rule("Upsample")
def upsample(
    g: Importing, X: Value, scales: Value | None = None, *, mode: str = "nearest", scales_: Sequence[float] = ()
) -> Value:
    """ONNX Upsample; scales are an attribute before opset 9."""
    factors = _scales(np.asarray(scales_) if scales is None else constant(g, scales, "scales"))
    if len(factors) != len(X.shape):
        g.refuse(f"scales={factors}: the input has {len(X.shape)} axes")
    return _resized(g, X, dict(enumerate(factors)), mode, PLACES["asymmetric"], NEAREST["floor"])


def _scales(held: Array) -> list[float]:
    return [float(n) for n in held.astype(np.float32).reshape(-1)]


def _ratio(new: Any, old: Any) -> float:
    """How many times as long an axis becomes."""
    return float(new / old) if isinstance(new, int) and isinstance(old, int) else float(new // old)


def _resized(
    g: Importing,
    x: Value,
    factors: dict[int, float],
    mode: str,
    at: Callable[..., Array],
    nearest: Callable[[Array], Array],
) -> Value:
    """x with each of these axes so many times as long."""
    if mode not in ("nearest", "linear"):
        g.refuse(f"mode={mode} is not supported", "resize by nearest or linear")
    for axis, factor in factors.items():
        n = x.shape[axis]
        if factor == 1:
            continue
        if not 0 < factor < math.inf or (at is PLACES["align_corners"] and factor * n % 1):
            g.refuse(f"scales {n} entries {factor:g} times", "give sizes, not scales")
        if axis == x.time:
            x = _faster(g, x, factor, mode, at, nearest)
            continue
        new = math.floor(np.float32(n) * np.float32(factor) + np.float32(1e-4))
        check_size(g, (*x.shape[:axis], new, *x.shape[axis + 1 :]))
        spots = at(np.arange(new, dtype=np.float32), np.float32(factor), n, new)
        if mode == "nearest":
            index = nearest(spots).clip(0, n - 1).astype(np.int64)
            x = taken(g, x, np.take(places(x), index, axis), x.time)
        else:
            x = _between(g, x, axis, spots.clip(0, n - 1))
    return x


def _faster(
    g: Importing, x: Value, factor: float, mode: str, at: Callable[..., Array], nearest: Callable[[Array], Array]
) -> Value:
    """Each step of x `factor` times, or as many on the way from one step to the next."""
    check_size(g, (*x.shape, int(factor)))
    times, n = int(factor), 4
    spots = at(np.arange(n * times, dtype=np.float32), np.float32(factor), n, n * times)
    whole = np.arange(n * times) // times
    away = (spots - whole)[:times]
    if times == factor and mode == "nearest" and np.array_equal(nearest(spots).clip(0, n - 1), whole):
        x = shown(g, x)
        return multiplied(g, x, np.repeat(places(x), times, x.time), x.time or 0, times)
    if times != factor or mode == "nearest" or not np.allclose(np.tile(away, n) + whole, spots, rtol=0, atol=1e-6):
        g.refuse(
            f"stretches time {factor:g} times, mode={mode}",
            f"a stream can repeat each step a whole number of times, or go from one to the next; or {WINDOW}",
        )
    return _on_the_way(g, x, away.astype(np.float32))


def _on_the_way(g: Importing, x: Value, away: Array) -> Value:
    """For each step of x those so far away from it, between -1 and 1, on straight lines; before the first all is it."""
    time, total = x.time or 0, None
    earlier = continued(g, x, padded(g, x, 1, -1), 1)
    later = padded(g, every(g, x, 1, 1, 0), 0, 1)
    for step, share in ((earlier, np.maximum(-away, 0)), (x, 1 - np.abs(away)), (later, np.maximum(away, 0))):
        if not share.any():
            continue
        step = shown(g, step)
        count = steps_of(step)
        shares = np.tile(share, count).reshape([-1 if axis == time else 1 for axis in range(len(x.shape))])
        part = multiplied(g, step, np.repeat(places(step), len(away), time), time, len(away))
        part = combined(g, "mul", part, g.constant(shares, time, part.length))
        total = part if total is None else combined(g, "add", total, part)
    return total or x


def _between(g: Importing, x: Value, axis: int, spots: Array) -> Value:
    """x at places between those of an axis, as a straight line through the two beside each."""
    low = np.floor(spots).astype(np.int64)
    shape = [len(spots) if a == axis else 1 for a in range(len(x.shape))]
    share = (spots - low).astype(np.float32).reshape(shape)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    one, other = (taken(g, x, np.take(places(x), side, axis), x.time) for side in (low, high))
    return combined(
        g, "add", combined(g, "mul", one, g.constant(1 - share)), combined(g, "mul", other, g.constant(share))
    )
