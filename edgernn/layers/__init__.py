"""WHAT a model is made of. A file a layer: its weights, its step as plain NumPy, its lowering, its ONNX rules.

In: nothing but numbers. Out: `LAYERS`, the one registry of layers; `rules.RULES`, what they cover of ONNX; `Model`.
May import: errors; NumPy only.
"""

from __future__ import annotations

from edgernn.layers import combine, deconv, einsum, functions, pieces, pool, quantised, running, stacking, turn
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

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Affine,
        Combine,
        Constant,
        Conv,
        Embedding,
        GRU,
        Join,
        LSTM,
        Map,
        Normalise,
        RNN,
        Reduce,
        Reshape,
        Select,
        Softmax,
        Take,
    )
}

# these hold rules only, for layers of other files: combine, deconv, einsum, functions, pieces, pool, quantised,
# running, stacking, turn
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
    "combine",
    "deconv",
    "einsum",
    "functions",
    "pieces",
    "pool",
    "quantised",
    "running",
    "stacking",
    "turn",
]
