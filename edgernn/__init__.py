"""Trained recurrent networks, one timestep at a time, where the data is born.

    model = edgernn.convert("kws.onnx", quantize="int8")
    model.save("kws.edgernn")
    stream = edgernn.load("kws.edgernn").stream()
    y = stream.step(x)

Importing edgernn costs NumPy only: what a name needs is imported when the name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgernn.errors import BackendUnavailable, BadInput, BadModelFile, EdgernnError, RefusedStreams, UnsupportedModel

if TYPE_CHECKING:
    from edgernn.conversion import convert
    from edgernn.layers.model import Model
    from edgernn.modelfile import load
    from edgernn.pipelines.decide import Decision
    from edgernn.pipelines.pipeline import Pipeline
    from edgernn.stream import Pool, Stream

__version__ = "0.1.0"

__all__ = [
    "BackendUnavailable",
    "BadInput",
    "BadModelFile",
    "Decision",
    "EdgernnError",
    "Model",
    "Pipeline",
    "Pool",
    "RefusedStreams",
    "Stream",
    "UnsupportedModel",
    "__version__",
    "convert",
    "load",
]

_HOMES = {
    "Decision": "edgernn.pipelines.decide",
    "Model": "edgernn.layers.model",
    "Pipeline": "edgernn.pipelines.pipeline",
    "Pool": "edgernn.stream",
    "Stream": "edgernn.stream",
    "convert": "edgernn.conversion",
    "load": "edgernn.modelfile",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgernn' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
