"""DepthToSpace, SpaceToDepth and Trilu: channels as places and back, and one half of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgernn.layers.axes import full_shape, numbers
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.stacking import reshape_all
from edgernn.layers.take import places, taken, transpose


@rule("DepthToSpace")
def depth_to_space(g: Importing, input: Value, *, blocksize: int, mode: str = "DCR") -> Value:
    """ONNX DepthToSpace: blocks of channels become blocks of places."""
    n, channels, height, width = _picture(g, input, blocksize)
    if mode not in ("DCR", "CRD") or channels % blocksize**2:
        g.refuse(f"blocksize={blocksize}, mode={mode} for {channels} channels")
    kept = channels // blocksize**2
    split = [blocksize, blocksize, kept] if mode == "DCR" else [kept, blocksize, blocksize]
    order = [0, 3, 4, 1, 5, 2] if mode == "DCR" else [0, 1, 4, 2, 5, 3]
    y = transpose(g, reshape_all(g, input, [n, *split, height, width]), perm=order)
    return reshape_all(g, y, [n, kept, height * blocksize, width * blocksize])


@rule("SpaceToDepth")
def space_to_depth(g: Importing, input: Value, *, blocksize: int, mode: str = "DCR") -> Value:
    """ONNX SpaceToDepth: blocks of places become channels."""
    n, channels, height, width = _picture(g, input, blocksize)
    if mode not in ("DCR", "CRD"):
        g.refuse(f"mode={mode}: DCR or CRD expected")
    rows, columns = height // blocksize, width // blocksize
    y = reshape_all(g, input, [n, channels, rows, blocksize, columns, blocksize])
    turned = transpose(g, y, perm=[0, 3, 5, 1, 2, 4] if mode == "DCR" else [0, 1, 3, 5, 2, 4])
    return reshape_all(g, turned, [n, channels * blocksize**2, rows, columns])


def _picture(g: Importing, x: Value, blocksize: int) -> list[Any]:
    """The sizes of a picture (N, C, H, W)."""
    if len(x.shape) != 4 or blocksize < 1 or x.time == 1:
        g.refuse(f"blocksize={blocksize} over {len(x.shape)} axes, with time on axis {x.time}: a picture expected")
    return full_shape(g, x)


@rule("Trilu")
def trilu(g: Importing, input: Value, k: Value | None = None, *, upper: int = 1) -> Value:
    """ONNX Trilu within a frame: what is on the other side of the diagonal becomes 0."""
    rank = len(input.shape)
    if rank < 2 or input.time in (rank - 2, rank - 1):
        g.refuse("cuts a triangle out of the sequence: a stream has no first step", WINDOW)
    offset = 0 if k is None else numbers(g, k, "k")[0]
    inside = (np.triu if upper else np.tril)(np.ones(input.shape[-2:], bool), offset)
    return taken(g, input, np.where(inside, places(input), -1), input.time)
