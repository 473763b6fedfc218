"""ONNX file -> Model: read, find time and state, build layer by layer, simplify.

In: the path of an ONNX file, or its bytes. Out: `read` gives a Model or raises with every problem at once; `analyse`
gives a Report of what was found. May import: errors, layers; NumPy and onnx.
"""

from __future__ import annotations

from edgernn.importer.analyse import NARROWED, Report, analyse, read
from edgernn.layers import operators  # noqa: F401 (all rules are there now)

__all__ = ["NARROWED", "Report", "analyse", "read"]
