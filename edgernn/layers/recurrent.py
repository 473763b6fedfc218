"""What RNN, GRU and LSTM share as ONNX operators: optional inputs, layout, directions, initial states, outputs.

A sequence runs over time, and its state is carried from frame to frame; or inside a frame, where every frame starts it
anew and it may run backwards too. Several sequences (the batch) run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgernn.layers.axes import integers, one_step, surely
from edgernn.layers.base import Array, Layer, Shape, volume
from edgernn.layers.join import Join
from edgernn.layers.matrix import MOST_STEPS
from edgernn.layers.reshape import Reshape, reshaped
from edgernn.layers.rhythm import CUT_OFF, PAD_FRONT, WINDOW, at_end, settled
from edgernn.layers.rules import Importing, Value
from edgernn.layers.take import places, taken

CELLS = ("RNN", "GRU", "LSTM")  # ONNX's operators

# Reasons that tell the importer that it took the wrong axis for time
OTHER_AXIS = "runs along another axis than the stream's time"
SEVERAL_STEPS = "runs over several steps inside one frame"
BACKWARDS = "direction="  # which shows that the right axis is taken, but as the time of a stream
SHORTER = "sequence_lens="  # so does that a sequence ends where a stream goes on
AGAINST = (BACKWARDS, SHORTER)

# Whether each of a node's directions runs backwards
DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


@dataclass(frozen=True, eq=False)
class RecurrentInputs:
    """The inputs and attributes that the three operators have in common."""

    X: Value
    W: Value
    R: Value
    B: Value | None
    sequence_lens: Value | None
    initial: tuple[Value | None, ...]
    direction: str
    hidden_size: int | None
    layout: int
    anew: bool = False  # in every frame, however many steps there are

    @property
    def ways(self) -> int:
        """How many directions there are."""
        return len(DIRECTIONS[self.direction])

    @property
    def steps(self) -> int:
        """Steps of a sequence in one frame; the axis of sequences has the number of `layout`."""
        return self.X.shape[self.layout]

    @property
    def batch(self) -> int:
        """The axis on which X holds one sequence after the other."""
        return 1 - self.layout

    def in_frame(self, g: Importing) -> bool:
        """Whether every frame starts the sequences anew."""
        return (
            self.anew
            or self.X.time == self.batch
            or (self.X.time is None and (self.steps > 1 or not g.carries(self.X)))
        )

    def constant(self, g: Importing, value: Value, name: str, shape: Shape) -> Array:
        """The constant of this shape in each direction: (directions, *shape)."""
        if value.const is None:
            g.refuse(f"input {name} is computed at run time, not a constant")
        if value.const.shape != (self.ways, *shape):
            g.refuse(f"input {name} has shape {list(value.const.shape)}, expected {[self.ways, *shape]}")
        if value.const.dtype.kind == "U":
            g.refuse(f"input {name} holds text", "export the model again")
        with np.errstate(all="ignore"):  # of NaN in narrow numbers, and of those beyond float32
            held = np.ascontiguousarray(value.const, np.float32)
        if not np.isfinite(held).all():
            g.refuse(f"input {name} holds NaN or infinity", "export the model again, after checking its training")
        return held


def import_cell(
    g: Importing, call: RecurrentInputs, gates: int, make: Callable[[int, Array, Array, Array], Layer]
) -> tuple[Value | None, ...]:
    """Checks what the operators share, makes a layer a direction with (number, W, R, B), gives (Y, Y_h[, Y_c])."""
    if call.layout not in (0, 1):
        g.refuse(f"layout={call.layout}: 0 or 1 expected")
    if call.direction not in DIRECTIONS:
        g.refuse(f"direction={call.direction}: {', '.join(DIRECTIONS)} expected")
    _check_time(g, call)
    lengths = _lengths(g, call)
    if lengths is not None:
        parts = [import_cell(g, _shortened(g, call, place, n), gates, make) for place, n in enumerate(lengths)]
        return _together(g, call, parts)
    if call.X.time == call.layout:
        call = replace(call, X=settled(g, call.X))
    if call.R.const is None or call.R.const.ndim != 3:
        g.refuse("input R is not a constant of three axes")
    hidden_size = int(call.R.const.shape[2])
    if call.hidden_size not in (None, hidden_size):
        g.refuse(f"hidden_size={call.hidden_size}, but R has shape {list(call.R.const.shape)}")
    rows = gates * hidden_size
    _check_projection(g, call, rows)
    r = call.constant(g, call.R, "R", (rows, hidden_size))
    w = call.constant(g, call.W, "W", (rows, call.X.shape[2]))
    b = (
        call.constant(g, call.B, "B", (2 * rows,))
        if call.B is not None
        else np.zeros((call.ways, 2 * rows), np.float32)
    )
    made = [_walked(g, call, make(way, w[way], r[way], b[way]), way, hidden_size) for way in range(call.ways)]
    y, *last = (_beside(g, parts, axis) for parts, axis in zip(zip(*made, strict=True), (1, 0, 0), strict=False))
    if call.layout:
        y = _transposed(g, y, (2, 0, 1, 3))
        last = [_transposed(g, state, (1, 0, 2)) for state in last]
    return (y, *last)


def _check_time(g: Importing, call: RecurrentInputs) -> None:
    """Refuse a time axis on which no sequence can run, and a direction against it."""
    if len(call.X.shape) != 3:
        g.refuse(f"input X has {len(call.X.shape)} axes, expected 3")
    if call.X.time == 2:
        g.refuse(OTHER_AXIS, "feed time on the sequence axis")
    if volume(call.X.shape[:2]) > MOST_STEPS:
        g.refuse(f"runs over {volume(call.X.shape[:2])} steps in one frame: at most {MOST_STEPS}, of all sequences")
    if call.direction != "forward" and not call.in_frame(g):
        ports = any(value is not None and value.const is None for value in call.initial)
        from_zero = ", with what it starts from set to zero (--set NAME=0)" if ports else ""
        g.refuse(f"{BACKWARDS}{call.direction} needs the end of the sequence before its start", WINDOW + from_zero)
    if call.X.time not in (None, call.layout):
        g.inside(OTHER_AXIS, "feed time on the sequence axis")
    elif call.X.time is None and call.steps > 1:
        g.inside(f"{SEVERAL_STEPS}: {call.steps}", "feed one frame a call, or time on this axis")


def _check_projection(g: Importing, call: RecurrentInputs, rows: int) -> None:
    """Refuse an LSTM with a projection of h, of which PyTorch's exporter leaves out the weights."""
    units = {value.shape[-1] for value in call.initial if value is not None and value.shape}
    recurrent = np.asarray(call.R.const).shape
    if len(units) > 1 or (len(call.initial) == 2 and recurrent[1] > rows):
        sizes = f" and states of {' and '.join(map(str, sorted(units)))} units" if units else ""
        g.refuse(
            f"has R of {list(recurrent)}{sizes}: an LSTM with a projection (proj_size), which ONNX cannot express",
            "the projection's weights are not in the file: train without proj_size, or export one step as a plain cell",
        )


