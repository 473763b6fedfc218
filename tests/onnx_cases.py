"""ONNX graphs for tests: builders that give an onnx.ModelProto, and `CELLS`, recurrent nodes with every attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}

Dims = Sequence[int | str | None]
Constants = Mapping[str, Any]


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node; names are separated by blanks, and `-` is an absent input or output."""
    read, made = (
        [name.replace("-", "") if name == "-" else name for name in text.split()] for text in (inputs, outputs)
    )
    return helper.make_node(kind, read, made, name=f"{kind}_{made[0]}", **attributes)


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Dims],
    outputs: Sequence[str],
    constants: Constants | None = None,
    opset: int = 17,
    integers: Sequence[str] = (),
) -> onnx.ModelProto:
    """A model with float inputs (`integers` names the others) of these dimensions, and constants as initializers."""
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    kinds = {name: TensorProto.INT64 if name in integers else TensorProto.FLOAT for name in inputs}
    made = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, kinds[name], list(dims)) for name, dims in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        held,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def weights(kind: str, n_in: int, hidden: int, seed: int = 0, scale: float = 1.0) -> dict[str, np.ndarray]:
    """W, R and B of a cell: float32, uniform within -scale..scale."""
    rng, rows = np.random.default_rng(seed), GATES[kind] * hidden
    shapes = {"W": (1, rows, n_in), "R": (1, rows, hidden), "B": (1, 2 * rows)}
    return {name: rng.uniform(-scale, scale, shape).astype(np.float32) for name, shape in shapes.items()}


@dataclass(frozen=True)
class Cell:
    """A recurrent node: its kind, attributes, which optional inputs it has, and the opset."""

    kind: str
    attributes: dict[str, Any] = field(default_factory=dict)
    inputs: str = "B"  # some of: B (bias), H (initial_h), C (initial_c), P (peepholes)
    opset: int = 17
    n_in: int = 3
    hidden: int = 5
    scale: float = 1.0

    def constants(self) -> dict[str, np.ndarray]:
        """The constants that the node reads, by name."""
        held = weights(self.kind, self.n_in, self.hidden, scale=self.scale)
        rng = np.random.default_rng(9)
        for name, shape in (("H", (1, 1, self.hidden)), ("C", (1, 1, self.hidden)), ("P", (1, 3 * self.hidden))):
            held[name] = rng.uniform(-1, 1, shape).astype(np.float32)
        known = self.inputs if self.kind == "LSTM" else self.inputs.replace("C", "")
        return {name: value for name, value in held.items() if name in "WR" or name in known}

    def model(self) -> onnx.ModelProto:
        """x (T, 1, n_in), or (1, T, n_in) with layout=1 -> Y, Y_h and, of an LSTM, Y_c."""
        order = ["B", "-", "H"] + (["C", "P"] if self.kind == "LSTM" else [])
        optional = " ".join(name if name in self.inputs else "-" for name in order)
        outputs = "Y Y_h Y_c" if self.kind == "LSTM" else "Y Y_h"
        made = node(self.kind, f"x W R {optional}", outputs, hidden_size=self.hidden, **self.attributes)
        dims = (1, "T", self.n_in) if self.attributes.get("layout") else ("T", 1, self.n_in)
        return graph([made], {"x": dims}, outputs.split(), self.constants(), self.opset)


