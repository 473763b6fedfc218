"""One arena and its control block: the part of a Stream that a compiled function points into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.kernels.builtin import caller_words
from edgernn.kernels.contract import (
    ALIGNMENT,
    ANSWER,
    ARENA,
    BUSY,
    HIGH,
    INPUTS,
    LOW,
    PORT_WORDS,
    PORTS,
    PROGRAM,
    SIZE,
    STRIDE,
    TOKENS,
    WEIGHTS,
)
from edgernn.kernels.library import AnyLibrary
from edgernn.layers.base import Array
from edgernn.planner import Plan
from edgernn.stream.frames import Frames, as_frames, as_outputs, bad_value

Answers = Any  # an array, a mapping port name -> array where the model has several outputs, or None: no answer is due


def address(array: Array) -> int:
    """Where the array's data lies."""
    return int(array.__array_interface__["data"][0])


def apart(array: Array, outputs: Sequence[Array]) -> Array:
    """The input, copied where answers would be written over frames that are still to be read."""
    shared = any(np.may_share_memory(array, output) for output in outputs)
    return array.copy() if shared else array


def control_block(plan: Plan) -> Array:
    """The words that a compiled entry is called with (see contract), with all that follows from the plan."""
    control = np.zeros(PORTS + PORT_WORDS * (len(plan.inputs) + len(plan.outputs)), np.int64)
    control[PROGRAM], control[WEIGHTS] = address(plan.program), address(plan.weights)
    control[INPUTS] = len(plan.inputs)
    for number, port in enumerate((*plan.inputs, *plan.outputs)):
        words = control[PORTS + number * PORT_WORDS :]
        tokens = port.dtype == "int64"
        words[STRIDE], words[SIZE], words[TOKENS] = port.size * (8 if tokens else 4), port.size, int(tokens)
        words[LOW], words[HIGH] = port.low, port.high
    return control


def slots(plan: Plan, arena: Array) -> list[Array]:
    """The states in an arena, or in what is carried of it: a view of each, in the model's order."""
    return [arena[s.offset : s.offset + s.initial.nbytes].view(np.float32) for s in plan.states]


def check_states(plan: Plan, values: Array) -> None:
    """Raises BadInput for a state, (n,) float32, that no stream can be in."""
    if plan.waits and values[-1] not in range(1, 1 + max(plan.hop, plan.window)):
        raise BadInput(f"the state waits for {values[-1]:g} frames, which no stream of this model can do")


def put_states(plan: Plan, arena: Array, values: Array) -> None:
    """Write all states, (n,) float32, without what follows from them.

    Raises BadInput for a state that no stream can be in.
    """
    check_states(plan, values)
    at = 0
    for slot in slots(plan, arena):
        slot[:] = values[at : at + len(slot)]
        at += len(slot)


def as_answers(plan: Plan, outputs: Sequence[Array]) -> Answers:
    """One array, or a mapping where the model has several outputs."""
    if len(outputs) == 1:
        return outputs[0]
    return {port.name: array for port, array in zip(plan.outputs, outputs, strict=True)}


class Runner:
    """Runs frames through a plan in an arena of its own."""

    def __init__(self, plan: Plan, library: AnyLibrary):
        self.plan = plan
        self.library = library
        control = control_block(plan)
        raw = np.zeros(control.nbytes + plan.arena_bytes + 2 * ALIGNMENT, np.uint8)
        start = -(address(raw) + control.nbytes) % ALIGNMENT
        self.control, self.arena = raw[start : start + control.nbytes].view(np.int64), raw[start + control.nbytes :]
        self.control[:] = control
        self.control[ARENA] = address(self.arena)
        self._kept = memoryview(raw[start : start + control.nbytes + plan.carried_bytes])  # type: ignore[arg-type]
        self.set_states(plan.initial)

    def twin(self) -> Runner:
        """Another in the same state."""
        twin = Runner(self.plan, self.library)
        twin.set_states(self.states())
        return twin

    def states(self) -> Array:
        """All states, (n,) float32, in the model's order. Raises BadInput while another thread runs the stream."""
        taken = np.frombuffer(bytes(self._kept), np.uint8)  # at one stroke: no run can begin in between
        if taken[: self.control.nbytes].view(np.int64)[BUSY]:
            raise BadInput("another thread runs this stream; its state cannot be taken now")
        return np.concatenate([np.empty(0, np.float32), *slots(self.plan, taken[self.control.nbytes :])])

    @property
    def wait(self) -> int:
        """How many frames are still to come before the next answer, itself included."""
        return int(slots(self.plan, self.arena)[-1][0]) if self.plan.waits else 1

    def set_states(self, values: Array) -> None:
        """Replace all states, and what follows from them.

        Raises BadInput while another thread runs the stream, and for a state that no stream can be in.
        """
        if self.control[BUSY]:
            raise BadInput("another thread runs this stream; its state cannot be set now")
        put_states(self.plan, self.arena, values)
        self.library.prepare(address(self.plan.prepare), address(self.control))

    def frames(self, given: Frames, out: Any, several: bool) -> Answers:
        """Checks and runs. Raises BadInput before anything has changed."""
        plan = self.plan
        inputs = as_frames(given, plan.inputs, (None,) if several else ())
        count = len(inputs[0])
        due = plan.answers(count, self.wait)
        outputs = rooms = as_outputs(out, plan.outputs, (due,) if several else ())
        if several and plan.waits:  # another thread may change what is due: room for all that it could be
            rooms = as_outputs(None, plan.outputs, (plan.answers(count, 1),))
        inputs = [apart(array, rooms) for array in inputs] if out is not None else inputs
        status = self.library.run(self.control, count, *inputs, *rooms)
        if status < 0 or (several and not status and self.control[ANSWER] != due):
            raise BadInput("another thread runs this stream; give each thread a stream of its own (stream.fork())")
        if status:
            raise BadInput(bad_value(plan.inputs[status - 1], inputs[status - 1]) or "")
        if not several and not self.control[ANSWER]:
            return None
        for output, room in zip(outputs, rooms, strict=True) if rooms is not outputs else ():
            output[:] = room[:due]
        return as_answers(plan, outputs)

    def step(self, x: Frames, out: Any = None) -> Answers:
        """One frame: what the compiled `step` leaves to Python."""
        return self.frames(x, out, several=False)

    def run(self, X: Frames, out: Any = None) -> Answers:
        """Many frames: what the compiled `run` leaves to Python."""
        return self.frames(X, out, several=True)

    def fast(self) -> tuple[Callable[..., Any], ...]:
        """The compiled `step` and `run`, where the model has one port in and one out; else those above."""
        plan = self.plan
        slow = self.step, self.run
        if len(plan.inputs) != 1 or len(plan.outputs) != 1:
            return slow
        (port_in,), (port_out,) = plan.inputs, plan.outputs
        tokens = port_in.dtype == "int64"
        if tokens and port_in.size != 1:
            return slow
        for word, value in caller_words(port_in.size, port_out.size, tokens, slow).items():
            self.control[word] = value
        step, run = self.library.fast(self.control, slow)
        return step, self.run if plan.waits else run
