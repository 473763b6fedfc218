"""Unknown: operators that nothing in the importer knows, whatever they read."""

from __future__ import annotations

from edgernn.importer.file.evaluate import FOLDABLE
from edgernn.importer.file.graph import Operator
from edgernn.importer.file.work import UNKNOWN
from edgernn.importer.rewrites.lists import LISTED
from edgernn.layers.rules import RULES

INSTEAD = "write it with other operators, or export the graph up to it"
ELSEWHERE = {"Constant", "If", "Loop", "Scan", *LISTED}  # what is neither computed of constants nor a layer by a rule


def unknown(operator: Operator) -> tuple[str, str] | None:
    """What is wrong with such an operator and what to do; None for all that may be imported."""
    if operator.domain:
        return f"is an operator of {operator.domain}, not of ONNX", "export without runtime-specific operators"
    kind = operator.kind
    return None if kind in RULES or kind in FOLDABLE or kind in ELSEWHERE else (UNKNOWN, INSTEAD)