ONE_PARAMETER = {"Affine": 0.8, "LeakyRelu": 0.2, "ThresholdedRelu": 0.3, "Elu": 0.7}
CELLS: dict[str, Cell] = {
    **{kind.lower(): Cell(kind) for kind in GATES},
    **{f"{kind.lower()}-no-bias": Cell(kind, inputs="") for kind in GATES},
    **{f"{kind.lower()}-opset-7": Cell(kind, opset=7) for kind in GATES},
    **{f"{kind.lower()}-opset-22": Cell(kind, opset=22) for kind in GATES},
    **{f"{kind.lower()}-initial": Cell(kind, inputs="BHC") for kind in GATES},
    **{f"{kind.lower()}-clip": Cell(kind, {"clip": 0.4}, scale=2) for kind in GATES},
    **{f"{kind.lower()}-clip-no-bias": Cell(kind, {"clip": 0.4}, inputs="", scale=2) for kind in GATES},
    **{f"{kind.lower()}-layout-1": Cell(kind, {"layout": 1}, inputs="BHC") for kind in GATES},
    **{
        f"rnn-{name.lower()}": Cell("RNN", {"activations": [name]}, scale=0.5)
        for name in ("Relu", "Sigmoid", "Softplus")
    },
    **{
        f"rnn-{name.lower()}": Cell("RNN", {"activations": [name], "activation_alpha": [alpha]}, scale=0.4)
        for name, alpha in ONE_PARAMETER.items()
    },
    "rnn-defaults": Cell("RNN", {"activations": ["LeakyRelu"]}, scale=0.5),
    "rnn-hardsigmoid": Cell("RNN", {"activations": ["HardSigmoid"]}),
    "rnn-elu": Cell("RNN", {"activations": ["Elu"]}, scale=0.4),
    "rnn-scaledtanh": Cell("RNN", {"activations": ["ScaledTanh"], "activation_alpha": [1.2], "activation_beta": [0.7]}),
    "rnn-lower-case": Cell("RNN", {"activations": ["tanh"]}),
    "gru-reset-after": Cell("GRU", {"linear_before_reset": 1}),
    "gru-reset-after-clip": Cell("GRU", {"linear_before_reset": 1, "clip": 0.4}, scale=2),
    "gru-activations": Cell("GRU", {"activations": ["HardSigmoid", "Softsign"], "linear_before_reset": 1}),
    "gru-alphas": Cell(
        "GRU",
        {"activations": ["HardSigmoid", "LeakyRelu"], "activation_alpha": [0.3, 0.05], "activation_beta": [0.4]},
        scale=0.5,
    ),
    "lstm-peepholes": Cell("LSTM", inputs="BP"),
    "lstm-peepholes-clip": Cell("LSTM", {"clip": 0.6}, inputs="BHCP", scale=2),
    "lstm-input-forget": Cell("LSTM", {"input_forget": 1}, inputs="BHC"),
    "lstm-input-forget-peepholes-clip": Cell("LSTM", {"input_forget": 1, "clip": 0.5}, inputs="BP", scale=2),
    "lstm-activations": Cell("LSTM", {"activations": ["HardSigmoid", "Softsign", "Relu"]}, scale=0.5),
    "lstm-alphas": Cell(
        "LSTM",
        {
            "activations": ["Sigmoid", "ScaledTanh", "HardSigmoid"],
            "activation_alpha": [1.2, 0.1],
            "activation_beta": [0.9, 0.4],
        },
    ),
    "lstm-one": Cell("LSTM", hidden=1, n_in=1),
}


def beside_a_cell(
    nodes: Sequence[onnx.NodeProto],
    dims: Dims,
    constants: Constants | None = None,
    opset: int = 17,
    outputs: Sequence[str] = ("y",),
) -> onnx.ModelProto:
    """Nodes from x (of these dims, "T" among them) to y, and beside them, since that makes a stream, an RNN to `r`."""
    size = int(np.prod([n for n in dims if isinstance(n, int)]))
    cell = weights("RNN", size, 2)
    time = list(dims).index("T")
    beside = [
        node("Transpose", "x", "rnn_t", perm=[time, *(axis for axis in range(len(dims)) if axis != time)]),
        node("Reshape", "rnn_t rnn_shape", "rnn_x"),
        node("RNN", "rnn_x rnn_W rnn_R", "rnn_Y", hidden_size=2),
        node("Squeeze", "rnn_Y" if opset < 13 else "rnn_Y rnn_axes", "r", **({"axes": [1]} if opset < 13 else {})),
    ]
    held = {
        "rnn_shape": np.array([-1, 1, size]),
        "rnn_axes": np.array([1]),
        "rnn_W": cell["W"],
        "rnn_R": cell["R"],
        **(constants or {}),
    }
    used = {name for made in [*nodes, *beside] for name in made.input}
    held = {name: value for name, value in held.items() if name in used}
    return graph([*nodes, *beside], {"x": dims}, [*outputs, "r"], held, opset)


GRU = weights("GRU", 3, 5)


def on_gru(*nodes: onnx.NodeProto, constants: Constants | None = None, **cell: Any) -> onnx.ModelProto:
    """x (T, 1, 3) through a GRU with these attributes to Y (T, 1, 1, 5) and Y_h (1, 1, 5), then nodes to y."""
    made = node("GRU", "x W R B", "Y Y_h", **({"hidden_size": 5} | cell))
    return graph([made, *nodes], {"x": ("T", 1, 3)}, ["y" if nodes else "Y"], {**GRU, **(constants or {})})


def onnx_runtime(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """ONNX Runtime's outputs by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))
