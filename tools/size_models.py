"""The benchmark's models as ONNX step graphs: one frame and the states in, the answer and the new states out.

make_step_graph(model) -> onnx.ModelProto, for a stack of tests/cases.py
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgernn.layers import GRU, LSTM, RNN, Affine, Embedding, Map, Softmax
from edgernn.layers.base import Array, dense
from edgernn.layers.model import Model, Node


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def tensor(self, array: Array) -> str:
        name = f"w{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, operator: str, inputs: list[str], outputs: int = 1, **attributes: object) -> list[str]:
        names = [f"{operator}{len(self.nodes)}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names


def _recurrent(graph: _Graph, layer: LSTM | GRU | RNN, x: str, number: int) -> str:
    bias = layer.bias
    hidden = layer.R.shape[1]
    if isinstance(layer, GRU):
        b = np.concatenate([bias[: 3 * hidden], np.zeros(2 * hidden, np.float32), bias[3 * hidden :]])
    else:
        b = np.concatenate([bias, np.zeros_like(bias)])
    names = [f"{kind}{number}" for kind in ("hc" if isinstance(layer, LSTM) else "h")]
    for name in names:
        graph.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, hidden]))
        graph.outputs.append(helper.make_tensor_value_info(name + ".new", TensorProto.FLOAT, [1, 1, hidden]))
    weights = [graph.tensor(array[None]) for array in (dense(layer.W), dense(layer.R), b)]
    extra = {"linear_before_reset": 1} if isinstance(layer, GRU) else {}
    made = graph.node(type(layer).__name__, [x, *weights, "", *names], 1 + len(names), hidden_size=hidden, **extra)
    graph.nodes[-1].output[1:] = [name + ".new" for name in names]
    return graph.node("Squeeze", [made[0], graph.tensor(np.array([1]))])[0]


def _other(graph: _Graph, node: Node, x: str) -> str:
    layer = node.layer
    if isinstance(layer, Embedding):
        return graph.node("Gather", [graph.tensor(dense(layer.table)), x])[0]
    if isinstance(layer, Affine):
        product = graph.node("MatMul", [x, graph.tensor(dense(layer.weight).T)])[0]
        return graph.node("Add", [product, graph.tensor(layer.bias)])[0] if layer.bias is not None else product
    if isinstance(layer, Softmax):
        return graph.node("Softmax", [x], axis=-1)[0]
    if isinstance(layer, Map):
        return graph.node(layer.function.capitalize(), [x])[0]
    return x


def make_step_graph(model: Model) -> onnx.ModelProto:
    """An ONNX model with the same weights. x: (1, 1, n_in) or a token (1, 1); states (1, 1, H); y: (1, 1, n_out)."""
    graph = _Graph()
    (port,), value = model.inputs, "x"
    tokens = port.dtype == "int64"
    kind, shape = (TensorProto.INT64, [1, 1]) if tokens else (TensorProto.FLOAT, [1, 1, port.size])
    graph.inputs.append(helper.make_tensor_value_info("x", kind, shape))
    for number, node in enumerate(model.nodes):
        if isinstance(node.layer, (LSTM, GRU, RNN)):
            value = _recurrent(graph, node.layer, value, number)
        else:
            value = _other(graph, node, value)
    graph.nodes.append(helper.make_node("Identity", [value], ["y"]))
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, model.outputs[0].size])
    proto = helper.make_graph(graph.nodes, "size", graph.inputs, [answer, *graph.outputs], graph.tensors)
    made = helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made
