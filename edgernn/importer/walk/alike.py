"""Alike: which nodes of a graph that repeats its computation belong to which step, and whether the steps are the same.

A value belongs to the last step that it reads. What a step reads of the step before it, it carries.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np

from edgernn.layers.base import Layer, Matrix
from edgernn.layers.constant import Constant
from edgernn.layers.model import Node


class Unlike(Exception):
    """The steps are not the same computation; says why."""


def same_layer(a: Layer, b: Layer) -> bool:
    """Whether both compute the same."""
    if type(a) is not type(b) or a.attributes() != b.attributes():
        return False
    held, other = dict(a.weights()), dict(b.weights())
    return held.keys() == other.keys() and all(_same(w, other[name]) for name, w in held.items())


def _same(a: Matrix, b: Matrix) -> bool:
    return a is b or (isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b))


class Steps:
    """The nodes of a graph by the step that they belong to.

    `moments` says of some values which step they are, `late` which are known at the end of the sequence only.
    """

    def __init__(self, nodes: Sequence[Node], moments: Mapping[str, int | None], late: Container[str]):
        self.moments, self.late = moments, late
        self.makers = {name: node for node in nodes for name in node.outputs}
        self.of: dict[str, int] = {}  # value -> its step; what belongs to none is not in it
        for node in nodes:
            read = [self.of[name] for name in node.inputs if name in self.of]
            for name in node.outputs:
                step = moments[name] if name in moments else max(read, default=None)
                if step is not None:
                    self.of[name] = step

    def carried(self, values: Iterable[str], step: int) -> list[str]:
        """What the computation of these values in this step reads of the step before. Raises Unlike."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        waiting = list(values)
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self.of:
                continue
            seen.add(name)
            if self.of[name] == step - 1:
                found[name] = None
            elif self.of[name] != step:
                raise Unlike(f"step {step} reads step {self.of[name]}")
            elif name not in self.moments:
                waiting.extend(self.makers[name].inputs)
        return list(found)

    def matched(self, a: str, b: str, step: int) -> dict[str, str]:
        """How a, of this step, is the computation of b, of the step before, one step later.

        Gives what a carries from the step before -> what stands in its place for b: of step 0, what it starts from.
        Raises Unlike.
        """
        found: dict[str, str] = {}
        seen: set[tuple[str, str]] = set()
        waiting = [(a, b)]
        while waiting:
            pair = waiting.pop()
            if pair in seen:
                continue
            seen.add(pair)
            here, before = (self.of.get(name) for name in pair)
            if here == step - 1:
                if before != (step - 2 if step > 1 else None):
                    raise Unlike(f"step {step} reads '{pair[0]}' of the step before, and step {step - 1} no such value")
                if not self.equal(found.setdefault(*pair), pair[1]):
                    raise Unlike(f"step {step} reads '{pair[0]}' twice where step {step - 1} reads two values")
            elif here is None:
                if pair[0] in self.late:
                    raise Unlike(f"step {step} reads '{pair[0]}', which is known at the end of the sequence only")
                if not self.equal(*pair):
                    raise Unlike(f"step {step} reads '{pair[0]}' where step {step - 1} reads '{pair[1]}'")
            else:
                waiting.extend(self._parts(*pair, step))
        return found

    def _parts(self, a: str, b: str, step: int) -> list[tuple[str, str]]:
        """The inputs that must correspond so that a in this step is b one step later."""
        if (self.of[a], self.of.get(b)) != (step, step - 1):
            raise Unlike(f"step {step} reads '{a}' of step {self.of[a]} where step {step - 1} reads '{b}'")
        one, other = self.makers[a], self.makers[b]
        same = same_layer(one.layer, other.layer) and len(one.inputs) == len(other.inputs)
        if not same or one.outputs.index(a) != other.outputs.index(b) or (a in self.moments) != (b in self.moments):
            raise Unlike(f"'{a}' of step {step} is not computed as '{b}' of step {step - 1}")
        return list(zip(one.inputs, other.inputs, strict=True))

    def equal(self, a: str, b: str) -> bool:
        """Whether two values are the same, or are computed in the same way from the same."""
        waiting = [(a, b)]
        seen: set[tuple[str, str]] = set()
        while waiting:
            a, b = waiting.pop()
            if a == b or (a, b) in seen:
                continue
            seen.add((a, b))
            if a in self.of or b in self.of or a not in self.makers or b not in self.makers:
                return False
            one, other = self.makers[a], self.makers[b]
            if len(one.inputs) != len(other.inputs) or one.outputs.index(a) != other.outputs.index(b):
                return False
            if not same_layer(one.layer, other.layer):
                return False
            waiting.extend(zip(one.inputs, other.inputs, strict=True))
        return True

    def constant(self, name: str) -> Constant | None:
        """The constant that a value is, if it is one."""
        maker = self.makers.get(name)
        return maker.layer if maker is not None and isinstance(maker.layer, Constant) else None
