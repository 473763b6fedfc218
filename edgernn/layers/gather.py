"""Gather, GatherElements and GatherND: by constant places, which nothing but windows of steps may be along time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgernn.layers.axes import check_size, constant, integers, normal, numbers, surely
from edgernn.layers.base import Array
from edgernn.layers.embedding import embedded
from edgernn.layers.past import Look, seen
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW, multiplied, settled, steps_of
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.slices import last_step, padded
from edgernn.layers.take import counted, of_a_step, places, taken

SINGLE = "picks single steps of a sequence"


@rule("Gather")
def gather(g: Importing, data: Value, indices: Value, *, axis: int = 0) -> Value:
    """ONNX Gather by constant indices; of the time axis: the last step, or windows. By tokens: see `embedding`."""
    along = normal(g, axis, len(data.shape))
    if indices.const is None:
        return embedded(g, data, indices, along)
    if along == data.time:
        index = integers(g, indices, "indices")
        if len(index) > 1:
            held = np.asarray(indices.const)
            around = _around(held, data.length)
            return _windows(g, data, held) if around is None else _stretched(g, data, *around)
        if not index or not (surely(index[0], -1) or surely(index[0], data.length - 1)):
            g.refuse(
                f"takes step {index} of the sequence", f"a stream can give the last step only (index -1); or {WINDOW}"
            )
        last = last_step(g, data, keep=False)
        axes = (*last.shape[:along], *indices.const.shape, *last.shape[along:])
        return reshaped(g, last, axes, None)
    index_array = np.asarray(numbers(g, indices, "indices"), np.int64).reshape(indices.const.shape)
    size = data.shape[along]
    if index_array.size and not (-size <= index_array.min() and index_array.max() < size):
        g.refuse(f"indices up to {index_array.max()}: axis {along} has {size} entries")
    moved = data.time
    if moved is not None and moved > along:
        moved += index_array.ndim - 1
    return taken(g, data, np.take(places(data), index_array, along), moved)


def _around(index: Array, length: Any) -> tuple[Array, dict[int, int]] | None:
    """How an index gives, for each of `length` steps, those around it: (how far from it, what stands for other steps).

    The last step stands for those behind it, later steps for some at the front. None for any other index.
    """
    count = len(index) // length if isinstance(length, int) and index.ndim == 1 else 0
    if not isinstance(length, int) or count * length != index.size or not count:
        return None
    middle = length // 2
    offsets: Array = index[middle * count : (middle + 1) * count] - middle
    places = (np.arange(length)[:, None] + offsets).reshape(-1)
    picks = dict(zip(places.tolist(), index.tolist(), strict=True))
    others = {place: step for place, step in picks.items() if step != min(place, length - 1)}
    known = all(picks[place] == step for place, step in zip(places.tolist(), index.tolist(), strict=True))
    plain = count == 1 and not offsets.any()
    return (offsets, others) if known and not plain and all(p < min(n, middle) for p, n in others.items()) else None


def _stretched(g: Importing, x: Value, offsets: Array, others: dict[int, int]) -> Value:
    """For each step of x those at these offsets from it, with later ones in the place of a few at the front."""
    before, after, time = max(0, -int(offsets.min())), max(0, int(offsets.max())), x.time or 0
    begins = [others.get(place, place) + before for place in range(-before, max(others, default=-1) + 1)]
    front = padded(g, settled(g, x) if begins else x, before, after)
    around = seen(g, replace(front, begins=tuple(begins)), Look(before + after, 1, 0, 0))
    steps = np.arange(steps_of(x))[:, None] + before + offsets
    return multiplied(g, around, np.take(places(around), steps.reshape(-1), time), time, len(offsets))


def _windows(g: Importing, x: Value, index: Array) -> Value:
    """Every so many steps of x, or windows of as many steps each.

    Time goes along the longer axis of the index, or along one whose windows would share three of four steps at most.
    """
    first = index.reshape(-1)[0]
    steps = [int(np.take(index, 1, a).flat[0] - first) if n > 1 else 1 for a, n in enumerate(index.shape)]
    spans = [n * step for n, step in zip(index.shape, steps, strict=True)]
    along = max(range(index.ndim), key=lambda a: (4 * steps[a] >= spans[a - 1], index.shape[a]))
    regular = index.dtype != object and index.ndim <= 2 and first >= 0 and min(steps) > 0
    if not regular or not np.array_equal(index - first, np.tensordot(steps, np.indices(index.shape), 1)):
        example = "" if isinstance(x.length, int) else "say how long a sequence these are for: --set NAME=STEPS; "
        g.refuse(
            f"takes steps {', '.join(map(str, index.flat[:4]))}, ... of the sequence",
            f"{example}a stream can give the last step, every so many, or windows that move on evenly; or {WINDOW}",
        )
    return stepped_windows(g, x, np.take(index, [0], along), steps[along], along, index.shape[along])


def stepped_windows(g: Importing, x: Value, offsets: Array, stride: int, along: int, length: Any) -> Value:
    """x by an index over time: `offsets`, which has one entry on axis `along`, in the first of `length` steps."""
    first, time = int(offsets.min()), x.time or 0
    reach = int(offsets.max()) - first
    after = (length - 1) * stride + first + reach + 1 - x.length
    if first < 0 or not isinstance(after, int) or after > 0:
        g.refuse("takes windows that reach beyond the sequence", f"pad the sequence before, or {WINDOW}")
    frames = seen(g, x, Look(reach, stride, -first, after))
    count = (steps_of(frames) - reach - 1) // stride + 1
    held = np.concatenate([offsets - first + step * stride for step in range(count)], along)
    return taken(g, frames, np.take(places(frames), held, time), time + along)


@rule("GatherElements")
def gather_elements(g: Importing, data: Value, indices: Value, *, axis: int = 0) -> Value:
    """ONNX GatherElements by constant indices."""
    along = normal(g, axis, len(data.shape))
    if data.time == along:
        g.refuse(SINGLE, WINDOW)
    held = _of_each_step(g, data, indices)
    sizes = [n for n, m in zip(held.shape, data.shape, strict=False) if n > m]
    if held.ndim != len(data.shape) or sizes not in ([], [held.shape[along]]):
        g.refuse(f"indices of shape {list(held.shape)} do not fit data of shape {list(data.shape)}")
    check_size(g, (*held.shape, held.ndim))
    spots = np.indices(held.shape)
    spots[along] = counted(g, held[..., None], data.shape[along : along + 1])[..., 0]
    return taken(g, data, places(data)[tuple(spots)], data.time)


@rule("GatherND")
def gather_nd(g: Importing, data: Value, indices: Value, *, batch_dims: int = 0) -> Value:
    """ONNX GatherND by constant indices."""
    time = data.time
    held = constant(g, indices, "indices") if time is None or time >= batch_dims else _of_each_step(g, data, indices)
    depth, ahead = held.shape[-1] if held.ndim else 0, held.ndim - 1
    sizes = data.shape[batch_dims : batch_dims + depth]
    if time == 0 and depth == 1 and not batch_dims:
        return gather(g, data, g.constant(held[..., 0]))
    fits = 0 <= batch_dims <= ahead and held.shape[:batch_dims] == data.shape[:batch_dims]
    if not fits or not len(sizes) == depth > 0:
        g.refuse(f"indices of shape {list(held.shape)} do not fit data of shape {list(data.shape)}")
    if time is not None and batch_dims <= time < batch_dims + depth:
        g.refuse(SINGLE, WINDOW)
    if time is not None and time >= batch_dims + depth:
        time += ahead - batch_dims - depth
    check_size(g, (*held.shape[:-1], *data.shape[batch_dims + depth :]))
    batch = np.indices(held.shape[:-1], sparse=True)[:batch_dims]
    spots = (*batch, *np.moveaxis(counted(g, held, sizes), -1, 0))
    return taken(g, data, places(data)[spots], time)


def _of_each_step(g: Importing, data: Value, indices: Value) -> Array:
    """Constant indices, which have an axis where the data has time, for the steps of one evaluation."""
    time, held = data.time, indices.const
    if time is None or held is None or held.ndim <= time:
        return constant(g, indices, "indices")
    steps = indices.length if indices.time == time else held.shape[time]
    if indices.time is None:
        held = of_a_step(held, time, data.length)
    if indices.time not in (None, time) or not surely(steps, data.length) or held.shape[time] != 1:
        g.refuse(SINGLE, WINDOW)
    return np.repeat(held, steps_of(data), time)
