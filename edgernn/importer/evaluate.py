"""Constant folding: what a node of constants gives, by onnx.reference, within a budget of memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from edgernn.importer import symbolic
from edgernn.importer.graph import Operator
from edgernn.layers.base import Array

LARGEST = 2**28  # bytes of one constant
BUDGET = 2**30  # bytes of all constants that are computed
SMALL = 4096  # numbers: what may be a shape
COSTLY = 10**10  # multiplications of one product

# onnx.reference has these in newer versions only, which compute the same
OLDEST = {"DequantizeLinear": 19, "QuantizeLinear": 19}

# What exporters compute from constants. Each costs as much as it reads and writes, products apart.
FOLDABLE = frozenset(
    {
        "Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "CastLike", "Ceil", "Clip", "Concat", "ConstantOfShape", "Cos",
        "CumSum", "DequantizeLinear", "Div", "Dropout", "Equal", "Erf", "Exp", "Expand", "EyeLike", "Flatten", "Floor",
        "Gather", "GatherElements", "GatherND", "Gemm", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual",
        "Log", "MatMul", "Max", "Mean", "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "OneHot", "Or", "Pad", "Pow",
        "QuantizeLinear", "Range", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
        "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Round",
        "ScatterElements", "ScatterND", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax", "Softplus",
        "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
    }
)  # fmt: skip


class Folder:
    """Evaluates nodes of constants, and keeps count of the memory that they take."""

    def __init__(self, opset: int):
        self.opset = opset
        self.spent = 0

    def fold(self, operator: Operator, inputs: Sequence[Array | None]) -> list[Array] | None:
        """The outputs; None for an operator that is not folded. Raises ValueError where it cannot be computed."""
        if any(symbolic.is_symbolic(x) for x in inputs):
            return symbolic.evaluate(operator.kind, inputs, operator.attributes)
        if operator.kind not in FOLDABLE:
            return None
        inputs = symbolic.widened(operator.kind, inputs)
        model = self._model(operator, inputs)
        size = self._predicted(model, operator, inputs)
        if size > LARGEST or self.spent + size > BUDGET:
            raise ValueError(f"a constant of {size} bytes would be computed: more than is allowed")
        feeds = {name: x for name, x in zip(operator.inputs, inputs, strict=True) if x is not None}
        try:
            with np.errstate(all="ignore"):
                made = ReferenceEvaluator(model).run(None, feeds)
        except Exception as error:  # the reference implementation raises what it likes
            raise ValueError(f"cannot be computed from its constants: {error}") from None
        outputs = [np.asarray(y) for y in made]
        self.spent += sum(y.nbytes for y in outputs)
        return outputs

    def _model(self, operator: Operator, inputs: Sequence[Array | None]) -> onnx.ModelProto:
        """A model of this node alone."""
        attributes = {
            name: numpy_helper.from_array(value, name) if isinstance(value, np.ndarray) else value
            for name, value in operator.attributes.items()
        }
        node = helper.make_node(operator.kind, operator.inputs, [y for y in operator.outputs if y], **attributes)
        known = {name: x for name, x in zip(operator.inputs, inputs, strict=True) if x is not None}
        described = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in known.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in operator.outputs if name]
        graph = helper.make_graph([node], "one", described, outputs)
        opset = max(self.opset, OLDEST.get(operator.kind, 0))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])

    def _predicted(self, model: onnx.ModelProto, operator: Operator, inputs: Sequence[Array | None]) -> int:
        """How many bytes the outputs take, by ONNX's shape inference."""
        held = [x for x in inputs if x is not None]
        if operator.kind == "NonZero":
            return 8 * max(1, held[0].ndim) * held[0].size
        if operator.kind in ("MatMul", "Gemm") and math.prod(held[0].shape) * (held[1].shape or (1,))[-1] > COSTLY:
            raise ValueError("a product of constants takes too long")
        small = {name: x for name, x in zip(operator.inputs, inputs, strict=True) if x is not None and x.size <= SMALL}
        probe = onnx.ModelProto()
        probe.CopyFrom(model)
        probe.graph.initializer.extend(numpy_helper.from_array(x, name) for name, x in small.items())
        try:
            inferred = shape_inference.infer_shapes(probe, data_prop=True)
        except Exception as error:  # of a class that onnx does not name in public
            raise ValueError(f"cannot be computed from its constants: {error}") from None
        total = 0
        for output in inferred.graph.output:
            kind = output.type.tensor_type
            if not kind.HasField("shape") or not all(dim.HasField("dim_value") for dim in kind.shape.dim):
                raise ValueError("the size of a computed constant cannot be told beforehand")
            item = helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize
            total += math.prod(dim.dim_value for dim in kind.shape.dim) * item
        return total
