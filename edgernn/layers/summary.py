"""A model as text: layers, shapes, parameters, bytes and multiply-accumulates a frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edgernn.layers.base import Layer, QuantisedMatrix, volume, weights_of
from edgernn.layers.model import Model, Port


class NodeFacts(NamedTuple):
    """What is worth knowing of one node."""

    node: str
    layer: str
    output: str  # shapes
    weights: str  # number format; empty for a layer without weights
    parameters: int
    bytes: int
    macs: int

    def cells(self) -> list[str]:
        """As text, large numbers with commas."""
        return [f"{value:,}" if isinstance(value, int) else value for value in self]


COLUMNS = ("node", "layer", "output", "weights", "parameters", "bytes", "MACs")


def summary(model: Model) -> str:
    """One line a node under a line of columns, and the ports, states and totals below."""
    rows = [COLUMNS, *(row.cells() for row in node_facts(model))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = [
        "  ".join(
            cell.rjust(w) if i > 3 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in [*lines, "", *(f"{name}: {text}" for name, text in facts(model))])


def node_facts(model: Model) -> Iterator[NodeFacts]:
    """Every node that computes or holds weights, under COLUMNS; mere reshapes are left out."""
    for node in model.nodes:
        if type(node.layer).__name__ != "Reshape":
            yield NodeFacts(
                node.name,
                type(node.layer).__name__,
                " ".join("x".join(map(str, model.shapes[name])) or "1" for name in node.outputs),
                number_format(node.layer),
                sum(volume(weight.shape) for weight in weights_of(node.layer)),
                stored_bytes(node.layer),
                node.layer.macs(*(model.shapes[name] for name in node.inputs)),
            )


def facts(model: Model) -> Iterator[tuple[str, str]]:
    """(what, text) of the ports, states and totals."""
    yield "inputs", ", ".join(map(port_text, model.inputs))
    yield "outputs", ", ".join(map(port_text, model.outputs))
    state = sum(volume(s.initial.shape) for s in model.states)
    yield "state", f"{state:,} numbers in {len(model.states)} values"
    yield "parameters", f"{model.parameters:,} in {weight_bytes(model):,} bytes"
    yield "MACs a frame" if model.hop == 1 else f"MACs every {model.hop} frames", f"{model.macs:,}"
    yield "hop, delay", f"{model.hop}, {model.delay} frames"
    if model.alphabet:
        yield "alphabet", repr(model.alphabet)
    if model.receptive_field > 1:
        yield "sees at once", f"{model.receptive_field} frames"
    for what, settings in model.settings.items():
        yield what, ", ".join(f"{name} {setting_text(value)}" for name, value in settings.items() if value != [])


def port_text(port: Port) -> str:
    """What a port takes or gives, in words."""
    if port.dtype == "float32":
        return f"{port.name} ({port.size} number{'s' if port.size > 1 else ''})"
    return f"{port.name} ({f'{port.size} tokens' if port.size > 1 else 'a token'} within {port.low}..{port.high})"


def setting_text(value: object) -> str:
    """A setting in a word or few: of a long list of numbers how many there are, of equal ones the one."""
    if not isinstance(value, list):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if all(item == value[0] for item in value):
        return setting_text(value[0])
    return f"({len(value)} numbers)" if isinstance(value[0], float) and len(value) > 8 else "/".join(map(str, value))


def number_format(layer: Layer) -> str:
    """The format where a weight is quantised, else the dtype of the weights; nothing for a layer without weights."""
    weights = [*weights_of(layer)]
    quantised = (weight.format for weight in weights if isinstance(weight, QuantisedMatrix))
    return next(quantised, next((weight.dtype.name for weight in weights if isinstance(weight, np.ndarray)), ""))


def weight_bytes(model: Model) -> int:
    """Bytes of all weights as the file stores them."""
    return sum(stored_bytes(node.layer) for node in model.nodes)


def stored_bytes(layer: Layer) -> int:
    """Bytes of a layer's weights as the file stores them."""
    return sum(weight.nbytes for weight in weights_of(layer))
