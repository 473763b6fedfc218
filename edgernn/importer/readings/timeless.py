"""Timeless: inputs of a graph that have no time, whatever their shapes look like.

Their numbers go nowhere but to where cells start, or to how many steps each sequence of a batch has.
"""

from __future__ import annotations

from edgernn.importer.file.graph import Graph

Reader = tuple[str, int, tuple[str, ...]]  # operator, which of its inputs, its outputs
TIMELESS = {"RNN": (4, 5), "GRU": (4, 5), "LSTM": (4, 5, 6)}  # sequence_lens, initial_h, initial_c
MOVING = {"Cast", "Expand", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}


def timeless(graph: Graph) -> set[str]:
    """The names of these inputs."""
    readers: dict[str, list[Reader]] = {}
    for operator in graph.operators:
        reads = [*enumerate(operator.inputs), *((-1, name) for name in operator.captured)]
        for place, name in reads:
            readers.setdefault(name, []).append((operator.kind, place, operator.outputs))
    known = dict.fromkeys(graph.outputs, False)
    for operator in reversed(graph.operators):
        for name in operator.outputs:
            known.setdefault(name, _is_timeless(readers.get(name, []), known))
    return {given.name for given in graph.inputs if _is_timeless(readers.get(given.name, []), known)}


def _is_timeless(readers: list[Reader], known: dict[str, bool]) -> bool:
    """Whether all that reads a value is of that kind, or moves it to where that is so."""

    def does(kind: str, place: int, outputs: tuple[str, ...]) -> bool:
        moved = kind in MOVING and place == 0 and all(known.get(name, False) for name in outputs if name)
        return moved or place in TIMELESS.get(kind, ())

    return bool(readers) and all(does(*reader) for reader in readers)
