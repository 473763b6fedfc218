"""Rules: how an ONNX operator becomes layers. A rule stands in the file of the layer that it makes.

A rule's signature is the operator's schema: inputs in ONNX order (None when absent), attributes as keyword-only
arguments under their ONNX names, with ONNX's defaults. An attribute that the signature does not name is refused. Where
an operator took as attribute what is an input today, the attribute arrives under its name with `_` added: `axes_`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol, TypeVar

import numpy as np

from edgernn.layers.base import Array, Layer, Shape


@dataclass(frozen=True, eq=False)
class Value:
    """A value of the ONNX graph while it is imported, with batch = 1.

    `shape` is what one evaluation holds of it: the time axis, where there is one, counts the steps in it, mostly 1.
    `const` holds constants; one with a time axis is the same in every step (it counts 1), one of shape arithmetic may
    hold symbols (see `Importing.length`). A value that is neither constant nor has a time axis is one thing an
    evaluation: in a step graph anything, in a sequence graph what no longer has time. `final` marks what depends on the
    last step of a sequence (Y_h, or the last slice): while streaming that is "now", so it must not flow back into
    values that have a time axis.

    Of a sequence: `length`: how many steps it has in all; `delay`: how many steps late it comes (see `rhythm`); `past`
    and `ahead`: how many frames before and after its own each step is made of; `front`: the number that it begins with
    where its delay is negative; `begins`: for each of its first few steps the later one that it repeats.
    """

    name: str
    shape: Shape
    time: int | None = None
    const: Array | None = None
    dtype: Any = np.float32
    final: bool = False
    delay: int = 0
    length: Any = None
    past: int = 0
    ahead: int = 0
    front: float = 0.0
    begins: tuple[int, ...] = ()

    def like(self, x: Value) -> Value:
        """The same value in the rhythm of another one."""
        paced = replace(self, delay=x.delay, length=x.length, past=x.past, ahead=x.ahead)
        return replace(paced, front=x.front, begins=x.begins)

    def untimed(self) -> Value:
        """The same value as one thing an evaluation."""
        return replace(self, time=None)


class Importing(Protocol):
    """What a rule may ask of the importer."""

    @property
    def opset(self) -> int:
        """The version of the default operator set in the file."""

    @property
    def length(self) -> Any:
        """How many frames there are: a number, or a symbol that adds, multiplies, divides and compares like one."""

    @property
    def hop(self) -> int:
        """How many frames an evaluation takes."""

    @property
    def ended(self) -> set[int]:
        """After how many evaluations sequences end, of a length that is no whole number of them: it must be one."""

    def widen(self, factor: int) -> NoReturn:
        """Begin the import again, with so many times more frames an evaluation."""

    def has_room(self, shape: Shape) -> bool:
        """Whether the graph may hold so many numbers more; they are counted."""

    @property
    def has_time(self) -> bool:
        """Whether some input of the graph has a time axis."""

    def add(self, layer: Layer, *inputs: Value, time: int | None = None, dtype: Any = np.float32) -> tuple[Value, ...]:
        """Add a node; constants among the inputs become Constant layers. `time` is the time axis of every output.

        With it, the inputs that have time are combined step by step: they are brought to one delay.
        """

    def constant(self, values: Array, time: int | None = None, length: Any = None) -> Value:
        """A constant, to hand to `add` or to return; with `time`, its time axis counts 1, for `length` steps or all."""

    def carry(self, initial: Array) -> Value:
        """A new state: the value to read; `close` says what replaces it."""

    def close(self, state: Value, source: Value, over: Value | None = None) -> None:
        """Replace `state` by `source` at the end of each evaluation, once the steps of `over` have begun."""

    def clock(self) -> Value:
        """How many evaluations there have been before this one, (1,)."""

    def carries(self, x: Value) -> bool:
        """Whether a cell that is fed x and starts from a constant goes on from frame to frame.

        Otherwise each frame starts anew: in a graph whose states are explicit, or after the time axis has gone.
        """

    def inside(self, what: str, remedy: str) -> None:
        """Note that a cell runs inside a frame: what refuses the graph where no other goes on from frame to frame."""

    def starts(self, initial: Value, last: Value, over_time: bool) -> None:
        """A cell starts from a computed `initial` and leaves `last`; over time, a state must lead back there."""

    def token(self, x: Value, vocabulary: int) -> tuple[Value, Array]:
        """(the integers that an input port takes, which of them each number of x is); refused where x is else."""

    def is_token(self, x: Value, vocabulary: int) -> bool:
        """Whether x is the one integer that an input port takes, for tokens up to this vocabulary, and nothing else."""

    def note(self, text: str) -> None:
        """Something that stops nothing but should be known."""

    def taint(self, x: Value, what: str, remedy: str = "") -> None:
        """Give up on every output that needs x, and on nothing else."""

    def refuse(self, what: str, remedy: str = "") -> NoReturn:
        """Give up on this node. The importer goes on, to report all problems at once."""


Rule = Callable[..., Value | tuple[Value | None, ...]]
R = TypeVar("R", bound=Rule)
RULES: dict[str, Rule] = {}


def rule(*operators: str) -> Callable[[R], R]:
    """Register a rule for these ONNX operators. A parameter `operator` gets the name, `outputs` how many there are."""

    def register(function: R) -> R:
        for operator in operators:
            if operator in RULES:
                raise ValueError(f"two rules for {operator}")
            RULES[operator] = function
        return function

    return register