def _lengths(g: Importing, call: RecurrentInputs) -> list[int] | None:
    """How many steps each sequence has; None where all have all of them."""
    given, length = call.sequence_lens, call.X.length if call.X.time == call.layout else call.steps
    if given is None or (given.const is not None and all(surely(n, length) for n in given.const.reshape(-1))):
        return None
    if given.const is None:
        g.refuse(
            "sequence_lens is computed at run time", f"export without the lengths, or {WINDOW}: a stream has no padding"
        )
    held = integers(g, given, "sequence_lens")
    if call.X.time == call.batch:
        g.refuse(OTHER_AXIS, "feed time on the sequence axis")
    if call.X.time is not None:
        g.refuse(f"{SHORTER}{held}, of {length} steps: a stream goes on", f"export without the lengths, or {WINDOW}")
    if len(held) != call.X.shape[call.batch] or not all(isinstance(n, int) and 1 <= n <= call.steps for n in held):
        g.refuse(f"sequence_lens={held}: {call.X.shape[call.batch]} numbers from 1 to {call.steps} expected")
    return held


def _shortened(g: Importing, call: RecurrentInputs, place: int, length: int) -> RecurrentInputs:
    """The call for one of its sequences, without what comes after its end."""
    steps, one = places(call.X).take(range(length), call.layout), [place]
    initial = [
        None if value is None else _part(g, value, places(value).take(one, call.batch)) for value in call.initial
    ]
    x = _part(g, call.X, steps.take(one, call.batch))
    return replace(call, X=x, sequence_lens=None, initial=tuple(initial), anew=True)


def _part(g: Importing, x: Value, index: Array) -> Value:
    return taken(g, x, index, None) if x.const is None else g.constant(x.const.reshape(-1)[index])


