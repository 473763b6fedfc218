"""Binding: hands a node's inputs and attributes to the rule's parameters of the same meaning."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

from edgernn.importer.graph import Operator
from edgernn.layers.rules import Importing, Rule, Value

POSITIONAL, VARIADIC, NAMED = (
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY,
)


@cache
def _parameters(rule: Rule) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(rule).parameters.values())[1:]  # the first one is the importer


def apply(rule: Rule, g: Importing, operator: Operator, inputs: Sequence[Value | None]) -> tuple[Value | None, ...]:
    """What the rule makes of a node. What its signature does not name is refused."""
    parameters = _parameters(rule)
    _check_inputs(g, parameters, inputs)
    made = rule(g, *inputs, **_attributes(g, parameters, operator))
    outputs = made if isinstance(made, tuple) else (made,)
    if any(name for name in operator.outputs[len(outputs) :]):
        g.refuse(f"its output number {len(outputs) + 1} is not supported")
    return outputs


def _check_inputs(g: Importing, parameters: Sequence[inspect.Parameter], inputs: Sequence[Value | None]) -> None:
    if any(p.kind is VARIADIC for p in parameters):
        if not inputs or any(x is None for x in inputs):
            g.refuse("an input is missing")
        return
    named = [p for p in parameters if p.kind is POSITIONAL]
    if len(inputs) > len(named):
        g.refuse(f"has {len(inputs)} inputs; at most {len(named)} are supported")
    for place, parameter in enumerate(named):
        absent = place >= len(inputs) or inputs[place] is None
        if absent and parameter.default is inspect.Parameter.empty:
            g.refuse(f"its input {parameter.name} is missing")


def _attributes(g: Importing, parameters: Sequence[inspect.Parameter], operator: Operator) -> dict[str, Any]:
    named = {p.name: p for p in parameters if p.kind is NAMED}
    given: dict[str, Any] = {}
    for name, value in operator.attributes.items():
        parameter = name if name in named else f"{name}_"
        if parameter not in named or parameter in ("operator", "outputs"):
            g.refuse(f"its attribute {name}={value} is not supported")
        given[parameter] = value
    if "operator" in named:
        given["operator"] = operator.kind
    if "outputs" in named:
        given["outputs"] = len(operator.outputs)
    for name, declared in named.items():
        if name not in given and declared.default is inspect.Parameter.empty:
            g.refuse(f"its attribute {name.rstrip('_')} is missing")
    return given
