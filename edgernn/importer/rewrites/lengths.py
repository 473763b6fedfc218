"""Lengths: inputs that say how long each sequence is, which in a stream are as long as it is.

A batch of sequences is padded to one length, and `sequence_lens` of a recurrent layer says where each of them ends. A
stream has nothing behind its end: so such an input is no port, but the number of frames.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgernn.importer.file.graph import Graph, Input
from edgernn.layers.recurrent import CELLS

PASSING = ("Cast", "Identity", "Reshape", "Squeeze", "TopK", "Unsqueeze")  # TopK: PyTorch sorts what it packs
PLACE = 4  # of sequence_lens among the inputs of a recurrent layer


def counted(graph: Graph) -> Graph:
    """The graph with each input marked that recurrent layers take as the lengths of their sequences."""
    makers = {name: o for o in graph.operators for name in o.outputs}
    found = set()
    for name in (o.inputs[PLACE] for o in graph.operators if o.kind in CELLS and len(o.inputs) > PLACE):
        while name in makers and makers[name].kind in PASSING and makers[name].inputs:
            name = makers[name].inputs[0]
        found.add(name)
    return replace(graph, inputs=tuple(replace(x, counts=x.name in found and _one_each(x)) for x in graph.inputs))


def _one_each(given: Input) -> bool:
    """Whether an input has one whole number for each sequence."""
    return np.dtype(given.dtype).kind in "iu" and given.dims is not None and len(given.dims) < 2
