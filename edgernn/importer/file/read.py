"""The bytes of an ONNX file as a Graph. Everything is checked before it is used; a broken file raises BadModelFile."""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from edgernn.errors import BadModelFile, EdgernnError, Problem, UnsupportedModel
from edgernn.importer.file.evaluate import Folder
from edgernn.importer.file.external import embed
from edgernn.importer.file.functions import inlined
from edgernn.importer.file.graph import Dim, Graph, Input, Operator, ordered
from edgernn.importer.file.nodes import DEFAULT_DOMAINS, check_arity, check_bodies
from edgernn.importer.file.wire import MOST_AXES, TRUNCATED, check_parts
from edgernn.importer.file.work import MOST_LAYERS, Outside, Work, too_many_layers
from edgernn.layers.base import Array

LARGEST_FILE = 2**31  # bytes: protobuf's own limit
OLDEST_OPSET = 7
MOST_PORTS = 1024  # inputs, or outputs, of a graph: states are paired by trying
ADOPTED = {  # operators of com.microsoft that have rules
    *("BiasGelu", "DynamicQuantizeLSTM", "FastGelu", "FusedConv", "FusedGemm", "FusedMatMul", "Gelu", "QuickGelu"),
    *("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"),
}

Edit = Callable[[onnx.ModelProto], object]


def load(source: str | os.PathLike[str] | bytes, edit: Edit | None = None) -> Graph:
    """The graph of an ONNX file, or of its bytes, after `edit`. Raises BadModelFile and UnsupportedModel."""
    folder = None if isinstance(source, bytes) else Path(source).parent
    data = source if isinstance(source, bytes) else _bytes(Path(source))
    try:
        return _graph(data, folder, edit)
    except EdgernnError:
        raise
    except UnicodeDecodeError:
        raise BadModelFile("a name in the file is not UTF-8; export the model again") from None
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, OverflowError, RecursionError) as error:
        raise BadModelFile(f"the ONNX file is malformed: {_brief(error)}; export the model again") from None


def _brief(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _bytes(path: Path) -> bytes:
    """The content of a file that may be an ONNX model. It is looked at once it is open: nothing can take its place."""
    try:
        if path.is_dir():
            raise BadModelFile(f"'{path}' is a folder; give the .onnx file itself")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):  # reading a pipe or a device may never end
                raise BadModelFile(f"'{path}' is not a plain file; save it to one first")
            if found.st_size > LARGEST_FILE:
                raise BadModelFile(f"'{path}' has {found.st_size} bytes, more than an ONNX file can hold (2 GB)")
            return file.read(LARGEST_FILE)
    except FileNotFoundError:
        raise BadModelFile(f"there is no file '{path}'") from None
    except (OSError, ValueError) as error:
        raise BadModelFile(f"'{path}' cannot be read: {_brief(error)}") from None


