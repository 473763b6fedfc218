"""Mutations: what is done to a good file to make a broken one. All of it follows from the generator given."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, numpy_helper

from edgernn.importer.file.evaluate import FOLDABLE
from edgernn.layers.operators import RULES
from edgernn.modelfile.container import pack, unpack

Rng = np.random.Generator

NUMBERS = (0, 1, -1, 2, 3, 5, 64, 1000, 2**20, 2**31 - 1, -(2**31), 2**40, 2**62, -(2**63), 2**63 - 1)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e38, -1e38, float("inf"), float("nan"), 0.5)
SEAL = "fuzz"  # stands for the hash of a changed model
TYPES = (0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 14, 16, 17, 21, 99)


def pick(rng: Rng, choices: Sequence[Any]) -> Any:
    """One of them."""
    return choices[int(rng.integers(len(choices)))]


def mutated_bytes(rng: Rng, data: bytes) -> bytes:
    """The bytes with a few changed, cut out, doubled or cut off."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 8))):
        at, size = int(rng.integers(len(changed) + 1)), int(rng.integers(1, 64))
        how = rng.integers(6)
        if how < 2 and at < len(changed):
            changed[at] = int(rng.integers(256)) if how else changed[at] ^ (1 << int(rng.integers(8)))
        elif how == 2:
            del changed[at : at + size]
        elif how == 3:
            changed[at:at] = changed[at : at + size]
        elif how == 4:
            changed[at : at + size] = bytes([pick(rng, (0, 1, 127, 128, 255))]) * size
        elif rng.random() < 0.2:
            del changed[at:]
    return bytes(changed)


def mutated_model(rng: Rng, data: bytes) -> bytes:
    """A model file after one to four changes of its description and tensors, with `SEAL` as its hash."""
    text, tensors = unpack(data)
    described = {**json.loads(text), "hash": SEAL}
    for _ in range(int(rng.integers(1, 5))):
        if tensors and rng.random() < 0.4:
            tensors = _other_tensor(rng, tensors)
        else:
            _other_entry(rng, described)
    return pack(json.dumps({**described, "hash": SEAL}), tensors)


