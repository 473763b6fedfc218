"""Work: how much all walks over a graph have done together, so that a small file cannot ask for minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgernn.errors import Problem, UnsupportedModel

if TYPE_CHECKING:
    from edgernn.importer.file.graph import Operator

WALKED = (
    30_000  # inputs and operators looked at, and layers made, in all readings of a graph; the last one may go past it
)
MOST_LAYERS = 45_000  # in one walk: the two loops of a bidirectional Keras GRU over a window of 4,096 make 40,000
MOST_STREAMED = 30_000  # in a stream, before any are joined: they would not be so many fewer that a file can hold them
LARGE = 15_000  # of WALKED: after so much only another reading that may help is begun
UNKNOWN = "this operator is not supported"
MOST_PROBLEMS = 1000  # after which a walk stops
Outside = dict[int, tuple[object, frozenset[str]]]  # subgraph, by identity: itself, and what it reads from outside


@dataclass
class Work:
    """What has been done so far."""

    done: int = 0  # inputs and operators looked at, and layers made
    # subgraphs that have been read, by identity: the subgraph itself (so that it stays), its weights and its operators
    bodies: dict[int, tuple[object, dict[str, Any], list[Operator]]] = field(default_factory=dict)
    outside: Outside = field(default_factory=dict)
    # the operators of a graph that read each value, by identity of all of them: these (so that they stay), and those
    readers: dict[int, tuple[tuple[Operator, ...], dict[str, list[Operator]]]] = field(default_factory=dict)
    # the operators of such a subgraph that make certain values of certain others, in their order
    orders: dict[tuple[int, tuple[str, ...], frozenset[str]], tuple[Operator, ...]] = field(default_factory=dict)

    @property
    def much(self) -> bool:
        """Whether no further reading should be begun."""
        return self.done > WALKED

    def reading(self, operators: tuple[Operator, ...]) -> dict[str, list[Operator]]:
        """The operators that read each value; those within subgraphs count as the one that holds them."""
        if id(operators) not in self.readers:
            found: dict[str, list[Operator]] = {}
            for operator in operators:
                for name in dict.fromkeys(operator.reads):
                    found.setdefault(name, []).append(operator)
            self.readers[id(operators)] = operators, found
        return self.readers[id(operators)][1]

    def hopeless(self, problems: Sequence[Problem]) -> bool:
        """Whether a large graph has operators that no reading knows, and nothing else that is wrong."""
        return self.done > LARGE and bool(problems) and all(problem.what == UNKNOWN for problem in problems)

    def make(self, count: int, operator: Operator) -> None:
        """One more layer in a walk that has made so many. Raises UnsupportedModel where that is too many."""
        self.done += 1
        if count >= MOST_LAYERS:
            raise too_many_layers(operator.name, operator.kind)


def too_many_layers(name: str, kind: str, most: int | None = None) -> UnsupportedModel:
    """What to raise where this node is one too many."""
    what = f"the graph becomes more than {MOST_LAYERS if most is None else most:,} layers"
    return UnsupportedModel([Problem(name, kind, what, "export a smaller model, or shorter")])
