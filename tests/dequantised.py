"""Files of ONNX Runtime's quantize_dynamic without its rounding: the float graph that they stand for, as an oracle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgernn.layers.base import Array

Held = dict[str, Array]


def dequantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph of float operators only: weights times their scales, activations at a scale of 1."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    nodes = [NEW.get(node.op_type, _same)(node, held) for node in model.graph.node]
    del made.graph.node[:], made.graph.initializer[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in held.items())
    return made


def _same(node: onnx.NodeProto, held: Held) -> onnx.NodeProto:
    return node


def _linear(node: onnx.NodeProto, held: Held) -> onnx.NodeProto:
    """DynamicQuantizeLinear: x itself, and a scale of 1."""
    values, scale, point = node.output
    held[scale], held[point] = np.float32(1), np.uint8(0)
    return helper.make_node("Identity", node.input, [values])


def _product(node: onnx.NodeProto, held: Held) -> onnx.NodeProto:
    """MatMulInteger and ConvInteger: the weight less its zero point."""
    x, w, _, *point = node.input
    name = f"{w} in {node.name}"
    held[name] = held[w].astype(np.float32) - (held[point[0]].astype(np.float32) if point else 0)
    kind = node.op_type.removesuffix("Integer")
    made = helper.make_node(kind, [x, name], node.output)
    made.attribute.extend(node.attribute)
    return made


def _lstm(node: onnx.NodeProto, held: Held) -> onnx.NodeProto:
    """DynamicQuantizeLSTM: W and R (directions, columns, 4 * H) with a scale each."""
    inputs = list(node.input)
    for place, (scale, point) in ((1, inputs[8:10]), (2, inputs[10:12])):
        name = f"{inputs[place]} in {node.name}"
        exact = held[inputs[place]].astype(np.float32) - held[point].astype(np.float32).reshape(
            len(held[inputs[place]]), 1, -1
        )
        held[name] = np.ascontiguousarray((exact * held[scale].reshape(len(exact), 1, -1)).swapaxes(1, 2))
        inputs[place] = name
    made = helper.make_node("LSTM", inputs[:8], node.output)
    made.attribute.extend(node.attribute)
    return made


NEW: dict[str, Callable[[onnx.NodeProto, Held], onnx.NodeProto]] = {
    "DynamicQuantizeLinear": _linear,
    "MatMulInteger": _product,
    "ConvInteger": _product,
    "DynamicQuantizeLSTM": _lstm,
}
