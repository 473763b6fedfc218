"""Numbered: values under short names, since a model file tells each of them several times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from edgernn.layers.model import Model


def numbered(model: Model) -> Model:
    """The model with what its nodes make called by their places: 7, 7.1, ...; ports, states and nodes keep their names.

    A place that is a port's or state's name gets dots behind it.
    """
    names = dict(_names(model))

    def called(values: Iterable[str]) -> tuple[str, ...]:
        return tuple(names.get(value, value) for value in values)

    return replace(
        model,
        outputs=tuple(replace(port, value=names.get(port.value, port.value)) for port in model.outputs),
        states=tuple(replace(state, source=names.get(state.source, state.source)) for state in model.states),
        nodes=tuple(replace(node, inputs=called(node.inputs), outputs=called(node.outputs)) for node in model.nodes),
    )


def _names(model: Model) -> Iterator[tuple[str, str]]:
    """(value, its new name) for all that nodes make."""
    taken = {port.value for port in model.inputs} | {state.name for state in model.states}
    for place, node in enumerate(model.nodes):
        for i, value in enumerate(node.outputs):
            name = f"{place}.{i}" if i else f"{place}"
            while name in taken:
                name += "."
            taken.add(name)
            yield value, name
