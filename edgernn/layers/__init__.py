"""WHAT a model is made of. A file a layer: its weights, its step as plain NumPy, its lowering, its ONNX rules.

`base` is the contract of a layer, `model` that of a Model. Operators that other layers make up have files of rules
alone (`operators` lists them), on what `rules`, `axes`, `broadcast`, `rhythm`, `past` and `windows` say of axes and
time.
`frontend`, `deciding`, `presets`, `mel` and `settings` are what stands in a file beside the layers.

In: nothing but numbers. Out: `LAYERS`, the one registry of layers; `operators.RULES`, what they cover of ONNX; `Model`.
A layer's file is loaded when the layer is first asked for, so that a model costs what it uses.
May import: errors; NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgernn.layers.base import Layer
    from edgernn.layers.constant import Constant
    from edgernn.layers.conv import Conv
    from edgernn.layers.dense import Affine
    from edgernn.layers.embedding import Embedding
    from edgernn.layers.gru import GRU
    from edgernn.layers.join import Join
    from edgernn.layers.lstm import LSTM
    from edgernn.layers.norm import Normalise
    from edgernn.layers.pointwise import Combine, Map, Select
    from edgernn.layers.reduce import Reduce
    from edgernn.layers.reshape import Reshape
    from edgernn.layers.rnn import RNN
    from edgernn.layers.softmax import Softmax
    from edgernn.layers.take import Take

__all__ = [
    "GRU",
    "LAYERS",
    "LSTM",
    "RNN",
    "Affine",
    "Combine",
    "Constant",
    "Conv",
    "Embedding",
    "Join",
    "Map",
    "Normalise",
    "Reduce",
    "Reshape",
    "Select",
    "Softmax",
    "Take",
]

_FILES = {
    "Affine": "dense",
    "Combine": "pointwise",
    "Constant": "constant",
    "Conv": "conv",
    "Embedding": "embedding",
    "GRU": "gru",
    "Join": "join",
    "LSTM": "lstm",
    "Map": "pointwise",
    "Normalise": "norm",
    "RNN": "rnn",
    "Reduce": "reduce",
    "Reshape": "reshape",
    "Select": "pointwise",
    "Softmax": "softmax",
    "Take": "take",
}


class _Registry(Mapping[str, "type[Layer]"]):
    def __getitem__(self, name: str) -> type[Layer]:
        layer: type[Layer] = getattr(import_module(f"edgernn.layers.{_FILES[name]}"), name)
        return layer

    def __iter__(self) -> Iterator[str]:
        return iter(_FILES)

    def __len__(self) -> int:
        return len(_FILES)


LAYERS = _Registry()


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module 'edgernn.layers' has no attribute '{name}'")
    return LAYERS[name]
