"""Rhythm: which steps of a sequence an evaluation holds, and how values of different rhythm come together.

An evaluation sees the next `g.hop` frames. Of a sequence value it holds as many steps as its time axis counts, n: the
j-th evaluation holds the steps j * n - delay ... j * n - delay + n - 1. What it holds before step 0 is made of nothing
and means nothing: it may be computed with, but never remembered or shown. A negative delay is a sequence that begins
with a number, mostly zero: what is before the steps of the first evaluation. Its first steps may also repeat later ones
(`Value.begins`): they are made when the last of these comes, by whatever remembers steps, and mean nothing before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgernn.layers.axes import check_rates, check_size, surely
from edgernn.layers.base import Array, Layer
from edgernn.layers.join import Join
from edgernn.layers.pointwise import Combine, Map, Select
from edgernn.layers.reshape import Reshape
from edgernn.layers.rules import Importing, Value
from edgernn.layers.take import AS_WINDOW, Take, places, taken

WINDOW = AS_WINDOW
FROM_END = "begins the sequence with its end, which a stream does not know"
CUT_OFF = "the sequence ends with padding that a stream never sees"
PAD_FRONT = f"pad in front only, or {WINDOW}"
MOST_STEPS = 1 << 16  # that one evaluation makes
FOREVER = float(1 << 23)  # evaluations up to which the clock counts: float32 counts so far without a gap


def steps_of(x: Value) -> int:
    """How many steps of the sequence x an evaluation holds."""
    if x.time is None:
        raise ValueError(f"{x.name} has no time axis")
    return x.shape[x.time]


def delayed(g: Importing, x: Value, steps: int) -> Value:
    """x so many steps later."""
    if steps == 0 or x.const is not None or x.time is None:
        return x
    held = on_ring(g, x, steps)
    late = replace(cut(g, held, x.time, 0, steps_of(x)).like(x), time=x.time, dtype=x.dtype, delay=x.delay + steps)
    return replace(late, begins=()) if late.delay >= known(x) else late


def on_ring(g: Importing, x: Value, past: int, fill: float = 0.0) -> Value:
    """The last `past` steps and those of this evaluation; `fill` is before all, also before what x begins with.

    The state holds one step after the other, whatever axis time is, so that it moves on in one piece; a step's channels
    lie beside each other, as convolutions make them.
    """
    time = x.time or 0
    order = sorted(range(len(x.shape)), key=lambda axis: (axis != time, axis == 1 and time > 1, axis))
    shape = (past, *(x.shape[axis] for axis in order[1:]))
    check_size(g, shape)
    initial = np.full(shape, fill, np.float32)
    initial[past - min(past, max(0, -x.delay)) :] = x.front
    ring, new = g.carry(initial), taken(g, x.untimed(), places(x).transpose(order), None)
    steps = _with_beginning(g, x, joined(g, ring, new, 0), past)
    g.close(ring, cut(g, steps, 0, steps_of(x), past))
    return taken(g, steps, places(steps).transpose(np.argsort(order)), None)


def _with_beginning(g: Importing, x: Value, held: Value, past: int) -> Value:
    """The steps held of x, (n, ...), with the first as they are to be from the evaluation on that has all of them."""
    if not x.begins:
        return held
    evaluation = known(x) // steps_of(x)
    first = evaluation * steps_of(x) - x.delay - past  # the step that is held first in this evaluation
    steps = range(first, first + past + steps_of(x))
    repeats = np.array([x.begins[max(0, step)] if step < len(x.begins) else step for step in steps])
    index = places(held)[repeats - first]
    (beginning,) = g.add(Take(np.ascontiguousarray(index.reshape(-1)), held.shape), held)
    (y,) = g.add(Select(), begun(g, evaluation + 1, 1), held, beginning)
    return y


def known(x: Value) -> int:
    """The delay with which all steps of x are known when they come."""
    return (x.delay + max(x.begins)) // steps_of(x) * steps_of(x) if x.begins else x.delay


def ready(g: Importing, x: Value) -> Value:
    """x late enough for all steps that it begins with to be known."""
    return delayed(g, x, known(x) - x.delay) if x.begins else x


def check_end(g: Importing, x: Value) -> None:
    """Refuse to add steps to a sequence that ends while frames still come: they would be seen before its end."""
    if x.length + x.delay < g.length // g.hop * steps_of(x):
        g.refuse("adds steps to the end of a sequence that ends before its last frame", PAD_FRONT)


def frames(g: Importing, x: Value, steps: int) -> int:
    """How many frames so many steps of x take, at most."""
    return -(-steps * g.hop // steps_of(x))


def multiplied(g: Importing, x: Value, index: Array, time: int, factor: int) -> Value:
    """The numbers of x at an index that makes `factor` steps of each of its steps."""
    count = index.shape[time]
    if count > MOST_STEPS:
        g.refuse(f"makes {count:,} steps of {g.hop} frames, more than {MOST_STEPS:,}", "upsample less")
    y = taken(g, x, index, time)
    late = -(-(factor - 1) * factor * g.hop // count) // factor
    return replace(y.like(x), delay=x.delay * factor, length=x.length * factor, past=x.past + late)


def joined(g: Importing, before: Value, x: Value, time: int) -> Value:
    """Two pieces of a sequence as one value without rhythm."""
    (y,) = g.add(Join(time), before, replace(x, time=None))
    return y


def cut(g: Importing, x: Value, time: int, start: int, count: int) -> Value:
    """`count` steps of x from `start` on."""
    if (start, count) == (0, x.shape[time]):
        return x
    kept = np.take(places(x), range(start, start + count), time)
    (y,) = g.add(Take(np.ascontiguousarray(kept.reshape(-1)), kept.shape), x)
    return y


def shown(g: Importing, x: Value) -> Value:
    """x late enough for every step of it to come."""
    x = ready(g, x)
    return delayed(g, x, max(0, -x.delay))


def settled(g: Importing, x: Value) -> Value:
    """x with a delay of whole evaluations, so that each holds steps of the sequence only, or none."""
    x = shown(g, x)
    return delayed(g, x, -x.delay % steps_of(x)) if x.time is not None else x


def only_moves(layer: Layer, x: Value) -> bool:
    """Whether what the layer makes of x begins as x does: it moves numbers, and adds only what x begins with."""
    fits = isinstance(layer, Take) and (layer.fill == x.front or x.begins or layer.index.min(initial=0) >= 0)
    return isinstance(layer, Reshape) or bool(fits)


def aligned(g: Importing, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """Sequences that are combined step by step, with one delay."""
    inputs = tuple(ready(g, x) for x in inputs)
    timed = [x for x in inputs if x.time is not None and x.const is None]
    if not timed or (len(timed) == 1 and timed[0].delay >= 0):
        return inputs
    check_rates(g, timed)
    lengths = [x.length for x in timed]
    if not all(surely(n, lengths[0]) for n in lengths):
        g.refuse(f"combines sequences of {' and '.join(map(str, dict.fromkeys(lengths)))} steps")
    delay = max(0, *(x.delay for x in timed))
    return tuple(delayed(g, x, delay - x.delay) if x.time is not None and x.const is None else x for x in inputs)


def begun(g: Importing, delay: int, count: int) -> Value:
    """(count,): 1 for each step that an evaluation holds of such a sequence, 0 where it is before the first."""
    (first,) = g.add(Map("affine", float(count), -float(delay)), g.clock())
    (index,) = g.add(Combine("add"), first, g.constant(np.arange(count, dtype=np.float32)))
    (y,) = g.add(Combine("greater_equal"), index, g.constant(np.zeros(1, np.float32)))
    return y


def masked(g: Importing, x: Value, fill: float) -> Value:
    """x with `fill` in the place of what is before its first step."""
    if x.delay <= 0 or x.time is None:
        return x
    (y,) = g.add(Select(), _spread(g, x, 0), x.untimed(), g.constant(np.full(1, fill, np.float32)))
    return replace(y.like(x), time=x.time, dtype=x.dtype)


def continued(g: Importing, first: Value, then: Value, start: int) -> Value:
    """The steps of `first` up to `start`, and from there on those of `then`."""
    first, then = aligned(g, (first, then))
    x = then if then.const is None else first
    if x.time is None or x.const is not None or x.time not in (first.time, then.time):
        g.refuse("joins constants over time", f"begin the sequence with its first frame, or {WINDOW}")
    check_rates(g, (first, then))
    (y,) = g.add(Select(), _spread(g, x, start), then.untimed(), first.untimed())
    past, ahead = max(first.past, then.past), max(first.ahead, then.ahead)
    return replace(y.like(x), time=x.time, dtype=x.dtype, past=past, ahead=ahead)


def played(g: Importing, x: Value, axis: int, like: Value) -> Value | None:
    """A constant for each step of a fixed length as a sequence, where most steps repeat those of an evaluation before.

    The first few may be others, and so may the last, which a stream never shows. None for any other constant.
    """
    fits = x.const is not None and x.time is None and axis >= 0 and surely(x.shape[axis], like.length)
    if x.const is None or not fits or not isinstance(g.length, int):
        return None
    count, held = steps_of(like), np.moveaxis(x.const, axis, 0)
    shown = held[: -(-g.length // g.hop) * count - max(0, like.delay)]
    again = (shown[count:] == shown[:-count]).reshape(len(shown[count:]), -1).all(axis=1)
    if again.all() and (shown[:1] == shown).all():
        return None  # the same in every step
    first = int(np.flatnonzero(~again).max(initial=-1)) + 1
    front = max(1, -(-first // count)) * count
    if 2 * front + 2 * count > len(shown):
        return None
    ring = g.carry(np.moveaxis(shown[:front], 0, axis).astype(np.float32))
    frames = joined(g, ring, g.constant(np.moveaxis(shown[front : front + count], 0, axis)), axis)
    g.close(ring, cut(g, frames, axis, count, front))
    return replace(cut(g, frames, axis, 0, count), time=axis, dtype=x.dtype, length=like.length)


def _spread(g: Importing, x: Value, start: int) -> Value:
    """Which of the steps of x are not before the one at `start`, in a shape that broadcasts to that of x."""
    count = steps_of(x)
    shape = tuple(count if axis == x.time else 1 for axis in range(len(x.shape)))
    (y,) = g.add(Take(np.arange(count, dtype=np.int32), shape), begun(g, x.delay + start, count))
    return y


def remembered(g: Importing, new: Value, initial: Array, over: Value) -> Value:
    """What replaces a state that follows the steps of `over`, which is settled: its initial value until they begin."""
    if over.time is None or over.delay == 0:
        return new
    (now,) = g.add(Take(np.zeros(1, np.int32), (1,) * len(new.shape)), begun(g, over.delay // steps_of(over), 1))
    (y,) = g.add(Select(), now, new.untimed(), g.constant(initial.astype(np.float32).reshape(new.shape)))
    return y


def at_end(g: Importing, x: Value) -> bool:
    """Whether the last step that an evaluation holds is the last one of the sequence, had it ended here.

    A fixed length need not be whole evaluations: the last step then comes with the last whole one, or, if it sees
    nothing behind the end, with the next one, which is noted (`after_whole`); of all sequences with the same one, since
    those that end before would go on.
    """
    count, late = steps_of(x), x.length + x.delay
    if not isinstance(g.length, int) or not isinstance(late, int):
        return surely(late * g.hop, g.length * count)
    whole, left = divmod(g.length, g.hop)
    within = (x.length - 1) * g.hop // count + x.ahead < g.length
    ends = [n for n, fits in ((whole, True), (whole + 1, left > 0 and within)) if fits and late == n * count]
    if left and ends:
        g.ended.update(ends)
        if ends[0] > whole:
            g.note(after_whole(g.length, g.hop))
    return bool(ends) and len(g.ended) < 2


def after_whole(length: int, hop: int) -> str:
    """The note that the last step of a sequence of so many frames comes with the evaluation that ends behind them."""
    whole = -(-length // hop) * hop
    return f"{hop} frames make one answer: that to the {length} frames of the file comes after {whole}"
