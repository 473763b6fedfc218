"""Rules: how an ONNX operator becomes layers. A rule stands in the file of the layer that it makes.

A rule's signature is the operator's schema: inputs in ONNX order (None when absent), attributes as keyword-only
arguments under their ONNX names, with ONNX's defaults. An attribute that the signature does not name is refused. Where
an operator took as attribute what is an input today, the attribute arrives under its name with `_` added: `axes_`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import numpy as np

from edgernn.layers.base import Array, Layer, Shape


@dataclass(frozen=True, eq=False)
class Value:
    """A value of the ONNX graph while it is imported, with batch = 1.

    `shape` is what one frame of it looks like: the time axis, where there is one, counts 1. `const` holds constants;
    one with a time axis is the same in every frame, one of shape arithmetic may hold symbols (see `Importing.length`).
    A value that is neither constant nor has a time axis is one thing a frame: in a step graph anything, in a sequence
    graph what no longer has time. `final` marks what depends on the last step of a sequence (Y_h, or the last slice):
    while streaming that is "now", so it must not flow back into values that have a time axis. `lead`: steps of zeros
    that stand before the sequence's first, for a convolution to look back on; `trail`: steps after its last, to be cut
    off again.
    """

    name: str
    shape: Shape
    time: int | None = None
    const: Array | None = None
    dtype: Any = np.float32
    final: bool = False
    lead: int = 0
    trail: int = 0


class Importing(Protocol):
    """What a rule may ask of the importer."""

    @property
    def opset(self) -> int:
        """The version of the default operator set in the file."""

    @property
    def length(self) -> Any:
        """How long the time axis is: a number, or a symbol that adds, multiplies, divides and compares like one."""

    @property
    def has_time(self) -> bool:
        """Whether some input of the graph has a time axis."""

    def add(self, layer: Layer, *inputs: Value, time: int | None = None, dtype: Any = np.float32) -> tuple[Value, ...]:
        """Add a node; constants among the inputs become Constant layers. `time` is the time axis of every output."""

    def constant(self, values: Array, time: int | None = None) -> Value:
        """A constant, to hand to `add` or to return; with `time`, its time axis counts 1."""

    def carry(self, initial: Array) -> Value:
        """A new state: the value to read; `close` says what replaces it."""

    def close(self, state: Value, source: Value) -> None:
        """Replace `state` by `source` at the end of each frame."""

    def carries(self, x: Value) -> bool:
        """Whether a cell that is fed x and starts from a constant goes on from frame to frame.

        Otherwise each frame starts anew: in a graph whose states are explicit, or after the time axis has gone.
        """

    def inside(self, what: str, remedy: str) -> None:
        """Note that a cell runs inside a frame: what refuses the graph where no other goes on from frame to frame."""

    def starts(self, initial: Value, last: Value, over_time: bool) -> None:
        """A cell starts from a computed `initial` and leaves `last`; over time, a state must lead back there."""

    def token(self, x: Value, vocabulary: int) -> Value:
        """The integer that an input port takes, where x is nothing else; refused otherwise."""

    def refuse(self, what: str, remedy: str = "") -> NoReturn:
        """Give up on this node. The importer goes on, to report all problems at once."""


Rule = Callable[..., Value | tuple[Value | None, ...]]
RULES: dict[str, Rule] = {}


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Register a rule for these ONNX operators. A parameter `operator` gets the name, `outputs` how many there are."""

    def register(function: Rule) -> Rule:
        for operator in operators:
            if operator in RULES:
                raise ValueError(f"two rules for {operator}")
            RULES[operator] = function
        return function

    return register
