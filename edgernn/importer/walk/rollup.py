"""Roll up: what the last step of an unrolled graph carries becomes states; `Moments.rolls` notes which is which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgernn.importer.walk.alike import Steps, Unlike, same_layer
from edgernn.importer.walk.shorter import check_first, worked_out
from edgernn.layers.base import Array, Shape, volume
from edgernn.layers.dense import Affine
from edgernn.layers.model import Node
from edgernn.layers.pointwise import Combine, Map
from edgernn.layers.reshape import Reshape
from edgernn.layers.rules import Value
from edgernn.layers.take import Take

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

FEWEST = 3  # steps: the first one is special, and one must be like another
Before = list[dict[str, str]]  # for each step: what it carries -> the same one step earlier


def roll(g: Build, pieces: Sequence[str], outputs: Sequence[str]) -> None:
    """Make states of what the last step carries: towards `pieces`, one of each step, or towards `outputs`.

    Raises Unlike where the steps are not the same computation.
    """
    if g.moments.count < FEWEST:
        raise Unlike(f"there are fewer than {FEWEST} steps")
    if g.moments.count > len(g.nodes):
        raise Unlike(f"there are {g.moments.count} steps, and fewer nodes")
    if len({x.delay for x in g.moments.taken}) > 1:
        raise Unlike("it reads sequences that come with different delays")
    steps, last = Steps(g.nodes, g.moments.steps, g.moments.late), g.moments.count - 1
    before = _corresponding(steps, pieces, outputs, last)
    if not before[last]:
        return
    rolling = _Rolling(g, steps, {b: a for a, b in before[last].items()})
    pairs = [*zip(pieces[1:2], pieces[:1], strict=True), *before[2].items()]
    try:
        _note(steps, before, 1, [steps.matched(a, b, 1) for a, b in pairs])
        starts = {name: _start(before, name) for name in before[last]}
        initials = {name: rolling.initial(name, start) for name, start in starts.items()}
    except Unlike:
        before[1] = {}
        starts = {name: _start(before, name) for name in before[last]}
        initials = {name: rolling.from_zero(name) for name in starts}
        check_first(g, steps, pairs, {starts[name]: y for name, y in initials.items() if y is not None})
    rolling.carry(starts, initials)


def _note(steps: Steps, before: Before, step: int, found: Iterable[dict[str, str]]) -> None:
    """What this step carries, and what that is one step earlier."""
    for a, b in (pair for pairs in found for pair in pairs.items()):
        if not steps.equal(before[step].setdefault(a, b), b):
            raise Unlike(f"what step {step} carries as '{a}' is several values in step {step - 1}")


def _corresponding(steps: Steps, pieces: Sequence[str], outputs: Sequence[str], last: int) -> Before:
    """What each step from the second on carries, and what that is one step earlier."""
    before: Before = [{} for _ in range(last + 1)]
    if pieces:
        if any(steps.of.get(piece) != step for step, piece in enumerate(pieces)):
            raise Unlike("the steps are not joined in their order")
        for step in range(2, last + 1):
            _note(steps, before, step, [steps.matched(pieces[step], pieces[step - 1], step)])
    else:
        _note(steps, before, last, [_guessed(steps, outputs, last)])
    for step in range(last, 2, -1):
        _note(steps, before, step - 1, [steps.matched(a, b, step - 1) for a, b in before[step].items()])
    return before


def _guessed(steps: Steps, outputs: Sequence[str], last: int) -> dict[str, str]:
    """What the last step carries towards the outputs, and the values of an earlier step that are alike."""
    carried = steps.carried(outputs, last)
    candidates = steps.carried(carried, last - 1)
    found: dict[str, str] = {}
    for a in carried:
        for b in candidates:
            try:
                steps.matched(a, b, last - 1)
            except Unlike:
                continue
            found[a] = b
            break
        else:
            raise Unlike(f"step {last} carries '{a}', and nothing that step {last - 1} carries is like it")
    if not found:
        raise Unlike("the last step carries nothing from the step before")
    return found


def _start(before: Before, name: str) -> str:
    """What a carried value is before step 0; where that is not known, what it is in step 0."""
    for step in range(len(before) - 1, 0 if before[1] else 1, -1):
        if name not in before[step]:
            raise Unlike(f"step {step} carries '{name}', which is no part of the steps after it")
        name = before[step][name]
    return name


class _Rolling:
    """Makes the states of one unrolled part. `later`: value of the second to last step -> the same one step later."""

    def __init__(self, g: Build, steps: Steps, later: dict[str, str]):
        self.g, self.steps, self.last = g, steps, g.moments.count - 1
        self.later = later
        self.copies: dict[str, str] = {}  # value -> the same, computed from a state
        self.shapes = _shapes(g)
        self.found: dict[tuple[str, ...], list[Node]] = defaultdict(list)  # inputs -> nodes of the last step
        for node in g.nodes:
            if steps.of.get(node.outputs[0]) == self.last:
                self.found[node.inputs].append(node)

    def carry(self, starts: dict[str, str], initials: dict[str, Array | None]) -> None:
        """A state for each value, from what it starts."""
        for name in initials:
            self._next(name)
        for name, initial in initials.items():
            if name in self.g.moments.rolls:
                continue
            if initial is None:
                self.g.moments.rolls[name] = self._given(name, starts[name])
            else:
                self.g.moments.rolls[name] = self._computed(name, initial) or self._state(name, initial)

    def initial(self, name: str, start: str) -> Array | None:
        """What a state starts from, in its shape; None for what is no constant."""
        held = worked_out(self.steps, start)
        if held is None:
            return None
        try:
            return np.broadcast_to(held, self.shapes[name]).astype(np.float32)
        except ValueError:
            raise Unlike(f"'{name}' starts from another shape, {list(held.shape)}") from None

    def _after(self, name: str) -> int:
        """The place after the node that makes a value."""
        return next((n for n, node in enumerate(self.g.nodes, 1) if name in node.outputs), 0)

    def _value(self, name: str) -> Value:
        return Value(name, self.shapes[name])

    def _state(self, name: str, initial: Array) -> str:
        """The state that is this value."""
        source = self._value(self._next(name))
        state = self.g.carry(initial)
        self.g.close(state, source, next(iter(self.g.moments.taken)))
        return state.name

    def _given(self, name: str, start: str) -> str:
        """The value that starts from an input of the graph, or is computed from one that does, as R h + b is from h."""
        chain: list[Node] = []
        base, before = name, start
        while not self._moved_input(before):
            one, other = self.steps.makers.get(base), self.steps.makers.get(before)
            if one is None or other is None or not same_layer(one.layer, other.layer):
                raise Unlike(f"'{name}' starts from '{start}', which is neither a constant nor an input")
            pairs = zip(one.inputs, other.inputs, strict=True)
            apart = [(a, b) for a, b in pairs if not self.steps.equal(a, b)]
            if len(apart) != 1 or base in self.steps.moments:
                raise Unlike(f"'{name}' starts from '{start}', which is computed in another way")
            chain.insert(0, one)
            ((base, before),) = apart
        if base not in self.g.moments.rolls:
            self.g.moments.rolls[base] = self._entering(base, before)
        for node in chain:
            self._copy(node)
        return self.copies.get(name, self.g.moments.rolls[base])

    def _moved_input(self, name: str) -> bool:
        """Whether a value is an input of the graph, or numbers of one in another order."""
        while name in self.steps.makers and isinstance(self.steps.makers[name].layer, (Reshape, Take)):
            (name,) = self.steps.makers[name].inputs
        return name in self.g.ports

    def _entering(self, name: str, start: str) -> str:
        """What the step reads for a value that starts from an input: the input, which must bring back the next one."""
        if next(iter(self.g.moments.taken)).delay or volume(self.shapes[start]) != volume(self.shapes[name]):
            raise Unlike(f"'{name}' starts from '{start}', which is of another shape or rhythm")
        own = self.g.unique(f"{name}.start")
        copy = Node(own, Reshape(self.shapes[name]), (start,), (own,))
        self.g.nodes.insert(self._after(start), copy)
        self.shapes[own] = self.shapes[name]
        self.g.own.add(own)
        self.g.starts(self._value(own), self._value(self._next(name)), True)
        return own

    def _computed(self, name: str, initial: Array) -> str | None:
        """The value computed from a state further up that starts from zero, such as R h + b from h; None without one.

        Exporters compute from the zeros beforehand, so that step 0 shows only what comes of them.
        """
        (chain, base), y = self._chain(name), self.from_zero(name)
        if not any(isinstance(node.layer, Affine) for node in chain) or not np.array_equal(y, initial):
            return None
        if base not in self.g.moments.rolls:
            self.g.moments.rolls[base] = self._state(base, np.zeros(self.shapes[base], np.float32))
        elif not self._is_zero(self.g.moments.rolls[base]):
            return None
        for node in chain:
            self._copy(node)
        return self.copies[name]

    def from_zero(self, name: str) -> Array:
        """What a value is where the one that it is computed from alone, further up in the same step, is zero."""
        chain, base = self._chain(name)
        y: Array = np.zeros(self.shapes[base], np.float32)
        inputs = {base: y}
        for node in chain:
            held = [inputs[value] if value in inputs else self._held(value) for value in node.inputs]
            (y,) = node.layer.step(*held)
            inputs[node.outputs[0]] = y
        return y

    def _chain(self, name: str) -> tuple[list[Node], str]:
        """The linear nodes that lead from one value of the same step to this one, and that value."""
        chain: list[Node] = []
        while name in self.steps.makers and name not in self.steps.moments:
            node = self.steps.makers[name]
            inner = [value for value in node.inputs if value in self.steps.of]
            linear = isinstance(node.layer, (Affine, Combine, Reshape, Take))
            linear = linear or (isinstance(node.layer, Map) and node.layer.function == "affine")
            outside = [value for value in node.inputs if value not in self.steps.of]
            if not linear or len(inner) != 1 or any(self.steps.constant(value) is None for value in outside):
                break
            chain.insert(0, node)
            (name,) = inner
        return chain, name

    def _held(self, name: str) -> Array:
        constant = self.steps.constant(name)
        return np.zeros(0) if constant is None else constant.values

    def _is_zero(self, name: str) -> bool:
        return any(state.name == name and not state.initial.any() for state in self.g.states)

    def _copy(self, node: Node) -> None:
        """The node once more, computing from the state."""
        (name,) = node.outputs
        if name in self.copies:
            return
        copy = self.g.unique(f"{name}.carried")
        inputs = tuple(self.copies.get(value, self.g.moments.rolls.get(value, value)) for value in node.inputs)
        self.g.nodes.insert(self._after(name), replace(node, name=copy, inputs=inputs, outputs=(copy,)))
        self.copies[name] = copy

    def _next(self, name: str) -> str:
        """The value one step later; nodes that the last step lacks, as nothing follows it, are added."""
        inner = self._inner(name)
        for node in list(self.g.nodes):
            if not inner.intersection(node.outputs) or node.outputs[0] in self.later:
                continue
            inputs = tuple(self.later.get(value, value) for value in node.inputs)
            if any(value in self.steps.of and value not in self.later for value in node.inputs):
                raise Unlike(f"'{node.name}' is not repeated in the last step")
            there = next((other for other in self.found[inputs] if same_layer(other.layer, node.layer)), None)
            outputs = self._added(node, inputs) if there is None else there.outputs
            self.later.update(zip(node.outputs, outputs, strict=True))
        return self.later[name]

    def _inner(self, name: str) -> set[str]:
        """The values of the second to last step that this one is computed from."""
        inner: set[str] = set()
        waiting: list[str] = [name]
        while waiting:
            value = waiting.pop()
            if value not in inner and self.steps.of.get(value) == self.last - 1:
                inner.add(value)
                if value not in self.steps.moments:
                    waiting.extend(self.steps.makers[value].inputs)
        return inner

    def _added(self, node: Node, inputs: tuple[str, ...]) -> Iterable[str]:
        """A new node of the last step."""
        names = tuple(self.g.unique(f"{name}.next") for name in node.outputs)
        self.g.nodes.append(replace(node, name=names[0], inputs=inputs, outputs=names))
        self.shapes.update(zip(names, (self.shapes[name] for name in node.outputs), strict=True))
        if node.outputs[0] in self.steps.moments:
            self.g.moments.steps[names[0]] = self.last
        return names


def _shapes(g: Build) -> dict[str, Shape]:
    """The shape of every value."""
    shapes: dict[str, Shape] = {name: (g.window * size,) for name, size in g.ports.items()}
    shapes.update((state.name, state.initial.shape) for state in g.states)
    for node in g.nodes:
        made = node.layer.shapes(*(shapes[name] for name in node.inputs))
        shapes.update(zip(node.outputs, made, strict=True))
    return shapes
