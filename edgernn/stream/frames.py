"""Frames in and answers out: what the caller gives becomes arrays of the right layout, or a BadInput says why not."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Port

NO_TOKEN = -(2**63)  # stands for a number that is not whole, which is refused for its stream of a pool alone
FLOAT32 = np.dtype(np.float32)
Frames = Any  # an array, a number for token models, or a mapping port name -> one of them


def are_plain(given: Frames, shape: tuple[int, ...] | None) -> bool:
    """Whether these are frames in an array of this shape that the kernels can read where it lies."""
    if type(given) is not np.ndarray or given.dtype is not FLOAT32 or given.shape != shape:
        return False
    flags = given.flags
    return bool(flags.c_contiguous and flags.aligned)


def as_frames(given: Frames, ports: Sequence[Port], lead: tuple[int | None, ...]) -> list[Array]:
    """One C-contiguous array (T, ..., size) a port, float32 or int64.

    lead: the axes that the given arrays have before `size`: None for T; without it T = 1.
    Raises BadInput for a missing or unknown port, and for a wrong shape or dtype.
    """
    if isinstance(given, Mapping):
        _check_names(given, ports)
        arrays = [_as_array(given[port.name], port, lead) for port in ports]
    elif len(ports) == 1:
        arrays = [_as_array(given, ports[0], lead)]
    else:
        raise BadInput(
            f"the model has the inputs {', '.join(p.name for p in ports)}: give a mapping from name to array"
        )
    if len(arrays) > 1 and len(lengths := {len(array) for array in arrays}) > 1:
        raise BadInput(f"the inputs have {', '.join(map(str, sorted(lengths)))} frames; all need the same number")
    return arrays


def _check_names(given: Mapping[Any, Any], ports: Sequence[Port]) -> None:
    names = [port.name for port in ports]
    if given.keys() != set(names):
        raise BadInput(f"the model's inputs are {', '.join(names)}; given: {', '.join(map(str, given)) or 'none'}")


def as_array(given: Any, what: str) -> Array:
    """`given` as NumPy sees it. Raises BadInput where it cannot, or where some of it is masked; `what` it is."""
    if "numpy.ma" in sys.modules and isinstance(given, np.ma.MaskedArray):
        raise BadInput(f"{what} is a masked array: fill what is masked first, with its method filled()")
    try:
        return np.asarray(given)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:  # the last from tensors that are elsewhere
        raise BadInput(f"{what} is no array of numbers: {error}") from None


def _as_array(given: Any, port: Port, lead: tuple[int | None, ...]) -> Array:
    array = as_array(given, f"input '{port.name}'")
    axes = (*lead, port.size)
    if port.size == 1 and array.ndim == len(lead):
        array = array[..., None]  # one number a frame needs no axis of its own
    if array.ndim != len(axes) or any(n not in (None, found) for n, found in zip(axes, array.shape, strict=True)):
        expected = ", ".join("T" if n is None else str(n) for n in axes) + "," * (len(axes) == 1)
        raise BadInput(f"input '{port.name}' has shape {np.shape(given)}, expected ({expected})")
    wanted = np.dtype(port.dtype)
    if array.dtype != wanted:
        array = _converted(array, port, wanted, pool=any(lead))
    array = np.ascontiguousarray(array if array.flags.aligned else array.copy())
    return array if None in lead else array[None]


def _converted(array: Array, port: Port, wanted: np.dtype[Any], pool: bool) -> Array:
    if wanted.kind == "i":
        whole = array.dtype.kind == "f" and np.isfinite(array) & (array == np.trunc(array))
        if array.dtype.kind == "f" and (pool or np.all(whole)):  # as some exporters' tokens come
            array = np.where(whole, np.clip(array, -(2.0**62), 2.0**62), NO_TOKEN)
        elif array.dtype.kind == "u":
            array = np.minimum(array.astype(np.uint64), np.uint64(2**63 - 1))  # beyond any vocabulary
        elif array.dtype.kind == "f":
            raise BadInput(f"input '{port.name}' takes tokens, which are whole numbers: {array[~whole].flat[0]} came")
        elif array.dtype.kind != "i":
            raise BadInput(f"input '{port.name}' takes token numbers, got {_kind(array)}")
        return array.astype(wanted)
    if array.dtype.kind not in "fiu":
        raise BadInput(f"input '{port.name}' takes float32, got {_kind(array)}")
    with np.errstate(over="ignore"):
        return array.astype(wanted)


def _kind(array: Array) -> str:
    """What an array holds, for a message."""
    return "text" if array.dtype.kind in "US" else str(array.dtype)


def bad_value(port: Port, frames: Array) -> str | None:
    """What is wrong with the first of these frames, (T, size), that the kernel's check refuses; None where none is."""
    tokens = port.dtype == "int64"
    bad = (frames < port.low) | (frames > port.high) if tokens else ~np.isfinite(frames)
    for frame, at in np.argwhere(bad)[:1]:
        value, where = frames[frame, at], f"input '{port.name}', frame {frame}"
        if tokens and value == NO_TOKEN:
            return f"{where}: a number that is not whole; tokens within {port.low}..{port.high} expected"
        if tokens:
            return f"{where}: token {value} is outside {port.low}..{port.high}"
        return f"{where}, element {at} is {value}; all numbers must be finite in float32"
    return None


def as_outputs(out: Any, ports: Sequence[Port], lead: tuple[int, ...], blank: bool = False) -> list[Array]:
    """One array (*lead, size) a port for the answers: the caller's, `out` or by name in it, or a new one.

    blank: new ones are full of NaN. Raises BadInput for a name that no output has, and for an array that cannot take
    the answers.
    """
    if out is None:
        arrays = [np.empty((*lead, port.size), FLOAT32) for port in ports]
        for array in arrays if blank else ():
            array.fill(np.nan)
        return arrays
    named: Mapping[str, Any] = out if isinstance(out, Mapping) else {ports[0].name: out}
    unknown = [name for name in named if name not in {port.name for port in ports}]
    if unknown:
        raise BadInput(f"out names {unknown}; the outputs are {', '.join(port.name for port in ports)}")
    return [_as_output(named.get(port.name), port, lead, blank) for port in ports]


def _as_output(array: Array | None, port: Port, lead: tuple[int, ...], blank: bool) -> Array:
    if array is None:
        return as_outputs(None, (port,), lead, blank)[0]
    shape = (*lead, port.size)
    fits = isinstance(array, np.ndarray) and array.dtype == FLOAT32 and array.shape == shape
    if not fits or not array.flags.c_contiguous or not array.flags.writeable:
        raise BadInput(f"out for '{port.name}' must be a writeable C-contiguous float32 array of shape {shape}")
    return array
