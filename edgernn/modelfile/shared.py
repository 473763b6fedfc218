"""Shared: of tensors that are equal one is stored, and the names of the others stand for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from edgernn.errors import BadModelFile
from edgernn.layers.base import Array

SMALLEST = 256  # bytes; less is not worth a name
LARGEST = 1 << 30  # bytes that names may stand for, which loading goes through to check the hash


def folded(tensors: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, str]]:
    """(the tensors without repetitions, name of a repetition -> the tensor that it equals)."""
    kept: dict[str, Array] = {}
    names: dict[str, str] = {}
    first: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    room = LARGEST
    for name, array in tensors.items():
        content = array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest()
        if content in first and SMALLEST <= array.nbytes <= room:
            names[name] = first[content]
            room -= array.nbytes
        else:
            kept[name] = array
            first.setdefault(content, name)
    return kept, names


def unfolded(tensors: Mapping[str, Array], names: object) -> dict[str, Array]:
    """All tensors by name. Raises BadModelFile for names that stand for nothing, or for too much."""
    if not isinstance(names, dict) or not all(isinstance(source, str) for source in names.values()):
        raise BadModelFile("'shared' is not an object of names")
    for name, source in names.items():
        if name in tensors or source not in tensors:
            raise BadModelFile(f"'shared' says that '{name}' is '{source}': there is one of its own, or none such")
    if sum(tensors[source].nbytes for source in names.values()) > LARGEST:
        raise BadModelFile(f"shared tensors stand for more than {LARGEST} bytes")
    return {**tensors, **{name: tensors[source] for name, source in names.items()}}
