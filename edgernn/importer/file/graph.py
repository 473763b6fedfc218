"""Graph: an ONNX graph as plain Python: nodes in topological order, constants as arrays, nothing dead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edgernn.errors import BadModelFile
from edgernn.importer.file.work import Work
from edgernn.layers.base import Array

if TYPE_CHECKING:
    from edgernn.importer.file.evaluate import Folder

Dim = int | str  # a number, or the name of a free dimension


@dataclass(frozen=True)
class Input:
    """An input of the graph. `dims` is None when the file does not say its shape.

    `counts`: it says how many frames there are (see `lengths`).
    """

    name: str
    dtype: Any
    dims: tuple[Dim, ...] | None
    counts: bool = False


@dataclass(frozen=True)
class Operator:
    """One node of the graph; absent inputs and outputs are ''. `captured`: what its subgraphs read from outside."""

    name: str
    kind: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    captured: tuple[str, ...] = ()

    @property
    def reads(self) -> list[str]:
        """Every value that must be known first."""
        return [name for name in (*self.inputs, *self.captured) if name]


@dataclass(frozen=True)
class Graph:
    """What a file holds.

    `folder` works out constants, within what a file of this size may ask for. `defaults`: inputs that need not be
    given, which stand among the constants at first. `work`: what all walks over the graph have cost. `alphabet`: what
    its metadata says that tokens stand for.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    operators: tuple[Operator, ...]
    constants: Mapping[str, Array]
    opset: int
    origin: Mapping[str, Any]
    folder: Folder
    defaults: Mapping[str, Array] = field(default_factory=dict)
    work: Work = field(default_factory=Work)
    alphabet: str = ""


def ordered(operators: Iterable[Operator], known: Iterable[str], outputs: Iterable[str]) -> tuple[Operator, ...]:
    """The operators that the outputs need, each after those that it reads; what nobody reads has no name.

    Raises BadModelFile for cycles, and for values that are made twice or not at all.
    """
    makers: dict[str, Operator] = {}
    defined = set(known)
    for operator in operators:
        for name in filter(None, operator.outputs):
            if name in makers or name in defined:
                raise BadModelFile(f"the value '{name}' is made twice; export the model again")
            makers[name] = operator
    done: list[Operator] = []
    placed: set[int] = set()
    for output in outputs:
        _place(output, makers, defined, placed, done)
    read = {*outputs, *(name for operator in done for name in operator.reads)}
    return tuple(
        o if read.issuperset(o.outputs) else replace(o, outputs=tuple(n if n in read else "" for n in o.outputs))
        for o in done
    )


def _place(
    output: str, makers: Mapping[str, Operator], defined: set[str], placed: set[int], done: list[Operator]
) -> None:
    """Append what makes `output`, and before it what that reads: depth first, without recursion."""
    open_ids: set[int] = set()
    stack = [output]
    while stack:
        name = stack[-1]
        maker = makers.get(name)
        if name in defined or (maker is not None and id(maker) in placed):
            stack.pop()
        elif maker is None:
            raise BadModelFile(f"nothing makes the value '{name}' that the graph reads; export the model again")
        elif id(maker) in open_ids:
            if any(n not in defined and id(makers.get(n)) not in placed for n in maker.reads):
                raise BadModelFile(f"the graph has a cycle through '{name}'; export the model again")
            placed.add(id(maker))
            done.append(maker)
            stack.pop()
        else:
            open_ids.add(id(maker))
            stack.extend(reversed(maker.reads))
