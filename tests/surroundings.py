"""The table of what surrounds recurrent layers: one ONNX operator a row, with the attributes and versions that matter.

Each row is a graph from x, whose dimensions name the time axis "T", to y; `onnx_cases.beside_a_cell` makes it a stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx_cases import Dims, beside_a_cell, node

rng = np.random.default_rng(3)


def some(*shape: int) -> np.ndarray:
    """Random float32 numbers within -1..1, seeded."""
    return rng.uniform(-1, 1, shape).astype(np.float32)


def ints(*numbers: int) -> np.ndarray:
    """An int64 vector."""
    return np.array(numbers, np.int64)


def number(value: float) -> np.ndarray:
    """A float32 scalar."""
    return np.array(value, np.float32)


@dataclass(frozen=True)
class Op:
    """One operator from x to y. `constants` are its other inputs, by the names that `inputs` uses."""

    kind: str
    inputs: str = "x"
    constants: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    dims: Dims = (1, "T", 6)
    opset: int = 17
    outputs: str = "y"

    def model(self) -> onnx.ModelProto:
        """The graph, beside a cell."""
        made = node(self.kind, self.inputs, self.outputs, **self.attributes)
        return beside_a_cell([made], self.dims, self.constants, self.opset, self.outputs.split())


PLAIN = (
    "Abs", "Neg", "Exp", "Floor", "Ceil", "Round", "Sign", "Sin", "Cos", "Erf", "Relu", "Sigmoid", "Tanh",
    "Softsign", "Softplus", "HardSwish", "Elu", "Celu", "Selu", "LeakyRelu", "ThresholdedRelu", "HardSigmoid",
    "Shrink", "Identity",
)  # fmt: skip
IMAGE: Dims = ("T", 4, 7)  # time as the batch axis of a one-dimensional image
PICTURE: Dims = ("T", 2, 5, 6)

OPS: dict[str, Op] = {
    **{name: Op(name) for name in PLAIN},
    "Gelu": Op("Gelu", opset=20),
    "Gelu-tanh": Op("Gelu", attributes={"approximate": "tanh"}, opset=20),
    "Mish": Op("Mish", opset=18),
    "Elu-alpha": Op("Elu", attributes={"alpha": 0.3}),
    "Celu-alpha": Op("Celu", attributes={"alpha": 0.3}),
    "Selu-alpha": Op("Selu", attributes={"alpha": 1.1, "gamma": 0.7}),
    "LeakyRelu-alpha": Op("LeakyRelu", attributes={"alpha": 0.3}),
    "ThresholdedRelu-alpha": Op("ThresholdedRelu", attributes={"alpha": 0.3}),
    "HardSigmoid-alpha": Op("HardSigmoid", attributes={"alpha": 0.4, "beta": 0.1}),
    "Shrink-lambd": Op("Shrink", attributes={"lambd": 0.2, "bias": 0.1}),
    "Atan": Op("Atan"),
    "Hardmax": Op("Hardmax"),
    "Hardmax-middle": Op("Hardmax", attributes={"axis": 1}, dims=IMAGE),
    "Hardmax-11": Op("Hardmax", attributes={"axis": 1}, dims=IMAGE, opset=11),
    "Trilu": Op("Trilu", "x k", {"k": np.array(1)}, dims=IMAGE),
    "Trilu-lower": Op("Trilu", attributes={"upper": 0}, dims=PICTURE),
    **{
        f"DepthToSpace-{mode}": Op("DepthToSpace", attributes={"blocksize": 2, "mode": mode}, dims=("T", 8, 3, 5))
        for mode in ("DCR", "CRD")
    },
    "SpaceToDepth": Op("SpaceToDepth", attributes={"blocksize": 2}, dims=("T", 2, 4, 6)),
    "Clip": Op("Clip", "x low high", {"low": number(-0.3), "high": number(0.5)}),
    "Clip-max": Op("Clip", "x - high", {"high": number(0.1)}),
    "Clip-none": Op("Clip"),
    "Clip-7": Op("Clip", attributes={"min": -0.2, "max": 0.4}, opset=7),
    "Dropout-7": Op("Dropout", attributes={"ratio": 0.4}, opset=7),
    "Dropout-13": Op("Dropout", "x ratio", {"ratio": number(0.4)}, opset=13),
    "Cast": Op("Cast", attributes={"to": 1}),
    "Add-vector": Op("Add", "x c", {"c": some(6)}),
    "Add-number": Op("Add", "x c", {"c": number(0.3)}),
    "Add-itself": Op("Add", "x x"),
    "Add-wider": Op("Add", "x c", {"c": some(2, 1, 6)}),
    "Sub-number": Op("Sub", "x c", {"c": number(0.3)}),
    "Sub-from-number": Op("Sub", "c x", {"c": number(0.3)}),
    "Mul-number": Op("Mul", "c x", {"c": number(0.3)}),
    "Mul-channels": Op("Mul", "x c", {"c": some(4, 1)}, dims=IMAGE),
    "Div-number": Op("Div", "x c", {"c": number(0.3)}),
    "Div-one-by": Op("Div", "c x", {"c": number(1)}),
    "Max-three": Op("Max", "x a b", {"a": some(6), "b": number(0.1)}),
    "Min-one": Op("Min"),
    "Sum-three": Op("Sum", "x a x", {"a": some(6)}),
    "Mean-three": Op("Mean", "x a x", {"a": some(6)}),
    "Mod": Op("Mod", "x c", {"c": number(0.3)}, {"fmod": 1}),
    **{f"Pow-{exponent}": Op("Pow", "x c", {"c": number(exponent)}) for exponent in (1, 2, 3, -1)},
    "Pow-of": Op("Pow", "c x", {"c": number(1.7)}),
    "PRelu": Op("PRelu", "x c", {"c": number(0.2)}),
    "PRelu-channels": Op("PRelu", "x c", {"c": some(4, 1)}, dims=IMAGE),
    "Gemm": Op("Gemm", "x w b", {"w": some(6, 3), "b": some(3)}, dims=("T", 6)),
    "Gemm-transB": Op(
        "Gemm", "x w b", {"w": some(3, 6), "b": some(1, 3)}, {"transB": 1, "alpha": 0.5, "beta": 2.0}, ("T", 6)
    ),
    "Gemm-scalar-bias": Op("Gemm", "x w b", {"w": some(6, 3), "b": some(1)}, dims=("T", 6)),
    "Gemm-no-bias": Op("Gemm", "x w", {"w": some(6, 3)}, dims=("T", 6), opset=11),
    "Gemm-transA": Op("Gemm", "x w b", {"w": some(6, 3), "b": some(3)}, {"transA": 1}, (6, "T")),
    "Gemm-left": Op("Gemm", "w x b", {"w": some(3, 6), "b": some(3, 1)}, {"beta": 0.5}, (6, "T")),
    "MatMul": Op("MatMul", "x w", {"w": some(6, 3)}),
    "MatMul-3d": Op("MatMul", "x w", {"w": some(1, 6, 3)}),
    "MatMul-vector": Op("MatMul", "x w", {"w": some(6)}),
    "MatMul-left": Op("MatMul", "w x", {"w": some(3, 4)}, dims=IMAGE),
    "MatMul-left-time-last": Op("MatMul", "w x", {"w": some(3, 6)}, dims=(1, 6, "T")),
    "MatMul-left-vector": Op("MatMul", "w x", {"w": some(4)}, dims=IMAGE),
    "Softmax": Op("Softmax"),
    "Softmax-middle": Op("Softmax", attributes={"axis": 1}, dims=IMAGE),
    "Softmax-11": Op("Softmax", attributes={"axis": 2}, opset=11),
    "Softmax-11-flat": Op("Softmax", attributes={"axis": 1}, dims=IMAGE, opset=11),
    "LogSoftmax": Op("LogSoftmax", attributes={"axis": -1}),
    "Transpose": Op("Transpose", attributes={"perm": [1, 2, 0]}, dims=(1, 4, "T", 2)[1:]),
    "Transpose-all": Op("Transpose", dims=IMAGE),
    "Reshape": Op("Reshape", "x s", {"s": ints(0, -1, 2)}, dims=("T", 4, 3)),
    "Reshape-time-free": Op("Reshape", "x s", {"s": ints(-1, 3, 2)}),
    "Reshape-fixed": Op("Reshape", "x s", {"s": ints(1, -1, 2, 3)}),
    "Flatten": Op("Flatten", dims=IMAGE),
    "Flatten-2": Op("Flatten", attributes={"axis": 2}),
    "Squeeze": Op("Squeeze", "x a", {"a": ints(0)}),
    "Squeeze-11": Op("Squeeze", attributes={"axes": [0]}, opset=11),
    "Squeeze-all": Op("Squeeze"),
    "Unsqueeze": Op("Unsqueeze", "x a", {"a": ints(0, -1)}),
    "Unsqueeze-11": Op("Unsqueeze", attributes={"axes": [1]}, opset=11),
    "Slice": Op("Slice", "x s e a", {"s": ints(1), "e": ints(-1), "a": ints(2)}),
    "Slice-steps": Op("Slice", "x s e a t", {"s": ints(0), "e": ints(99), "a": ints(-1), "t": ints(2)}),
    "Slice-backwards": Op("Slice", "x s e a t", {"s": ints(-1), "e": ints(-99), "a": ints(2), "t": ints(-1)}),
    "Slice-7": Op("Slice", attributes={"starts": [1], "ends": [5], "axes": [2]}, opset=7),
    "Slice-time-whole": Op("Slice", "x s e a", {"s": ints(0), "e": ints(2**62), "a": ints(1)}),
    "Split": Op("Split", "x s", {"s": ints(1, 3, 2)}, {"axis": 2}, outputs="y y2 y3"),
    "Split-equal": Op("Split", attributes={"axis": -1}, outputs="y y2"),
    "Split-11": Op("Split", attributes={"axis": 2, "split": [4, 2]}, outputs="y y2", opset=11),
    "Split-18": Op("Split", attributes={"axis": 2, "num_outputs": 4}, dims=(1, "T", 7), outputs="y y2 y3 y4", opset=18),
    "Gather": Op("Gather", "x i", {"i": ints(2, 0, -1)}, {"axis": 2}),
    "Gather-one": Op("Gather", "x i", {"i": np.array(1)}, {"axis": 1}, dims=IMAGE),
    "Gather-before-time": Op("Gather", "x i", {"i": np.array([[1, 0], [2, 3]])}, {"axis": 0}, dims=(4, "T", 3)),
    "Concat": Op("Concat", "x x", {}, {"axis": 0}),
    "Concat-last": Op("Concat", "x x", {}, {"axis": -1}),
    "Concat-middle": Op("Concat", "x x", {}, {"axis": 1}, dims=IMAGE),
    "Expand": Op("Expand", "x s", {"s": ints(2, 1, 6)}),
    "Expand-wider": Op("Expand", "x s", {"s": ints(3, 1, 1, 1)}),
    "Tile": Op("Tile", "x c", {"c": ints(2, 1, 3)}),
    "Pad": Op("Pad", "x p v", {"p": ints(0, 0, 2, 0, 0, 1), "v": number(0.5)}),
    "Pad-edge": Op("Pad", "x p", {"p": ints(0, 0, 2, 0, 0, 1)}, {"mode": "edge"}),
    "Pad-reflect": Op("Pad", "x p", {"p": ints(0, 0, 2, 0, 0, 3)}, {"mode": "reflect"}),
    "Pad-crop": Op("Pad", "x p", {"p": ints(0, 0, -1, 0, 0, 2)}),
    "Pad-axes": Op("Pad", "x p - a", {"p": ints(2, 1), "a": ints(-1)}, opset=18),
    "Pad-7": Op("Pad", attributes={"pads": [0, 0, 1, 0, 0, 1], "value": 0.2}, opset=7),
    **{
        f"{kind}-{axes}": Op(kind, attributes={"axes": [axes], "keepdims": 0}, dims=PICTURE, opset=11)
        for kind in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2")
        for axes in (2, -1)
    },
    "ReduceSumSquare": Op("ReduceSumSquare", attributes={"axes": [1, 3]}, dims=PICTURE),
    "ReduceLogSumExp": Op("ReduceLogSumExp", attributes={"axes": [2]}),
    "ReduceSum-13": Op("ReduceSum", "x a", {"a": ints(-1)}, {"keepdims": 0}, opset=13),
    "ReduceMean-18": Op("ReduceMean", "x a", {"a": ints(2)}, opset=18),
    "ReduceSum-noop": Op("ReduceSum", attributes={"noop_with_empty_axes": 1}, opset=13),
    "LpNormalization": Op("LpNormalization", attributes={"axis": -1, "p": 1}),
    "LayerNormalization": Op("LayerNormalization", "x s b", {"s": some(6), "b": some(6)}),
    "LayerNormalization-axes": Op(
        "LayerNormalization", "x s", {"s": some(5, 6)}, {"axis": 2, "epsilon": 1e-3}, dims=PICTURE
    ),
    "BatchNormalization": Op(
        "BatchNormalization",
        "x s b m v",
        {"s": some(4), "b": some(4), "m": some(4), "v": np.abs(some(4))},
        {"epsilon": 1e-3},
        dims=IMAGE,
    ),
    "InstanceNormalization": Op("InstanceNormalization", "x s b", {"s": some(4), "b": some(4)}, dims=IMAGE),
    "GroupNormalization-18": Op(
        "GroupNormalization", "x s b", {"s": some(2), "b": some(2)}, {"num_groups": 2}, dims=IMAGE, opset=18
    ),
    "GroupNormalization-21": Op(
        "GroupNormalization", "x s b", {"s": some(4), "b": some(4)}, {"num_groups": 2}, dims=IMAGE, opset=21
    ),
    "Conv": Op("Conv", "x w b", {"w": some(5, 4, 3), "b": some(5)}, dims=IMAGE),
    "Conv-pads": Op("Conv", "x w", {"w": some(5, 4, 3)}, {"pads": [2, 1], "strides": [2], "dilations": [2]}, IMAGE),
    "Conv-same-upper": Op("Conv", "x w", {"w": some(2, 4, 4)}, {"auto_pad": "SAME_UPPER", "strides": [2]}, IMAGE),
    "Conv-same-lower": Op("Conv", "x w", {"w": some(2, 4, 4)}, {"auto_pad": "SAME_LOWER"}, IMAGE),
    "Conv-whole": Op("Conv", "x w b", {"w": some(5, 4, 7), "b": some(5)}, {"auto_pad": "VALID"}, IMAGE),
    "Conv-groups": Op("Conv", "x w b", {"w": some(6, 2, 3), "b": some(6)}, {"group": 2}, IMAGE),
    "Conv-depthwise": Op("Conv", "x w b", {"w": some(8, 1, 3), "b": some(8)}, {"group": 4, "pads": [1, 1]}, IMAGE),
    "Conv-point": Op("Conv", "x w b", {"w": some(3, 6, 1), "b": some(3)}, dims=(1, 6, "T")),
    "Conv-2d": Op("Conv", "x w b", {"w": some(3, 2, 2, 3), "b": some(3)}, {"strides": [2, 1]}, PICTURE),
    "Conv-2d-time-inside": Op("Conv", "x w", {"w": some(3, 2, 1, 3)}, {"pads": [0, 1, 0, 1]}, (1, 2, "T", 5)),
    "ConvTranspose": Op("ConvTranspose", "x w b", {"w": some(4, 5, 3), "b": some(5)}, {"strides": [2]}, IMAGE),
    "ConvTranspose-2d": Op("ConvTranspose", "x w", {"w": some(2, 3, 2, 3)}, {"pads": [1, 0, 1, 2]}, PICTURE),
    "ConvTranspose-time-inside": Op(
        "ConvTranspose",
        "x w",
        {"w": some(4, 2, 1, 3)},
        {"group": 2, "strides": [1, 2], "pads": [0, 1, 0, 1], "output_padding": [0, 1]},
        (1, 4, "T", 5),
    ),
    "Einsum-groups": Op("Einsum", "x w", {"w": some(3, 4, 5)}, {"equation": "btgi,gih->btgh"}, (1, "T", 3, 4)),
    "Einsum-left": Op("Einsum", "w x", {"w": some(5, 4)}, {"equation": "hi,bti->thb"}, (1, "T", 4)),
    "Einsum-outer": Op("Einsum", "x w", {"w": some(2, 3)}, {"equation": "bti,kl->btik"}, (1, "T", 4)),
    "Einsum-itself": Op("Einsum", "x x", {}, {"equation": "btgi,btgj->btij"}, (1, "T", 3, 4)),
    "Einsum-alone": Op("Einsum", "x", {}, {"equation": "btgi->tib"}, (1, "T", 3, 4)),
    "Einsum-implicit": Op("Einsum", "x w", {"w": some(4, 2)}, {"equation": "bti,ij"}, (1, "T", 4)),
    "MaxPool": Op("MaxPool", attributes={"kernel_shape": [3], "pads": [1, 1], "strides": [2]}, dims=IMAGE),
    "MaxPool-ceil": Op("MaxPool", attributes={"kernel_shape": [2], "strides": [2], "ceil_mode": 1}, dims=IMAGE),
    "MaxPool-2d": Op("MaxPool", attributes={"kernel_shape": [2, 3], "dilations": [2, 1]}, dims=PICTURE),
    "AveragePool": Op("AveragePool", attributes={"kernel_shape": [3], "pads": [1, 1]}, dims=IMAGE),
    "AveragePool-pad": Op(
        "AveragePool", attributes={"kernel_shape": [3], "pads": [1, 1], "count_include_pad": 1}, dims=IMAGE
    ),
    **{
        f"AveragePool-ceil-{count}": Op(
            "AveragePool",
            attributes={"kernel_shape": [2, 3], "strides": [2, 2], "pads": [0, 1, 0, 1], "ceil_mode": 1}
            | {"count_include_pad": count},
            dims=PICTURE,
        )
        for count in (0, 1)
    },
    "AveragePool-2d": Op("AveragePool", attributes={"kernel_shape": [2, 2], "pads": [1, 0, 0, 1]}, dims=PICTURE),
    "GlobalAveragePool": Op("GlobalAveragePool", dims=PICTURE),
    "GlobalMaxPool": Op("GlobalMaxPool", dims=PICTURE),
}