def _together(
    g: Importing, call: RecurrentInputs, parts: Sequence[tuple[Value | None, ...]]
) -> tuple[Value | None, ...]:
    """The outputs of all sequences; Y is zero after the end of each."""
    joined = []
    for number, values in enumerate(zip(*parts, strict=True)):
        made = [value for value in values if value is not None]
        if number == 0:
            short = [y.shape[call.layout] for y in made]
            ends = [[(0, (call.steps - n) * (axis == call.layout)) for axis in range(4)] for n in short]
            made = [
                taken(g, y, np.pad(places(y), end, constant_values=-1), None) for y, end in zip(made, ends, strict=True)
            ]
        axis = call.batch if number else 2 * call.batch
        joined.append(_beside(g, made, axis))
    return tuple(joined)


def _walked(g: Importing, call: RecurrentInputs, layer: Layer, way: int, hidden_size: int) -> tuple[Value, ...]:
    """One direction: its Y (S, 1, P, H), Y_h and, of an LSTM, Y_c (1, P, H)."""
    backwards = DIRECTIONS[call.direction][way]
    x = _transposed(g, call.X, (1, 0, 2)) if call.layout else call.X
    x = _turned(g, x) if backwards else x
    states = [_initial(g, call, value, way, hidden_size) for value in call.initial]
    y, *others = g.add(layer, x, *states, time=x.time)  # (S, P, H), and for each other state (1, P, H)
    time, over_time = (None, True) if x.time == 0 else (x.time, False)  # over time, the last step is "now"
    last = [taken(g, y, places(y)[-1:], time), *(reshaped(g, c, c.shape, time) for c in others)]
    last = [replace(v, final=v.final or over_time) for v in last]
    for value, state, new in zip(call.initial, states, last, strict=True):
        if value is not None and value.const is None:
            if value.time is None:
                g.starts(state, new, over_time)
        elif state.const is None:
            g.close(state, new, x)
    if over_time and not at_end(g, x):
        last = [g.add(Reshape(state.shape), state)[0] for state in last]  # what is shown, apart from what is carried
        for state in last:
            g.taint(state, f"gives the last state, but {CUT_OFF}", PAD_FRONT)
    y = _turned(g, y) if backwards else y
    return (reshaped(g, y, (y.shape[0], 1, *y.shape[1:]), 2 if x.time == 1 else x.time), *last)


def _initial(g: Importing, call: RecurrentInputs, value: Value | None, way: int, hidden_size: int) -> Value:
    """What a direction starts from, (1, P, H): the same in every frame, carried, or the graph's business."""
    shape = [call.ways, call.ways, hidden_size]
    shape[call.batch] = call.X.shape[call.batch]
    if value is None:
        each_step = (1 if axis == call.X.time == call.batch else n for axis, n in enumerate(shape))
        value = g.constant(np.zeros([*each_step], np.float32))
    if value.time is not None and not value.time == call.X.time == call.batch:
        g.refuse("an initial state depends on time", "feed one initial state for the whole sequence")
    if value.const is not None and call.X.time == call.batch and len(value.shape) == 3:
        frame = one_step(g, value, call.batch, call.X.length)
        each = np.repeat(np.asarray(frame.const), shape[call.batch], call.batch)
        value = replace(frame, shape=each.shape, const=each)
    if volume(value.shape) != volume(tuple(shape)):
        g.refuse(f"an initial state has shape {list(value.shape)}, expected {shape}")
    if value.const is not None:
        held = np.moveaxis(value.const.reshape(shape), call.layout, 0)[way : way + 1]
        return _start(g, call, np.ascontiguousarray(held, np.float32))
    if call.X.time == call.batch and value.time is None:
        g.refuse("an initial state has no time, but every frame is a sequence of its own", "feed one for each frame")
    value = reshaped(g, value, shape, value.time)
    value = _transposed(g, value, (1, 0, 2)) if call.layout else value
    return taken(g, value, places(value)[way : way + 1], value.time)


def _start(g: Importing, call: RecurrentInputs, held: Array) -> Value:
    """A constant initial state (1, P, H): a state of the stream, or the same in every frame."""
    if call.X.time is None and call.X.const is None and g.has_time and not call.X.final:
        g.refuse("runs over an input without time beside one that has it", "name the time axis alike in both inputs")
    return g.constant(held) if call.in_frame(g) else g.carry(held)


def _transposed(g: Importing, x: Value, perm: Sequence[int]) -> Value:
    return taken(g, x, places(x).transpose(perm), None if x.time is None else list(perm).index(x.time))


def _turned(g: Importing, x: Value) -> Value:
    """x from the last step to the first; the steps are its first axis."""
    return taken(g, x, places(x)[::-1], x.time)


def _beside(g: Importing, parts: Sequence[Value], axis: int) -> Value:
    """The directions side by side."""
    return parts[0] if len(parts) == 1 else g.add(Join(axis), *parts, time=parts[0].time)[0]
