"""The table of what surrounds recurrent layers in several nodes, and `SURROUNDINGS`: these chains and all operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx_cases import Dims, beside_a_cell, node
from surroundings import OPS, Op, ints, number, some


@dataclass(frozen=True)
class Chain:
    """Several nodes from x to y."""

    nodes: Sequence[onnx.NodeProto]
    constants: dict[str, Any] = field(default_factory=dict)
    dims: Dims = (1, "T", 6)
    opset: int = 17

    def model(self) -> onnx.ModelProto:
        """The graph, beside a cell."""
        return beside_a_cell(self.nodes, self.dims, self.constants, self.opset)


TO_FLOAT = node("Cast", "b", "y", to=1)
LENGTH = [node("Shape", "x", "shape"), node("Gather", "shape one", "steps", axis=0)]
CHAINS: dict[str, Chain] = {
    **{
        kind: Chain([node(kind, "x c", "b"), TO_FLOAT], {"c": some(6)}, opset=16)
        for kind in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")
    },
    **{
        kind: Chain(
            [node("Less", "x c", "p"), node("Greater", "x d", "q"), node(kind, "p q", "b"), TO_FLOAT],
            {"c": some(6), "d": some(6)},
        )
        for kind in ("And", "Or", "Xor")
    },
    "Not": Chain([node("Less", "x c", "p"), node("Not", "p", "b"), TO_FLOAT], {"c": some(6)}),
    "Where": Chain([node("Less", "x c", "p"), node("Where", "p x d", "y")], {"c": some(6), "d": some(1, 1, 1)}),
    "Where-constant": Chain([node("Where", "p x c", "y")], {"p": some(6) > 0, "c": number(0.5)}),
    "Cast-to-whole": Chain([node("Mul", "x c", "p"), node("Cast", "p", "b", to=7), TO_FLOAT], {"c": number(7)}),
    "Cast-to-truth": Chain([node("Relu", "x", "p"), node("Cast", "p", "b", to=9), TO_FLOAT]),
    "CastLike": Chain([node("CastLike", "x c", "b"), TO_FLOAT], {"c": ints(1)}),
    "Div-whole": Chain(
        [node("Mul", "x c", "p"), node("Cast", "p", "q", to=7), node("Div", "q d", "b"), TO_FLOAT],
        {"c": number(50), "d": np.array(7)},
    ),
    "Atan-of-quotients": Chain(  # infinite ones too; where there is none, zero
        [
            node("Relu", "x", "some"),
            node("Div", "x some", "q"),
            node("Atan", "q", "a"),
            node("IsNaN", "a", "none"),
            node("Where", "none zero a", "y"),
        ],
        {"zero": number(0)},
    ),
    "IsInf-of-quotients": Chain(  # above, below and both
        [
            node("Sign", "x", "some"),
            node("Relu", "x", "above"),
            node("Div", "some above", "q"),
            node("IsInf", "q", "p0", detect_negative=0),
            node("IsInf", "q", "p1", detect_positive=0),
            node("IsInf", "q", "p2"),
            node("IsInf", "q", "p3", detect_negative=0, detect_positive=0),
            *(node("Cast", f"p{k}", f"f{k}", to=1) for k in range(4)),
            node("Concat", "f0 f1 f2 f3", "y", axis=-1),
        ],
    ),
    "OneHot": Chain(
        [
            node("ArgMax", "x", "i", axis=-1, keepdims=0),
            node("Sub", "i two", "j"),
            node("OneHot", "j six v", "y", axis=1),
        ],
        {"two": np.array(2), "six": np.array(6), "v": np.array([0.5, 2], np.float32)},
    ),
    "Pow-vector": Chain([node("Abs", "x", "p"), node("Pow", "p c", "y")], {"c": some(6)}),
    "Log-Sqrt-Reciprocal": Chain(
        [
            node("Exp", "x", "p"),
            node("Log", "p", "q"),
            node("Exp", "q", "r2"),
            node("Sqrt", "r2", "s"),
            node("Reciprocal", "s", "y"),
        ]
    ),
    "ReduceLogSum": Chain([node("Exp", "x", "p"), node("ReduceLogSum", "p", "y", axes=[-1])]),
    "two-biases": Chain(
        [node("MatMul", "x w", "p"), node("Add", "p b", "q"), node("Add", "c q", "y")],
        {"w": some(6, 4), "b": some(4), "c": some(1, 1, 4)},
    ),
    "a-bias-of-one": Chain([node("MatMul", "x w", "p"), node("Add", "p b", "y")], {"w": some(6, 1), "b": some(1)}),
    "a-product-read-twice": Chain(
        [node("MatMul", "x w", "p"), node("Add", "p b", "q"), node("Mul", "p q", "y")], {"w": some(6, 4), "b": some(4)}
    ),
    "zeros-of-the-length": Chain(
        [
            *LENGTH,
            node("Concat", "one steps two", "s", axis=0),
            node("ConstantOfShape", "s", "z"),
            node("Concat", "x z", "y", axis=2),
        ],
        {"one": ints(1), "two": ints(2)},
    ),
    "a-constant-for-every-step": Chain(
        [*LENGTH, node("Concat", "one steps six", "s", axis=0), node("Expand", "c s", "e"), node("Mul", "x e", "y")],
        {"one": ints(1), "six": ints(6), "c": some(6)},
    ),
    "tiled-over-the-steps": Chain(
        [*LENGTH, node("Concat", "one steps one", "s", axis=0), node("Tile", "c s", "e"), node("Add", "x e", "y")],
        {"one": ints(1), "c": some(1, 1, 6)},
    ),
    "divided-by-a-size": Chain(
        [
            node("Shape", "x", "shape"),
            node("Gather", "shape two", "n", axis=0),
            node("Cast", "n", "m", to=1),
            node("Div", "x m", "y"),
        ],
        {"two": ints(2)},
    ),
    "outer-product": Chain(
        [node("Unsqueeze", "x three", "p"), node("Unsqueeze", "x two", "q"), node("Mul", "p q", "y")],
        {"two": ints(2), "three": ints(3)},
    ),
}
SURROUNDINGS: dict[str, Op | Chain] = {**OPS, **CHAINS}
