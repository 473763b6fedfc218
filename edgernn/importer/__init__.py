"""ONNX file -> Model: read, find time and state, build layer by layer, simplify.

In: the path of an ONNX file, or its bytes. Out: `read` gives a Model or raises with every problem at once; `analyse`
gives a Report of what was found. May import: errors, layers; NumPy and onnx.

`analyse` goes through the rooms in this order: `file` reads the graph, `rewrites` put it in simpler words, `readings`
say which axis may be time, a `walk` under one of them makes layers of the nodes, `states` pairs what goes on from frame
to frame, and `model` makes the Model of it all. The rules that turn an operator into layers are in `edgernn.layers`.
"""

from __future__ import annotations

from edgernn.importer.analyse import NARROWED, Report, analyse, read
from edgernn.layers import operators  # noqa: F401 (all rules are there now)

__all__ = ["NARROWED", "Report", "analyse", "read"]