def _other_tensor(rng: Rng, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Another shape, type or content for a tensor, or another name."""
    name = pick(rng, sorted(tensors))
    array, how = np.array(tensors[name]), rng.integers(5)
    if how == 0:
        array = array.reshape(rng.permutation(array.shape))
    elif how == 1:
        with np.errstate(all="ignore"):
            array = array.astype(pick(rng, (np.float32, np.float16, np.int8, np.uint8, np.int16, np.int64)))
    elif how == 2 and array.ndim:
        array = array[: int(rng.integers(len(array) + 1))]
    elif array.size:
        with np.errstate(all="ignore"):
            values = FLOATS if array.dtype.kind == "f" else NUMBERS
            array.reshape(-1)[int(rng.integers(array.size))] = np.array(pick(rng, values)).astype(array.dtype)
    kept = {key: value for key, value in tensors.items() if key != name}
    return {**kept, (name if rng.random() < 0.9 else f"{name}.more"): array}


def _other_entry(rng: Rng, described: Any) -> None:
    """Another value somewhere in a description, at any depth; one entry less, or one twice."""
    holder = described
    while True:
        inner = [v for v in (holder.values() if isinstance(holder, dict) else holder) if isinstance(v, (dict, list))]
        if not inner or rng.random() < 0.2:
            break
        holder = pick(rng, inner)
    places = sorted(holder) if isinstance(holder, dict) else range(len(holder))
    if not places:
        return
    place, how = pick(rng, places), rng.random()
    if how < 0.1:
        del holder[place]
    elif how < 0.2 and isinstance(holder, list):
        holder.append(holder[place])
    else:
        finite = [x for x in FLOATS if np.isfinite(x)]
        holder[place] = pick(rng, (*NUMBERS, *finite, holder[pick(rng, places)], None, True, "", "max", "add", [], {}))


def mutated_onnx(rng: Rng, data: bytes) -> bytes:
    """The file after one to four changes of its graph, at any depth; its bytes are changed where it is no graph."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        return mutated_bytes(rng, data)
    for _ in range(int(rng.integers(1, 5))):
        try:
            pick(rng, CHANGES)(rng, model)
        except (ValueError, TypeError, OverflowError, IndexError, KeyError):
            continue  # a value that the field does not take: nothing is changed
    return model.SerializeToString()


def _graph(rng: Rng, model: onnx.ModelProto) -> onnx.GraphProto:
    """The graph, or one inside it."""
    graph = model.graph
    while True:
        inner = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
        if not inner or rng.random() < 0.4:
            return graph
        graph = pick(rng, inner)


def _node(rng: Rng, model: onnx.ModelProto) -> onnx.NodeProto:
    return pick(rng, _graph(rng, model).node)


def _names(graph: onnx.GraphProto) -> list[str]:
    held = [*graph.input, *graph.initializer]
    return [value.name for value in held] + [name for node in graph.node for name in node.output] + [""]


def attribute(rng: Rng, model: onnx.ModelProto) -> None:
    """Another value, or another type, for an attribute."""
    node = _node(rng, model)
    if not node.attribute or rng.random() < 0.15:
        node.attribute.append(
            onnx.helper.make_attribute(pick(rng, ("axis", "to", "axes", "extra")), pick(rng, NUMBERS))
        )
        return
    chosen = pick(rng, node.attribute)
    if rng.random() < 0.1:
        node.attribute.remove(chosen)
    elif rng.random() < 0.1:
        chosen.type = int(rng.integers(0, 15))
    elif chosen.type == AttributeProto.INTS:
        _list(rng, chosen.ints, NUMBERS)
    elif chosen.type == AttributeProto.FLOATS:
        _list(rng, chosen.floats, FLOATS)
    elif chosen.type == AttributeProto.INT:
        chosen.i = pick(rng, NUMBERS)
    elif chosen.type == AttributeProto.FLOAT:
        chosen.f = pick(rng, FLOATS)
    elif chosen.type == AttributeProto.TENSOR:
        _tensor(rng, chosen.t)
    else:
        chosen.s = pick(rng, (b"", b"reverse", b"bidirectional", b"SAME_UPPER", b"\xff\xfe", b"linear"))


def _list(rng: Rng, values: Any, choices: Sequence[Any]) -> None:
    how = rng.integers(3)
    if how == 0 and len(values):
        values[int(rng.integers(len(values)))] = pick(rng, choices)
    elif how == 1 and len(values):
        del values[int(rng.integers(len(values)))]
    else:
        values.append(pick(rng, choices))


def weight(rng: Rng, model: onnx.ModelProto) -> None:
    """Another shape, type or content for an initializer."""
    _tensor(rng, pick(rng, _graph(rng, model).initializer))


def _tensor(rng: Rng, tensor: onnx.TensorProto) -> None:
    how = rng.integers(6)
    if how == 0:
        _list(rng, tensor.dims, NUMBERS)
    elif how == 1:
        order = rng.permutation(len(tensor.dims)).tolist()
        dims = [tensor.dims[n] for n in order]
        del tensor.dims[:]
        tensor.dims.extend(dims)
    elif how == 2:
        tensor.data_type = pick(rng, TYPES)
    elif how == 3:
        tensor.raw_data = tensor.raw_data[: int(rng.integers(len(tensor.raw_data) + 1))]
    else:
        array = np.array(numpy_helper.to_array(tensor))
        choices = FLOATS if array.dtype.kind == "f" else NUMBERS
        with np.errstate(all="ignore"):
            array.reshape(-1)[int(rng.integers(array.size))] = np.array(pick(rng, choices)).astype(array.dtype)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def swap_weights(rng: Rng, model: onnx.ModelProto) -> None:
    """Two initializers exchange their names, or one is gone, or there twice."""
    held = _graph(rng, model).initializer
    one, other = pick(rng, held), pick(rng, held)
    how = rng.integers(4)
    if how < 2:
        one.name, other.name = other.name, one.name
    elif how == 2:
        held.remove(one)
    else:
        held.add().CopyFrom(one)


def rewire(rng: Rng, model: onnx.ModelProto) -> None:
    """A node reads or makes another value."""
    graph = _graph(rng, model)
    node = pick(rng, graph.node)
    ends = node.output if rng.random() < 0.15 else node.input
    how = rng.integers(5)
    if how == 0 and len(ends):
        del ends[int(rng.integers(len(ends)))]
    elif how == 1:
        ends.append(pick(rng, _names(graph)))
    else:
        ends[int(rng.integers(len(ends)))] = pick(rng, _names(graph))


def nodes(rng: Rng, model: onnx.ModelProto) -> None:
    """A node is gone, there twice, somewhere else, or of another kind."""
    graph = _graph(rng, model)
    node = pick(rng, graph.node)
    how = rng.integers(5)
    if how == 0:
        graph.node.remove(node)
    elif how == 1:
        copy = graph.node.add()
        copy.CopyFrom(node)
        for place in range(len(copy.output)):
            copy.output[place] = pick(rng, (f"{copy.output[place]}_more", copy.output[place]))
    elif how == 2:
        node.domain = pick(rng, ("", "ai.onnx", "com.microsoft", "\u00e9"))
    else:
        node.op_type = pick(rng, sorted({*RULES, *FOLDABLE, "Loop", "Scan", "If", "Constant"}))


def port(rng: Rng, model: onnx.ModelProto) -> None:
    """Another shape, type or name for an input, or another value as output."""
    graph = _graph(rng, model)
    value = pick(rng, graph.input) if rng.random() < 0.7 else pick(rng, graph.output)
    dims = value.type.tensor_type.shape.dim
    how = rng.integers(8)
    if how < 4 and len(dims):
        dim = pick(rng, dims)
        dim.Clear()
        if how == 0:
            dim.dim_param = pick(rng, ("T", "batch", "N", ""))
        elif how < 3:
            dim.dim_value = pick(rng, NUMBERS)
    elif how == 4:
        value.type.tensor_type.elem_type = pick(rng, TYPES)
    elif how == 5:
        dims.add().dim_value = pick(rng, NUMBERS)
    elif how == 6:
        value.name = pick(rng, _names(graph))
    else:
        pick(rng, (graph.input, graph.output)).add().CopyFrom(value)


def versions(rng: Rng, model: onnx.ModelProto) -> None:
    """Another version of the operators."""
    pick(rng, model.opset_import).version = int(rng.integers(0, 30))


CHANGES: tuple[Callable[[Rng, onnx.ModelProto], None], ...] = (
    attribute, attribute, attribute, weight, weight, swap_weights, rewire, rewire, nodes, nodes, port, port, versions,
)  # fmt: skip
