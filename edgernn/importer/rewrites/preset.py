"""Preset: inputs that are taken as constants and free dimensions that are given a size, as the user says.

A free dimension goes by its name, one without a name by its input and axis: `input:1`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from edgernn.errors import BadInput, BadModelFile, Problem
from edgernn.importer.file.graph import Dim, Graph, Input
from edgernn.importer.file.nodes import nodes_in
from edgernn.importer.file.read import array_of
from edgernn.importer.states.trace import reached
from edgernn.importer.walk.steps import OfStep
from edgernn.layers.base import Array, volume
from edgernn.layers.model import Node
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Value

LARGEST = 1 << 25  # numbers in one input
# what hands a number on unchanged, and what compares it
HANDING = {"Cast", "Gather", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
COMPARING = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}


def preset(graph: Graph, constants: Mapping[str, Any]) -> Graph:
    """The graph with these inputs as constants and these free dimensions of that size.

    Raises BadInput for a name that the graph does not have, and for a value that does not fit.
    """
    if not constants:
        return graph
    optional = [Input(name, a.dtype, a.shape) for name, a in graph.defaults.items() if name in constants]
    names = [given.name for given in (*graph.inputs, *optional)]
    sizes = {name: value for name, value in constants.items() if name not in names}
    free = free_dimensions(graph)
    for name in sizes.keys() - set(free):
        known = f"inputs: {_listed(names)}; free dimensions: {_listed(free)}"
        raise BadInput(f"the graph has no input and no free dimension '{name}' to set ({known})")
    inputs = tuple(_sized(given, sizes) for given in (*graph.inputs, *optional))
    arrays = {given.name: _array(given, constants[given.name]) for given in inputs if given.name in constants}
    noted = {name: np.asarray(value).tolist() for name, value in constants.items()}
    return replace(
        graph,
        inputs=tuple(given for given in inputs if given.name not in arrays),
        constants={**graph.constants, **arrays},
        defaults={name: array for name, array in graph.defaults.items() if name not in arrays},
        origin={**graph.origin, "constants": noted},
    )


def dimension(name: str, axis: int, size: Any) -> str:
    """What a free dimension at this axis of an input goes by; `size` is what the file calls it, if anything."""
    return size if isinstance(size, str) and size != f"axis {axis}" else f"{name}:{axis}"


def free_dimensions(graph: Graph) -> list[str]:
    """What the free dimensions of the inputs go by."""
    return sorted({dimension(given.name, axis, n) for given, axis, n in _free(graph)})


def _free(graph: Graph) -> list[tuple[Input, int, Dim]]:
    return [(given, axis, n) for given in graph.inputs for axis, n in enumerate(given.dims or ()) if isinstance(n, str)]


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"


def _sized(given: Input, sizes: Mapping[str, Any]) -> Input:
    """An input with those of its free dimensions filled in that are given a size."""
    dims: list[Dim] = []
    for axis, n in enumerate(given.dims or ()):
        name = dimension(given.name, axis, n)
        size = sizes.get(name, n) if isinstance(n, str) else n
        if name in sizes and (not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1):
            raise BadInput(f"the dimension '{name}' is set to {size!r}: a whole number from 1 on expected")
        dims.append(size)
    return given if given.dims is None else replace(given, dims=tuple(dims))


def _array(given: Input, value: Any) -> Array:
    """What an input is set to, in its dtype and shape; a single number fills the whole input."""
    dtype = np.dtype(given.dtype)
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise BadInput(f"the input '{given.name}' is set to {value!r}: a number expected")
    made = array.astype(dtype)
    if dtype.kind != "f" and not np.array_equal(made, array):
        raise BadInput(f"the input '{given.name}' is set to {value!r}, but it takes {dtype.name}")
    if given.dims is None:
        return made
    shape = tuple(1 if isinstance(n, str) else n for n in given.dims)
    fits = made.ndim == len(shape) and all(
        isinstance(n, str) or n == m for n, m in zip(given.dims, made.shape, strict=True)
    )
    if fits:
        return made
    if made.size != 1 or volume(shape) > LARGEST:
        raise BadInput(f"the input '{given.name}' is set to an array {list(made.shape)}; {list(given.dims)} expected")
    return np.full(shape, made.reshape(()), dtype)


def about_sizes(problems: Iterable[Problem]) -> bool:
    """Whether the size of a free dimension might solve one of these."""
    return any("fit" in problem.what or "in time" in problem.what for problem in problems)


def unsized(graph: Graph, times: Mapping[str, int | None]) -> list[Problem]:
    """What to try where a graph with several inputs fails with this reading of time, and has free dimensions."""
    names = {dimension(given.name, axis, n): times.get(given.name) == axis for given, axis, n in _free(graph)}
    if len(graph.inputs) < 2 or not names:
        return []
    read = (f"'{name}' was taken as time" if timed else f"'{name}' counts as 1" for name, timed in names.items())
    remedy = "set the one that is the size of a frame: --set NAME=SIZE"
    return [Problem("graph", "", f"has free dimensions: {', '.join(read)}", remedy)]


def misfit(graph: Graph, error: Exception) -> tuple[str, str]:
    """(what is wrong with a node that raises this error, what to try): where sizes do not fit together, another one."""
    if isinstance(error, OfStep):
        return str(error), f"export without it; or {WINDOW}"
    what = f"does not fit together: {str(error) or type(error).__name__}"
    if names := free_dimensions(graph):
        free = f"free dimensions ({', '.join(names)}) count as 1 where they are not time"
        return what, f"{free}: set the size of one with --set NAME=SIZE, or export with fixed sizes"
    return what, "check the file with onnx.checker"


def unset(graph: Graph, nodes: Sequence[Node], ports: Sequence[str], read: Sequence[Value]) -> str:
    """What the user can set where a node reads what only single whole numbers or truth values decide; else ''."""
    found = reached(nodes, ports)
    for value in read:
        names = sorted(name for place, name in enumerate(ports) if found.get(value.name, 0) >> place & 1)
        advices = [advice(graph, name) for name in names]
        if advices and all(advices) and value.time is None and len(names) < len(ports):
            return "; ".join(advices)
    return ""


def advice(graph: Graph, name: str) -> str:
    """How to set an input, where it is a single whole number or truth value; else ''."""
    given = next(given for given in graph.inputs if given.name == name)
    if np.dtype(given.dtype).kind not in "biu" or any(n != 1 for n in given.dims or ()):
        return ""
    values = compared(graph, name)
    seen = f" (the graph compares it with {_listed(map(str, values))})" if values else ""
    example = values[0] if values else "VALUE"
    return f"if '{name}' is the same in every call, say what it is: --set {name}={example}{seen}"


def otherwise(graph: Graph, name: str) -> str:
    """What to say where an input is set to a value that the graph compares with others only; else ''."""
    values = compared(graph, name, {"Equal"})
    if not values or np.isin(graph.constants.get(name, values), values).all():
        return ""
    return (
        f"'{name}' is set to {graph.constants[name].reshape(-1)[0]}, and the graph compares it with "
        f"{_listed(map(str, values))} only: what it holds for any other value was taken"
    )


def compared(graph: Graph, name: str, kinds: Collection[str] = COMPARING) -> list[Any]:
    """The constants that the graph compares this input with, by operators of these kinds, in subgraphs too."""
    bodies = [v for o in graph.operators for v in o.attributes.values() if isinstance(v, onnx.GraphProto)]
    inner = list(nodes_in(bodies))
    held = {o.outputs[0]: o.attributes.get("value") for o in graph.operators if o.kind == "Constant"}
    constants = {**graph.constants, **held, **{y: _number(n) for n in inner for y in n.output[:1]}}
    nodes = [(o.kind, o.inputs, o.outputs) for o in graph.operators]
    nodes += [(n.op_type, tuple(n.input), tuple(n.output)) for n in inner]
    same: set[str] = {name}
    for kind, inputs, outputs in nodes:
        if kind in HANDING and inputs and inputs[0] in same:
            same.update(outputs)
    found = {x for kind, inputs, _ in nodes if kind in kinds and not same.isdisjoint(inputs) for x in inputs} - same
    arrays = [array for x in found if isinstance(array := constants.get(x), np.ndarray) and array.size == 1]
    return sorted({array.reshape(-1)[0].item() for array in arrays})


def _number(node: onnx.NodeProto) -> Array | None:
    """What a Constant node holds, where that is a sound tensor of one number."""
    if node.op_type != "Constant":
        return None
    tensors = [attribute.t for attribute in node.attribute if attribute.name == "value" and attribute.HasField("t")]
    try:
        return array_of(tensors[0]) if tensors and volume(tuple(tensors[0].dims)) == 1 else None
    except (BadModelFile, ValueError, TypeError, KeyError):
        return None
