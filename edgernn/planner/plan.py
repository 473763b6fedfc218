"""The Plan: what a stream needs to run a model with one backend. Immutable, never stored."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgernn.kernels.contract import OPERANDS, WORDS, Backend, Opcode
from edgernn.layers.base import Array, QuantisedMatrix, volume
from edgernn.layers.model import Model, Port
from edgernn.planner.arena import layout
from edgernn.planner.lower import Lowering
from edgernn.planner.program import Instruction, Place
from edgernn.planner.states import Carried


class StateSlot(NamedTuple):
    """Where a state lies in the arena, and what it begins as."""

    name: str
    offset: int  # bytes
    initial: Array  # (n,) float32


@dataclass(frozen=True, eq=False)
class Plan:
    """A model laid out for one backend."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    backend: str
    program: Array  # (instructions, WORDS) int64, once a frame; what stands behind a GATE once an answer
    prepare: Array  # the same, once whenever states have been set
    weights: Array  # aligned bytes
    arena_bytes: int
    carried_bytes: int  # at its beginning: what lasts from frame to frame
    states: tuple[StateSlot, ...]
    hop: int  # an answer every so many frames,
    window: int  # the first one after so many

    @property
    def waits(self) -> bool:
        """Whether a frame may bring no answer; the last state is then how many are still to come before the next."""
        return self.hop > 1 or self.window > 1

    def answers(self, frames: int, wait: int) -> int:
        """How many answers so many frames bring, where the next one comes with the `wait`-th of them."""
        return max(0, 1 + (frames - wait) // self.hop)

    def answers_each(self, frames: int, waits: Array) -> Array:
        """The same for several streams, (k,) int64."""
        each: Array = np.maximum(0, 1 + (frames - waits) // self.hop)
        return each

    @property
    def initial(self) -> Array:
        """What the states begin as, one after the other, (n,) float32."""
        return np.concatenate([np.empty(0, np.float32), *(slot.initial for slot in self.states)])

    @property
    def memory(self) -> Mapping[str, int]:
        """Bytes: the packed weights (shared by all streams), the states, and the rest of one stream's arena."""
        state = sum(slot.initial.nbytes for slot in self.states)
        return {"weights": len(self.weights), "state": state, "scratch": self.arena_bytes - state}


def make_plan(model: Model, backend: Backend) -> Plan:
    """Lower every node, settle the states, place the buffers and write the program."""
    weights = (weight for node in model.nodes for _, weight in node.layer.weights())
    low = Lowering(backend, exact=any(isinstance(weight, QuantisedMatrix) for weight in weights))
    carried = Carried(low)
    pushed, values = _enter(low, carried, model)
    for state in model.states:
        values[state.name] = carried.enter(volume(state.initial.shape))
        low.rings[values[state.name].buffer] = values[state.name].size
    for node in model.nodes:
        shapes = tuple(model.shapes[name] for name in node.inputs)
        made = node.layer.lower(low, shapes, *(values[name] for name in node.inputs))
        values.update(zip(node.outputs, made, strict=True))  # type: ignore[arg-type]
    for number, port in enumerate(model.outputs):
        low.emit(Opcode.STORE, values[port.value], len(model.inputs) + number, port.size)
    carried.leave([(values[state.name], values[state.source]) for state in model.states])
    offsets, size = layout(low.code, low.buffers, carried.persistent)
    slots = tuple(
        StateSlot(s.name, offsets[values[s.name].buffer], np.asarray(s.initial, np.float32).reshape(-1))
        for s in model.states
    )
    slots += tuple(StateSlot(name, offsets[place.buffer], initial) for name, place, initial in pushed)
    program, prepare = _encode(low.code, offsets), _encode(carried.prepare, offsets)
    packed, carried_bytes = low.weights.joined(), sum(low.buffers[buffer] for buffer in carried.persistent)
    ends = model.inputs, model.outputs
    return Plan(*ends, backend.name, program, prepare, packed, size, carried_bytes, slots, model.hop, model.window)


Pushed = list[tuple[str, Place, Array]]  # states of the input side: name, where, what it begins as


def _enter(low: Lowering, carried: Carried, model: Model) -> tuple[Pushed, dict[str, Place]]:
    """What a frame brings in: at once, or pushed into a window behind which a gate opens every `hop` frames."""
    if model.window == 1 and model.hop == 1:
        return [], {port.value: _load(low, number, port) for number, port in enumerate(model.inputs)}
    pushed: Pushed = []
    for number, port in enumerate(model.inputs):
        place = carried.enter(model.window * port.size)
        opcode = Opcode.PUSH_TOKENS if port.dtype == "int64" else Opcode.PUSH
        low.emit(opcode, place, number, port.size, model.window)
        pushed.append((port.name, place, np.zeros(place.size, np.float32)))
    wait = carried.enter(1)
    low.emit(Opcode.GATE, wait, model.hop)
    pushed.append(("wait", wait, np.full(1, model.window, np.float32)))
    seen = zip(model.inputs, pushed, strict=False)
    return pushed, {port.value: _seen(low, port, place) for port, (_, place, _) in seen}


def _seen(low: Lowering, port: Port, window: Place) -> Place:
    """The pushed frames of a port as the graph reads them."""
    if port.dtype != "int64":
        return window
    place = low.buffer(window.size, 8)
    low.emit(Opcode.TOKENS, place, window, window.size, port.low, port.high)
    return place


def _load(low: Lowering, number: int, port: Port) -> Place:
    tokens = port.dtype == "int64"
    place = low.buffer(port.size, 8 if tokens else 4)
    low.emit(Opcode.LOAD_TOKENS if tokens else Opcode.LOAD, place, number, port.size)
    return place


def _encode(code: Sequence[Instruction], offsets: Mapping[int, int]) -> Array:
    """The program (instructions, WORDS) int64, which ends with STOP."""
    rows = []
    for instruction in code:
        named = zip(instruction.operands, OPERANDS[instruction.opcode], strict=True)
        words = [int(instruction.opcode), *[_word(operand, name[0], offsets) for operand, name in named]]
        rows.append(words + [0] * (WORDS - len(words)))
    return np.array([*rows, [int(Opcode.STOP)] + [0] * (WORDS - 1)], np.int64)


def _word(operand: Place | int | float, kind: str, offsets: Mapping[int, int]) -> int:
    if isinstance(operand, Place):
        if operand.buffer < 0:
            return -1 - operand.offset
        return offsets[operand.buffer] + operand.offset
    if kind == "f":
        return int(struct.unpack("<i", struct.pack("<f", operand))[0])
    return int(operand)
