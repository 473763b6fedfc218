"""Binding: hands a node's inputs and attributes to the rule's parameters of the same meaning."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from edgernn.importer.file.graph import Operator
from edgernn.layers.rules import Importing, Rule, Value

POSITIONAL, VARIADIC, NAMED = (
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY,
)
ABSENT = inspect.Parameter.empty


@dataclass(frozen=True)
class Schema:
    """What a rule's signature says."""

    inputs: tuple[str, ...]  # in ONNX order
    needed: int  # how many of them there must be
    variadic: bool  # any number of inputs, of which none may be missing
    attributes: frozenset[str]
    required: tuple[str, ...]  # attributes without a default
    single: frozenset[str]  # attributes that are one number or text
    told: tuple[str, ...]  # of "operator" and "outputs", what the rule wants to know


@cache
def _schema(rule: Rule) -> Schema:
    parameters = list(inspect.signature(rule).parameters.values())[1:]  # the first one is the importer
    positional = [p for p in parameters if p.kind is POSITIONAL]
    needed = sum(p.default is ABSENT for p in positional)
    named = {p.name: p for p in parameters if p.kind is NAMED}
    told = tuple(name for name in ("operator", "outputs") if name in named)
    attributes = {name: p for name, p in named.items() if name not in told}
    return Schema(
        tuple(p.name for p in positional),
        needed,
        any(p.kind is VARIADIC for p in parameters),
        frozenset(attributes),
        tuple(name for name, p in attributes.items() if p.default is ABSENT),
        frozenset(name for name, p in attributes.items() if isinstance(p.default, (int, float, str))),
        told,
    )


def apply(rule: Rule, g: Importing, operator: Operator, inputs: Sequence[Value | None]) -> tuple[Value | None, ...]:
    """What the rule makes of a node. What its signature does not name is refused."""
    schema = _schema(rule)
    _check_inputs(g, schema, inputs)
    made = rule(g, *inputs, **_attributes(g, schema, operator))
    outputs = made if isinstance(made, tuple) else (made,)
    if any(operator.outputs[len(outputs) :]):
        g.refuse(f"its output number {len(outputs) + 1} is not supported")
    return outputs


def _check_inputs(g: Importing, schema: Schema, inputs: Sequence[Value | None]) -> None:
    if schema.variadic:
        if not inputs or None in inputs:
            g.refuse("an input is missing")
        return
    if len(inputs) > len(schema.inputs):
        g.refuse(f"has {len(inputs)} inputs; at most {len(schema.inputs)} are supported")
    for place, name in enumerate(schema.inputs[: schema.needed]):
        if place >= len(inputs) or inputs[place] is None:
            g.refuse(f"its input {name} is missing")


def _attributes(g: Importing, schema: Schema, operator: Operator) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in operator.attributes.items():
        parameter = name if name in schema.attributes else f"{name}_"
        if parameter not in schema.attributes:
            g.refuse(f"its attribute {name}={value} is not supported", "export without it")
        if parameter in schema.single and not isinstance(value, (int, float, str)):
            g.refuse(f"its attribute {name} is {value!r:.60}, where one number or text is expected")
        given[parameter] = value
    for name in schema.required:
        if name not in given:
            g.refuse(f"its attribute {name.rstrip('_')} is missing")
    for name in schema.told:
        given[name] = operator.kind if name == "operator" else len(operator.outputs)
    return given