def _graph(data: bytes, folder: Path | None, edit: Edit | None) -> Graph:
    model = _parsed(data)
    opset = _opset(model)
    held = len(data) + embed(model, folder)
    if edit is not None:
        edit(model)
    model = inlined(model)
    graph = model.graph
    if graph.sparse_initializer:
        sparse = Problem(graph.sparse_initializer[0].values.name, "", "sparse weights are not supported")
        raise UnsupportedModel([sparse])
    ends = [*graph.input, *graph.output]
    _check_count(graph)
    check_bodies(graph)
    dims = [dim.dim_param for value in ends for dim in value.type.tensor_type.shape.dim]
    alphabet = next((entry.value for entry in model.metadata_props if entry.key == "alphabet"), "")
    _check_text([*dims, *(named.name for named in (*ends, *graph.initializer)), model.producer_name, alphabet])
    constants = {tensor.name: array_of(tensor) for tensor in graph.initializer}
    if len(constants) != len(graph.initializer):
        raise BadModelFile("two initializers have the same name; export the model again")
    inputs = tuple(_input(value) for value in graph.input if value.name not in constants)
    if len({value.name for value in inputs}) != len(inputs):
        raise BadModelFile("two inputs have the same name; export the model again")
    outputs = tuple(value.name for value in graph.output)
    if not outputs or len(set(outputs)) != len(outputs):
        raise BadModelFile("the graph has no outputs, or two of the same name; export the model again")
    known, work = [*constants, *(value.name for value in inputs)], Work()
    operators = ordered([operator_of(node, work.outside) for node in graph.node], known, outputs)
    _check_rounding(operators, outputs)
    origin = {
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "opset": opset,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    # before version 4 every constant was listed as an input, and none was meant to be given
    optional = [value.name for value in graph.input if value.name in constants] if model.ir_version >= 4 else []
    defaults = {name: constants[name] for name in optional}
    folds = Folder(opset, held)
    return Graph(inputs, outputs, operators, constants, opset, origin, folds, defaults, work, alphabet)


def _check_count(graph: onnx.GraphProto) -> None:
    """Refuse more ports than any model has, ports of more axes, and nodes that become too many layers by themselves."""
    for node in graph.node:
        if len(node.output) > MOST_LAYERS:
            raise too_many_layers(node.name or node.op_type, node.op_type)
    weights = {tensor.name for tensor in graph.initializer}  # before IR version 4 they are inputs too
    for kind, values in (("inputs", [v for v in graph.input if v.name not in weights]), ("outputs", graph.output)):
        if len(values) > MOST_PORTS:
            what = f"has {len(values)} {kind}, more than {MOST_PORTS}"
            raise UnsupportedModel([Problem("graph", "", what, "export with the states in fewer tensors")])
        for value in values:
            if len(value.type.tensor_type.shape.dim) > MOST_AXES:
                raise BadModelFile(f"'{value.name}' has more than {MOST_AXES} axes; export the model again")


def _check_rounding(operators: Iterable[Operator], outputs: Iterable[str]) -> None:
    """Refuse what is quantised at run time for anything but a product: that alone does without the rounding."""
    rounded = {o.outputs[0]: o for o in operators if o.kind == "DynamicQuantizeLinear"}
    read = {name: o.kind for o in operators for name in o.reads if o.kind not in ("MatMulInteger", "ConvInteger")}
    read.update(dict.fromkeys(outputs, "output"))
    problems = [
        Problem(o.name, o.kind, f"is read by something else than a product: {read[name]}", "convert the float model")
        for name, o in rounded.items()
        if name in read
    ]
    if problems:
        raise UnsupportedModel(problems)


def _check_text(names: Iterable[str]) -> None:
    """Protobuf hands out names that are not UTF-8 as bytes."""
    if not set(map(type, names)) <= {str}:
        raise BadModelFile("a name in the file is not UTF-8; export the model again")


def _parsed(data: bytes) -> onnx.ModelProto:
    model = onnx.ModelProto()
    if not data:
        raise BadModelFile("the file is empty")
    check_parts(data)
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise BadModelFile(TRUNCATED) from None
    if not model.HasField("graph") or not model.opset_import or not model.ir_version:
        raise BadModelFile("this is not an ONNX file: it holds no graph with a version")
    return model


def _opset(model: onnx.ModelProto) -> int:
    """The version of the default operator set."""
    versions = [*{entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS}]
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1:
        raise BadModelFile("the file does not name one version of the ONNX operators; export the model again")
    if versions[0] < OLDEST_OPSET:
        what = f"opset {versions[0]} is older than {OLDEST_OPSET}, the oldest that is understood"
        raise UnsupportedModel([Problem("model", "", what, "export with a newer opset, or use onnx.version_converter")])
    if versions[0] > newest:
        what = f"opset {versions[0]} is newer than {newest}, the newest that the installed onnx package knows"
        raise UnsupportedModel([Problem("model", "", what, "upgrade the onnx package, or export with an older opset")])
    return int(versions[0])


def _input(value: onnx.ValueInfoProto) -> Input:
    """What an input looks like; a free dimension without a name is called after its axis."""
    if not value.type.HasField("tensor_type"):
        raise UnsupportedModel(
            [Problem(value.name, "", "the input is no tensor", "export with plain tensors as inputs")]
        )
    kind = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    if not kind.HasField("shape"):
        return Input(value.name, dtype, None)
    dims: list[Dim] = []
    for axis, dim in enumerate(kind.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value > 0:
            dims.append(dim.dim_value)
        elif dim.dim_value < -1:
            raise BadModelFile(f"input '{value.name}' has a dimension of {dim.dim_value}; export the model again")
        else:
            dims.append(dim.dim_param or f"axis {axis}")
    return Input(value.name, dtype, tuple(dims))


def array_of(tensor: onnx.TensorProto) -> Array:
    """The numbers of a tensor, after checking that it holds as many as it says."""
    if any(n < 0 for n in tensor.dims):
        raise BadModelFile(f"the tensor '{tensor.name}' has a negative dimension; export the model again")
    if tensor.data_type == onnx.TensorProto.STRING:
        if len(tensor.string_data) != math.prod(tensor.dims):
            raise BadModelFile(f"the tensor '{tensor.name}' does not hold {list(tensor.dims)} texts")
        return np.zeros(tensor.dims, np.str_)
    if tensor.data_type not in NUMBERS:
        raise BadModelFile(f"the tensor '{tensor.name}' holds no real numbers (type {tensor.data_type})")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    expected = math.prod(tensor.dims)
    if tensor.raw_data and tensor.data_type in PLAIN and len(tensor.raw_data) != expected * dtype.itemsize:
        raise BadModelFile(
            f"the tensor '{tensor.name}' of shape {list(tensor.dims)} needs {expected * dtype.itemsize} bytes "
            f"but has {len(tensor.raw_data)}; export the model again"
        )
    if expected and not tensor.ByteSize():
        raise BadModelFile(f"the tensor '{tensor.name}' has no data; export the model again")
    array = numpy_helper.to_array(tensor)
    if array.shape != tuple(tensor.dims):
        raise BadModelFile(
            f"the tensor '{tensor.name}' does not hold {list(tensor.dims)} numbers; export the model again"
        )
    return array


_OTHER = ("UNDEFINED", "STRING", "COMPLEX64", "COMPLEX128")
NUMBERS = frozenset(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.DataType.Value(name) for name in _OTHER}
PLAIN = frozenset(
    map(onnx.TensorProto.DataType.Value, ("FLOAT", "DOUBLE", "FLOAT16", "INT8", "INT32", "INT64", "BOOL"))
)


def operator_of(node: onnx.NodeProto, known_outside: Outside) -> Operator:
    """A node in plain Python; see `outside`."""
    listed, inputs, outputs = list(node.attribute), tuple(node.input), tuple(node.output)
    _check_text([node.op_type, node.domain, node.name, *inputs, *outputs, *(a.name for a in listed)])
    known = node.domain in DEFAULT_DOMAINS or (node.domain == "com.microsoft" and node.op_type in ADOPTED)
    domain = "" if known else node.domain
    name = node.name or next(filter(None, outputs), node.op_type)
    check_arity(node.domain, node.op_type, name, inputs, outputs)
    for attribute in listed:
        _check_type(name, node, attribute)
    attributes = {attribute.name: _attribute(attribute) for attribute in listed}
    if len(attributes) != len(listed):
        raise BadModelFile(f"node '{name}' has an attribute twice; export the model again")
    bodies = [value for value in attributes.values() if isinstance(value, onnx.GraphProto)]
    captured = {name for body in bodies for name in outside(body, known_outside)}
    return Operator(name, node.op_type, domain, inputs, outputs, attributes, tuple(sorted(captured)))


def _check_type(name: str, node: onnx.NodeProto, attribute: onnx.AttributeProto) -> None:
    """Refuse an attribute of another type than that which the operators' specification gives it."""
    expected = _types(node.op_type).get(attribute.name, attribute.type) if node.domain in DEFAULT_DOMAINS else None
    if expected is not None and attribute.type != expected:
        came, needed = (onnx.AttributeProto.AttributeType.Name(kind) for kind in (attribute.type, expected))
        raise BadModelFile(
            f"the attribute '{attribute.name}' of node '{name}' is {came}; {needed} expected: export the model again"
        )


@cache
def _types(kind: str) -> Mapping[str, int]:
    """The types of an operator's attributes, which are the same in every opset from OLDEST_OPSET on."""
    if not onnx.defs.has(kind):
        return {}
    known = onnx.defs.get_schema(kind).attributes
    number = onnx.AttributeProto.AttributeType.Value
    return {name: number(str(held.type).rsplit(".", 1)[-1]) for name, held in known.items()}


def outside(graph: onnx.GraphProto, known: Outside) -> frozenset[str]:
    """The values from outside that a subgraph reads; `known`: what has been found so far, by identity."""
    if id(graph) in known:
        return known[id(graph)][1]
    own = {value.name for part in (graph.input, graph.initializer) for value in part} | {""}
    read = {value.name for value in graph.output}
    for node in graph.node:
        own.update(node.output)
        read.update(node.input)
        for inner in (attribute.g for attribute in node.attribute if attribute.HasField("g")):
            read |= outside(inner, known)
    known[id(graph)] = graph, frozenset(read - own)  # the graph, so that it stays
    return known[id(graph)][1]


def _attribute(attribute: onnx.AttributeProto) -> Any:
    """The value of an attribute: numbers, text, arrays, or a subgraph as it is."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return array_of(value)
    if isinstance(value, bytes):
        return value.decode()
    if attribute.type == onnx.AttributeProto.STRINGS:
        return [text.decode() for text in value]
    if attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
        return list(value)
    return value
