"""Every ONNX rule there is: importing this loads the files of all layers, and those that hold nothing but rules.

Running a model needs none of them.
"""

from __future__ import annotations

from edgernn.layers import (
    LAYERS,
    arctangent,
    blocks,
    combine,
    concat,
    deconv,
    einsum,
    fourier,
    functions,
    fused,
    gather,
    matmul,
    onehot,
    pieces,
    pool,
    quantised,
    resize,
    running,
    scatter,
    stacking,
    turn,
)
from edgernn.layers.rules import RULES

__all__ = [
    "RULES",
    "arctangent",
    "blocks",
    "combine",
    "concat",
    "deconv",
    "einsum",
    "fourier",
    "functions",
    "fused",
    "gather",
    "matmul",
    "onehot",
    "pieces",
    "pool",
    "quantised",
    "resize",
    "running",
    "scatter",
    "stacking",
    "turn",
]

for _layer in LAYERS.values():
    _ = _layer  # its rules are registered now
