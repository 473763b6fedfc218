"""Matrices <-> named tensors, in every number format."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgernn.errors import BadModelFile
from edgernn.layers.base import FORMATS, Array, QuantisedMatrix
from edgernn.layers.matrix import from_nibbles, nibbles

Take = Callable[[str, str], Array]  # (name of a tensor, its dtype) -> the tensor, or BadModelFile


def tensor(format: str) -> str:
    """What follows the field's name in the name of the integers' tensor."""
    return "q" if format == "int8" else f"q.{format}"


def stored(name: str, weight: QuantisedMatrix) -> dict[str, Array]:
    """The tensors of a matrix."""
    key = f"{name}.{tensor(weight.format)}"
    tensors = {key: weight.q if weight.factor is None else nibbles(weight.q), f"{name}.scale": weight.scale}
    more = {"factor": weight.factor, "reach": weight.reach}
    return tensors | {f"{name}.{field}": array for field, array in more.items() if array is not None}


def restored(name: str, format: str, static: bool, take: Take) -> QuantisedMatrix:
    """The matrix of these tensors; static: with a reach. Raises BadModelFile where they are not what `stored` makes."""
    key, number = f"{name}.{tensor(format)}", FORMATS[format]
    q = take(key, "uint8" if number.group else np.dtype(number.kind).name)
    scale = take(f"{name}.scale", "float32")
    limits = f"{format} within -{number.largest}..{number.largest}"
    if q.ndim != 2 or scale.shape != q.shape[:1] or not (scale > 0).all():
        raise BadModelFile(f"tensors '{key}' and '{name}.scale' are not {limits} with one scale > 0 a row")
    if number.group == 0:
        if (q < -number.largest).any():
            raise BadModelFile(f"tensor '{key}' is not {limits} with one scale > 0 a row")
        return QuantisedMatrix(q, scale, format, reach=_reach(name, take) if static else None)
    try:
        q = from_nibbles(q)
    except ValueError:
        raise BadModelFile(f"tensor '{key}' is not {limits}, plus 8, two in a byte") from None
    q.flags.writeable = False
    factor = take(f"{name}.factor", "uint8")
    if factor.shape != (len(q), -(-q.shape[1] // number.group)) or not (factor > 0).all():
        raise BadModelFile(f"tensor '{name}.factor' is not one factor > 0 for each {number.group} columns of a row")
    return QuantisedMatrix(q, scale, format, factor, _reach(name, take) if static else None)


def _reach(name: str, take: Take) -> Array:
    reach = take(f"{name}.reach", "float32")
    if reach.shape != (1,) or not (reach > np.finfo(np.float32).tiny).all():
        raise BadModelFile(f"tensor '{name}.reach' is not one number > 0")
    return reach
