"""Constant folding: what a node of constants gives, by onnx.reference, within a budget for the whole file.

The budget counts the numbers that folding makes, whatever the reading of the file's time that asks for them. A real
graph folds little more than its weights: an exporter cuts, turns and joins each of them a few times, and computes some
shapes. So `PER_BYTE` allows eight times the weights in float32, and `FLOOR` what a small file may make of nothing, such
as masks and tables: 16 million numbers, some 0.2 s and 128 MB. A file that doubles a constant again and again gets no
further than that, at whatever depth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from edgernn.errors import Problem, UnsupportedModel
from edgernn.importer.file import symbolic
from edgernn.importer.file.graph import Graph, Operator
from edgernn.importer.walk.known import held_by
from edgernn.importer.walk.signals import Refused
from edgernn.layers.base import Array

FLOOR = 1 << 24  # numbers that any file may make
PER_BYTE = 2  # numbers more for each byte of it
SMALL = 4096  # numbers: what may be a shape
TINY = 64  # numbers that are told apart by what they are, larger arrays by being the same array
KEPT = 1 << 20  # numbers in results that are kept: loops and further readings ask for them again

PLAIN_BROADCAST = 7  # the opset since which shapes are broadcast as NumPy does

# What a number costs more than in plain arithmetic: where the reference walks in Python, or numbers are symbols.
SLOW = {"Erf": 16, "GatherND": 16, "ScatterElements": 16, "ScatterND": 16}
SYMBOL = 64
MULTIPLICATIONS = 16  # of a product that take as long as one number made

# onnx.reference has these in newer versions only, which compute the same
OLDEST = {"DequantizeLinear": 19, "QuantizeLinear": 19}

# onnx.reference computes this as it is since then; before, it runs over all axes from its own on
SINCE = {"Softmax": 13}

# onnx.reference computes this with these values of its attributes
PLAIN = {"ConvTranspose": {"auto_pad": "NOTSET", "group": 1, "output_padding": None, "output_shape": None}}

# What counts the turns of a loop, for inputs of one kind of number: the same as onnx.reference, a hundred times faster.
COUNTING: dict[str, tuple[np.ufunc, str]] = {
    "Add": (np.add, "if"), "Sub": (np.subtract, "if"), "Mul": (np.multiply, "if"), "Less": (np.less, "if"),
    "LessOrEqual": (np.less_equal, "if"), "Greater": (np.greater, "if"), "GreaterOrEqual": (np.greater_equal, "if"),
    "Equal": (np.equal, "bif"), "And": (np.logical_and, "b"), "Or": (np.logical_or, "b"), "Not": (np.logical_not, "b"),
}  # fmt: skip
CASTS = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_}  # TensorProto.DataType

# What exporters compute from constants. Each costs as much as it reads and writes, products apart.
FOLDABLE = frozenset(
    {
        "Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "CastLike", "Ceil", "Clip", "Concat", "ConstantOfShape",
        "ConvTranspose", "Cos", "CumSum", "DequantizeLinear", "Div", "Dropout", "Einsum", "Equal", "Erf", "Exp",
        "Expand", "EyeLike", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gemm", "Greater",
        "GreaterOrEqual", "Identity", "LayerNormalization", "Less", "LessOrEqual", "Log", "MatMul", "Max", "Mean",
        "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "OneHot", "Or", "Pad", "Pow", "QuantizeLinear", "Range",
        "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
        "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Round", "ScatterElements", "ScatterND",
        "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub",
        "Sum", "Tanh", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
    }
)  # fmt: skip


class Folder:
    """Evaluates nodes of constants for a file of `size` bytes, weights included, until its budget is spent."""

    def __init__(self, opset: int, size: int):
        self.opset = opset
        self.left = FLOOR + PER_BYTE * size
        # what a node made of these inputs, with all that the key tells by identity, and what it costs
        self._kept: dict[tuple[Any, ...], tuple[Any, int, list[Array]]] = {}
        self._room = KEPT

    def fold(self, operator: Operator, inputs: Sequence[Array | None]) -> list[Array] | None:
        """The outputs; None for an operator that is not folded.

        Raises ValueError where it cannot be computed, Refused where nothing sensible can, and UnsupportedModel where
        that would cost more than is left.
        """
        if any(symbolic.is_symbolic(x) for x in inputs):
            self._spend(operator, SYMBOL * sum(x.size for x in inputs if x is not None))
            return symbolic.evaluate(operator.kind, inputs, operator.attributes)
        if operator.kind == "Identity" and len(inputs) == len(operator.outputs) == 1 and inputs[0] is not None:
            return [inputs[0]]
        if operator.kind not in FOLDABLE or self.opset < SINCE.get(operator.kind, 0):
            return None
        if any(operator.attributes.get(name, value) != value for name, value in PLAIN.get(operator.kind, {}).items()):
            return None
        inputs = symbolic.widened(operator.kind, inputs)
        _check_inputs(operator, inputs)
        if (counted := _counted(operator, inputs)) is not None and self.opset >= PLAIN_BROADCAST:
            self._spend(operator, counted.size)
            return [counted]
        key = id(operator), *map(_identity, inputs)
        if key in self._kept:
            _, cost, made = self._kept[key]
            self._spend(operator, cost)
            return made
        cost, made = self._computed(operator, inputs)
        size = sum(y.size for y in made)
        if size <= self._room:
            self._room -= size
            self._kept[key] = (operator, inputs), cost, made
        return made

    def _computed(self, operator: Operator, inputs: Sequence[Array | None]) -> tuple[int, list[Array]]:
        """(what it costs, which is spent, the outputs)."""
        model = self._model(operator, inputs)
        cost = SLOW.get(operator.kind, 1) * self._predicted(model, operator, inputs)
        self._spend(operator, cost)
        feeds = {name: x for name, x in zip(operator.inputs, inputs, strict=True) if x is not None}
        try:
            with np.errstate(all="ignore"):
                made = ReferenceEvaluator(model).run(None, feeds)
        except Exception as error:  # the reference implementation raises what it likes
            raise ValueError(f"cannot be computed from its constants: {error}") from None
        return cost, [np.asarray(y) for y in made]

    def _spend(self, operator: Operator, cost: int) -> None:
        """Take the cost of a node from the budget."""
        if cost > self.left:
            what = f"would make {cost:,} numbers of constants, more than the {self.left:,} that are left to this file"
            raise UnsupportedModel([Problem(operator.name, operator.kind, what, "compute them before exporting")])
        self.left -= cost

    def _model(self, operator: Operator, inputs: Sequence[Array | None]) -> onnx.ModelProto:
        """A model of this node alone."""
        attributes = {
            name: numpy_helper.from_array(value, name) if isinstance(value, np.ndarray) else value
            for name, value in operator.attributes.items()
        }
        made = [name or f"unread {place}" for place, name in enumerate(operator.outputs)]
        node = helper.make_node(operator.kind, operator.inputs, made, **attributes)
        known = {name: x for name, x in zip(operator.inputs, inputs, strict=True) if x is not None}
        described = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in known.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in made]
        graph = helper.make_graph([node], "one", described, outputs)
        opset = max(self.opset, OLDEST.get(operator.kind, 0))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])

    def _predicted(self, model: onnx.ModelProto, operator: Operator, inputs: Sequence[Array | None]) -> int:
        """How many numbers the outputs hold, by ONNX's shape inference; of products, how many that costs."""
        held = [x for x in inputs if x is not None]
        if operator.kind == "NonZero":
            return max(1, held[0].ndim) * held[0].size
        if operator.kind == "Einsum":  # as many products as the operands' numbers make, or fewer
            return math.prod(x.size for x in held)
        each = 1  # numbers, or their like, that one number of the output costs
        if operator.kind in ("MatMul", "Gemm") and held[0].ndim:
            each += held[0].shape[0 if operator.attributes.get("transA") else -1] // MULTIPLICATIONS
        if operator.kind == "ConvTranspose" and held[1].ndim > 1:
            outputs = held[1].shape[1] * math.prod(operator.attributes.get("strides", (1,)))  # for each input
            each += (held[1][:1].size + held[1].size // MULTIPLICATIONS) // max(1, outputs)
        small = {name: x for name, x in zip(operator.inputs, inputs, strict=True) if x is not None and x.size <= SMALL}
        probe = onnx.ModelProto()
        probe.CopyFrom(model)
        probe.graph.initializer.extend(numpy_helper.from_array(x, name) for name, x in small.items())
        try:
            inferred = shape_inference.infer_shapes(probe)
        except Exception as error:  # of a class that onnx does not name in public
            raise ValueError(f"cannot be computed from its constants: {error}") from None
        total = 0
        for output in inferred.graph.output:
            kind = output.type.tensor_type
            if not kind.HasField("shape") or not all(dim.HasField("dim_value") for dim in kind.shape.dim):
                raise ValueError("the size of a computed constant cannot be told beforehand")
            total += each * math.prod(dim.dim_value for dim in kind.shape.dim)
        return total


def _identity(x: Array | None) -> Any:
    """What tells an input apart from others, as long as it is there."""
    return x if x is None else (x.dtype, x.shape, x.tobytes()) if x.size <= TINY else id(x)


def _counted(operator: Operator, inputs: Sequence[Array | None]) -> Array | None:
    """What a node makes of few numbers that count something; None for every other node, and where that fails."""
    held = [x for x in inputs if x is not None and x.size <= TINY]
    if not held or len(held) < len(inputs) or len({x.dtype for x in held}) > 1 or len(operator.outputs) != 1:
        return None
    kind, attributes = held[0].dtype.kind, dict(operator.attributes)
    if operator.kind == "Cast" and len(held) == 1 and kind in "bi" and attributes.keys() == {"to"}:
        return held[0].astype(CASTS[attributes["to"]]) if attributes["to"] in CASTS else None
    function, kinds = COUNTING.get(operator.kind, (None, ""))
    if function is None or attributes or kind not in kinds or len(held) != function.nin:
        return None
    try:
        with np.errstate(all="ignore"):
            return np.asarray(function(*held))
    except ValueError:
        return None


def _check_inputs(operator: Operator, inputs: Sequence[Array | None]) -> None:
    """Refuse constants that nothing sensible can be computed of."""
    if any(x is not None and x.dtype.kind == "U" for x in inputs):
        raise Refused("computes with text", "export what is computed of numbers alone")
    if operator.kind in ("DequantizeLinear", "QuantizeLinear") and len(inputs) > 1 and inputs[1] is not None:
        scale = np.asarray(inputs[1], np.float64)
        if not (np.isfinite(scale) & (scale > 0)).all():
            raise Refused(
                "its scale is not a finite number above 0", "quantise the model again, or convert the float model"
            )


def folded(graph: Graph) -> Graph:
    """The graph without the nodes that are constants under any reading of its time: they are worked out once, here."""
    constants = dict(graph.constants)
    left = []
    for operator in graph.operators:
        made = _made(graph.folder, operator, constants)
        if made is None:
            left.append(operator)
        else:
            constants.update((name, y) for name, y in zip(operator.outputs, made, strict=False) if name)
    read = {*graph.outputs, *(name for operator in left for name in operator.reads)}
    kept = {name: held for name, held in constants.items() if name in read}
    return replace(graph, operators=tuple(left), constants=kept)


def _made(folder: Folder, operator: Operator, constants: Mapping[str, Array]) -> list[Array] | None:
    """What a node of constants makes; None for every other node, and where that fails: whoever needs it says so."""
    if operator.domain or not all(name in constants for name in operator.reads):
        return None
    if operator.kind == "Constant":
        held = held_by(operator.attributes)
        return None if held is None else [held]
    try:
        return folder.fold(operator, [constants[name] if name else None for name in operator.inputs])
    except (Refused, ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError, MemoryError):
        return None
