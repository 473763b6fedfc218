"""What ONNX Runtime's optimiser writes: nodes of com.microsoft that stand for several of ONNX's own.

Definitions: ONNX Runtime's ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgernn.layers.combine import combined
from edgernn.layers.conv import conv
from edgernn.layers.functions import mapped
from edgernn.layers.matmul import flipped, gemm, matmul
from edgernn.layers.norm import normalised
from edgernn.layers.pointwise import LARGEST
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import transpose

ACTIVATIONS = {  # by ONNX's names: ours, and the defaults of their parameters
    "Relu": ("relu", ()),
    "Sigmoid": ("sigmoid", ()),
    "Tanh": ("tanh", ()),
    "HardSwish": ("hardswish", ()),
    "Softplus": ("softplus", ()),
    "Softsign": ("softsign", ()),
    "Elu": ("elu", (1.0,)),
    "ThresholdedRelu": ("thresholdedrelu", (1.0,)),
    "Selu": ("selu", (1.6732632423543772, 1.0507009873554805)),
    "LeakyRelu": ("leakyrelu", (0.01,)),
    "HardSigmoid": ("hardsigmoid", (0.2, 0.5)),
    "Clip": ("clip", (-LARGEST, LARGEST)),
}


def activated(g: Importing, y: Value, name: str, given: Sequence[float]) -> Value:
    """y through an activation; nothing for an empty name."""
    if not name:
        return y
    if name not in ACTIVATIONS:
        g.refuse(f"activation={name}: one of {', '.join(ACTIVATIONS)} expected")
    function, defaults = ACTIVATIONS[name]
    return mapped(g, y, function, *[*given, *defaults[len(given) :]][: len(defaults)])


@rule("FusedConv")
def fused_conv(
    g: Importing,
    X: Value,
    W: Value,
    B: Value | None = None,
    Z: Value | None = None,
    *,
    activation: str = "",
    activation_params: Sequence[float] = (),
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """FusedConv: a Conv, plus Z, through an activation."""
    given: dict[str, Any] = {"auto_pad": auto_pad, "dilations": dilations, "group": group, "kernel_shape": kernel_shape}
    y = conv(g, X, W, B, **given, pads=pads, strides=strides)
    return activated(g, y if Z is None else combined(g, "add", y, Z), activation, activation_params)


@rule("FusedGemm")
def fused_gemm(
    g: Importing,
    A: Value,
    B: Value,
    C: Value | None = None,
    *,
    activation: str = "",
    activation_alpha: float | None = None,
    activation_beta: float | None = None,
    activation_gamma: float | None = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Value:
    """FusedGemm: a Gemm through an activation."""
    y = gemm(g, A, B, C, alpha=alpha, beta=beta, transA=transA, transB=transB)
    given = [p for p in (activation_alpha, activation_beta, activation_gamma) if p is not None]
    return activated(g, y, activation, given)


@rule("FusedMatMul")
def fused_matmul(
    g: Importing,
    A: Value,
    B: Value,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    transBatchA: int = 0,
    transBatchB: int = 0,
) -> Value:
    """FusedMatMul: alpha * A' @ B', the first axis of either moved before its last or not, then its last two turned."""
    A, B = (_batched(g, x) if moved else x for x, moved in ((A, transBatchA), (B, transBatchB)))
    if B.const is not None and B.time is None:
        held = np.asarray(B.const, np.float32) * np.float32(alpha)
        B, alpha = g.constant(held.swapaxes(-1, -2) if transB and held.ndim > 1 else held), 1.0
    elif transB and len(B.shape) > 1:
        B = flipped(g, B)
    y = matmul(g, flipped(g, A) if transA and len(A.shape) > 1 else A, B)
    return y if alpha == 1.0 else mapped(g, y, "affine", alpha)


def _batched(g: Importing, x: Value) -> Value:
    """x with its first axis before its last."""
    last = len(x.shape) - 1
    return transpose(g, x, perm=[*range(1, last), 0, last]) if last > 1 else x


@rule("QuickGelu")
def quick_gelu(g: Importing, X: Value, *, alpha: float = 1.702) -> Value:
    """QuickGelu: x * sigmoid(alpha x)."""
    return mapped(g, X, "swish", alpha)


@rule("FastGelu", "BiasGelu")
def biased_gelu(g: Importing, X: Value, bias: Value | None = None, *, operator: str) -> Value:
    """FastGelu (by tanh) and BiasGelu (exact) of x + bias."""
    x = X if bias is None else combined(g, "add", X, bias)
    return mapped(g, x, "gelu" if operator == "BiasGelu" else "gelu_tanh")


@rule("SkipSimplifiedLayerNormalization")
def skip_simplified_layer_normalization(
    g: Importing, input: Value, skip: Value, gamma: Value, bias: Value | None = None, *, epsilon: float = 1e-12
) -> tuple[Value | None, ...]:
    """SkipSimplifiedLayerNormalization: the same without taking the mean away and adding one."""
    x = combined(g, "add", input, skip)
    x = x if bias is None else combined(g, "add", x, bias)
    return normalised(g, x, len(x.shape) - 1, epsilon, False, gamma, None), None, None, x


@rule("SkipLayerNormalization")
def skip_layer_normalization(
    g: Importing,
    input: Value,
    skip: Value,
    gamma: Value,
    beta: Value | None = None,
    bias: Value | None = None,
    *,
    epsilon: float = 1e-12,
) -> tuple[Value | None, ...]:
    """SkipLayerNormalization: input + skip + bias, normalised over the last axis; the sum is its fourth output."""
    x = combined(g, "add", input, skip)
    x = x if bias is None else combined(g, "add", x, bias)
    return normalised(g, x, len(x.shape) - 1, epsilon, True, gamma, beta), None, None, x
