"""Every ONNX rule there is: importing this loads the files of all layers, and those that hold nothing but rules.

Running a model needs none of them.
"""

from __future__ import annotations

from importlib import import_module

from edgernn.layers import LAYERS
from edgernn.layers.rules import RULES

__all__ = ["RULES"]

RULES_ALONE = """
    arctangent combine concat cumsum deconv depth_to_space einsum fourier functions fused gather matmul onehot pooling
    quantised resize reverse_sequence scatter slices stacking
"""

for _name in RULES_ALONE.split():
    import_module(f"edgernn.layers.{_name}")
for _layer in LAYERS.values():
    _ = _layer  # its rules are registered now
