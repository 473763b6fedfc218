"""Model <-> a JSON description and named tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib import import_module
from typing import Any, get_type_hints

import numpy as np

from edgernn.errors import BadInput, BadModelFile
from edgernn.layers import LAYERS
from edgernn.layers.base import FORMATS, Array, Layer, Matrix, QuantisedMatrix, volume
from edgernn.layers.model import Model, Node, Port, State
from edgernn.modelfile.container import parse_json
from edgernn.modelfile.fields import Mismatch, allows, restore
from edgernn.modelfile.regular import counted, told
from edgernn.modelfile.shared import folded, unfolded
from edgernn.modelfile.weights import restored, stored, tensor

FORMAT = 2  # of the file; number formats are the weights' business
SMALL = np.iinfo(np.int16)  # indices that fit are held so
UNWRITTEN = 1 << 20  # numbers of states that begin with 0 and have no tensor, in all: 4 MB
LARGEST_FRAME = 1 << 26  # numbers in all values of one frame together: 256 MB of float32
RHYTHM = {"hop", "window", "delay", "receptive_field"}
SETTINGS = {"features": ("frontend", "FrontEnd"), "decisions": ("deciding", "Deciding")}  # files and classes in layers
KEYS = {"format", "inputs", "outputs", "states", "nodes", "origin", "hash"}


def encode(model: Model) -> tuple[str, dict[str, Array]]:
    """(JSON text, tensors): what `decode` takes."""
    states, tensors = _states(model)
    described = {
        "format": FORMAT,
        "inputs": [asdict(port) for port in model.inputs],
        "outputs": [asdict(port) for port in model.outputs],
        "states": states,
        "nodes": [_describe(i, node) for i, node in enumerate(model.nodes)],
        "origin": dict(model.origin),
        "hash": model.hash,
        **({"rhythm": model.rhythm} if model.rhythm else {}),
        **({"alphabet": model.alphabet} if model.alphabet else {}),
        **model.settings,
    }
    for i, node in enumerate(model.nodes):
        for name, weight in node.layer.weights():
            if isinstance(weight, QuantisedMatrix):
                tensors |= stored(f"{i}.{name}", weight)
            elif name == "index" and SMALL.min <= weight.min(initial=0) and weight.max(initial=0) <= SMALL.max:
                tensors[f"{i}.{name}"] = weight.astype(np.int16)
            else:
                tensors[f"{i}.{name}"] = weight
    tensors, regular = told(tensors)
    tensors, shared = folded(tensors)
    described |= {key: names for key, names in (("regular", regular), ("shared", shared)) if names}
    return json.dumps(described, sort_keys=True, separators=(",", ":"), allow_nan=False), tensors


def _states(model: Model) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """The states' records, and the first values of those that don't begin with 0 or are too many."""
    records: list[dict[str, Any]] = [{"name": state.name, "source": state.source} for state in model.states]
    tensors, unwritten = {}, 0
    for i, (state, record) in enumerate(zip(model.states, records, strict=True)):
        initial = np.ascontiguousarray(state.initial)
        if initial.view(np.int32).any() or unwritten + initial.size > UNWRITTEN:
            tensors[f"state.{i}"] = state.initial
        else:
            unwritten += initial.size
            record["shape"] = list(state.initial.shape)
    return records, tensors


def _describe(index: int, node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "layer": type(node.layer).__name__,
        "attributes": node.layer.attributes(),
        "inputs": node.inputs,
        **({"outputs": node.outputs} if node.outputs != (str(index),) else {}),
    }


def decode(text: str, tensors: Mapping[str, Array]) -> Model:
    """The model that the text describes; uses every tensor exactly once. Raises BadModelFile."""
    size = len(text) + sum(tensor.nbytes for tensor in tensors.values())
    described = parse_json(text, "description", size)
    _check_format(described.get("format"))
    rhythm = _rhythm(described.pop("rhythm", {}))
    alphabet = _field(str, described.pop("alphabet", ""), "alphabet")
    given = {key: described.pop(key) for key in SETTINGS if key in described}
    left = counted(unfolded(tensors, described.pop("shared", {})), described.pop("regular", {}))
    _check_keys(described, KEYS, "the description")
    try:
        model = Model(
            tuple(_port(port, f"input {i}") for i, port in enumerate(_list(described, "inputs"))),
            tuple(_port(port, f"output {i}") for i, port in enumerate(_list(described, "outputs"))),
            _restored_states(_list(described, "states"), left),
            tuple(_node(i, node, left) for i, node in enumerate(_list(described, "nodes"))),
            _origin(described["origin"]),
            **rhythm,
            alphabet=alphabet,
            frontend=_settings(given, "features"),
            deciding=_settings(given, "decisions"),
        )
    except BadModelFile:
        raise
    except BadInput as error:  # settings that cannot be, or do not fit the graph
        raise BadModelFile(str(error)) from None
    except Exception as error:  # whatever a layer makes of weights and attributes that do not fit it
        raise BadModelFile(f"the graph is not well formed: {error}") from None
    if left:
        raise BadModelFile(f"tensor '{min(left)}' belongs to no layer")
    _check_model(model, described["hash"])
    return model


def _check_format(version: object) -> None:
    if type(version) is not int or version < 1:
        raise BadModelFile(f"format {version!r}: a number from 1 expected")
    if version > FORMAT:
        raise BadModelFile(f"written in format {version}, this edgernn reads up to {FORMAT}: upgrade edgernn")


def _check_model(model: Model, stated: object) -> None:
    if len({port.name for port in model.inputs}) < len(model.inputs):
        raise BadModelFile("two inputs have one name")
    if len({port.name for port in model.outputs}) < len(model.outputs):
        raise BadModelFile("two outputs have one name")
    if min((n for shape in model.shapes.values() for n in shape), default=0) < 0:
        raise BadModelFile("a value has a negative size")
    if sum(map(volume, model.shapes.values())) > LARGEST_FRAME:
        raise BadModelFile(f"one frame takes more than {LARGEST_FRAME} numbers")
    if model.hash != stated:
        raise BadModelFile("the file was altered: its hash is not that of the model in it")


def _rhythm(record: object) -> dict[str, int]:
    """hop, window, delay and receptive field, as far as they are given."""
    if not isinstance(record, dict) or not record.keys() <= RHYTHM:
        raise BadModelFile(f"'rhythm' holds {record!r}: {', '.join(sorted(RHYTHM))} expected")
    for name, n in record.items():
        if type(n) is not int or not 0 <= n <= LARGEST_FRAME:
            raise BadModelFile(f"'{name}' is {n!r}: a whole number expected")
    return record


def _settings(given: Mapping[str, Any], key: str) -> Any:
    """The settings under this key, if it is there; all of them, so that no default can change what a file means."""
    if key not in given:
        return None
    file, kind = SETTINGS[key]
    made = getattr(import_module(f"edgernn.layers.{file}"), kind).from_settings(given[key])
    if given[key] != made.settings():
        raise BadModelFile(f"'{key}' is not whole: {', '.join(made.settings())} expected")
    return made


def _check_keys(record: object, expected: set[str], what: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise BadModelFile(f"{what} is not a JSON object")
    if record.keys() != expected:
        wrong = sorted(record.keys() ^ expected)[0]
        raise BadModelFile(f"{what} {'lacks' if wrong in expected else 'has an unknown'} key '{wrong}'")
    return record


def _list(described: Mapping[str, Any], key: str) -> list[Any]:
    value = described[key]
    if not isinstance(value, list):
        raise BadModelFile(f"'{key}' is not a list")
    return value


def _origin(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadModelFile("'origin' is not a JSON object")
    return value


def _port(value: object, what: str) -> Port:
    hints = get_type_hints(Port)
    record = _check_keys(value, set(hints), what)
    port = Port(**{name: _field(hint, record[name], f"{what}, {name}") for name, hint in hints.items()})
    tokens = port.dtype == "int64" and port.size >= 1 and port.low <= port.high and what.startswith("input")
    least = int(what.startswith("input"))  # an answer may be empty
    if not tokens and (port.dtype != "float32" or port.size < least):
        raise BadModelFile(
            f"port '{port.name}' is neither of float32 numbers nor, as an input, of tokens within bounds"
        )
    return port


def _field(hint: Any, value: object, what: str) -> Any:
    try:
        return restore(hint, value)
    except Mismatch as error:
        raise BadModelFile(f"{what}: {error}") from None


def _restored_states(values: list[Any], left: dict[str, Array]) -> tuple[State, ...]:
    states, unwritten = [], 0
    for i, value in enumerate(values):
        keys = {"name", "source"} | ({"shape"} if isinstance(value, dict) and "shape" in value else set())
        record = _check_keys(value, keys, f"state {i}")
        name, source = (_field(str, record[key], f"state {i}, {key}") for key in ("name", "source"))
        if "shape" in record:
            shape = _field(tuple[int, ...], record["shape"], f"state {i}, shape")
            unwritten += volume(shape)
            if min(shape, default=0) < 0 or unwritten > UNWRITTEN:
                raise BadModelFile(f"state {i} is of shape {shape}: {UNWRITTEN} numbers without a tensor at most")
            states.append(State(name, source, _fixed(np.zeros(shape, np.float32))))
        else:
            states.append(State(name, source, _take(left, f"state.{i}", "float32")))
    return tuple(states)


def _node(index: int, value: object, left: dict[str, Array]) -> Node:
    held = {"outputs": [str(index)], **value} if isinstance(value, dict) else value
    record = _check_keys(held, {"name", "layer", "attributes", "inputs", "outputs"}, f"node {index}")
    name, layer = (_field(str, record[key], f"node {index}, {key}") for key in ("name", "layer"))
    inputs, outputs = (_field(tuple[str, ...], record[key], f"node '{name}', {key}") for key in ("inputs", "outputs"))
    if layer not in LAYERS:
        raise BadModelFile(f"node '{name}' is of a layer '{layer}' that this edgernn does not know")
    return Node(name, _layer(LAYERS[layer], index, name, record["attributes"], left), inputs, outputs)


def _layer(kind: type[Layer], index: int, node: str, attributes: object, left: dict[str, Array]) -> Layer:
    if not isinstance(attributes, dict):
        raise BadModelFile(f"node '{node}': attributes is not a JSON object")
    hints, attributes = get_type_hints(kind), dict(attributes)
    values: dict[str, Any] = {}
    for name in (field.name for field in fields(kind)):
        weight = _weight(left, f"{index}.{name}", kind, name) if allows(hints[name], Array) else None
        if weight is not None:
            values[name] = weight
        elif name in attributes:
            values[name] = _field(hints[name], attributes.pop(name), f"node '{node}', {name}")
        elif allows(hints[name], None):
            values[name] = None
        else:
            raise BadModelFile(f"node '{node}' lacks '{name}'")
    if attributes:
        raise BadModelFile(f"node '{node}' has an unknown attribute '{min(attributes)}'")
    return kind(**values)


def _weight(left: dict[str, Array], name: str, kind: type[Layer], field: str) -> Matrix | None:
    quantisable = field in kind.quantisable
    if name in left:
        if quantisable and left[name].dtype == np.float16:
            return _take(left, name, "float16")
        if field == "index" and left[name].dtype == np.int16:
            return _fixed(_take(left, name, "int16").astype(np.int32))
        return _take(left, name, "int32" if field == "index" else "float32")
    format = next((format for format in FORMATS if f"{name}.{tensor(format)}" in left), None)
    if format is None or not quantisable:
        return None
    return restored(name, format, f"{name}.reach" in left, lambda name, dtype: _take(left, name, dtype))


def _fixed(array: Array) -> Array:
    """`array`, which can't be changed from now on, as the tensors of a file can't."""
    array.flags.writeable = False
    return array


def _take(left: dict[str, Array], name: str, dtype: str) -> Array:
    if name not in left:
        raise BadModelFile(f"tensor '{name}' is missing")
    tensor = left.pop(name)
    if tensor.dtype != dtype:
        raise BadModelFile(f"tensor '{name}' is {tensor.dtype}; {dtype} expected")
    return tensor
