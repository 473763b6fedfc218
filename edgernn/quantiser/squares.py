"""Which values are squares: power spectra and energies, whose numbers span twice the decibels of what they came from.

Eight bits hold 42 dB below the largest number of a vector, sixteen 90 dB. Speech has more than 42 dB between its bands
already, its power twice as much; so a product that reads squares loses all but the loudest band with 8-bit
activations, and its quiet bands with 16-bit ones (the shipped speech model then keeps 7 dB and 40 dB). It stays in
float.
"""

from __future__ import annotations

from edgernn.layers.join import Join
from edgernn.layers.model import Model, Node
from edgernn.layers.pointwise import Combine, Map
from edgernn.layers.reshape import Reshape
from edgernn.layers.take import Take


def squares(model: Model) -> set[str]:
    """The names of all values that are squares, or squares moved about or added up."""
    found: set[str] = set()
    for node in model.nodes:
        if _squares(node) or (_moves_or_adds(node) and all(name in found for name in node.inputs)):
            found.update(node.outputs)
    return found


def _squares(node: Node) -> bool:
    if isinstance(node.layer, Combine):
        return node.layer.operation == "mul" and node.inputs[0] == node.inputs[1]
    return isinstance(node.layer, Map) and node.layer.function == "pow" and node.layer.alpha == 2


def _moves_or_adds(node: Node) -> bool:
    if isinstance(node.layer, Combine):
        return node.layer.operation == "add"
    return isinstance(node.layer, (Join, Reshape, Take))
