"""Tensors and one text <-> safetensors bytes, within bounds of time and memory: a few times the size of the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors

from edgernn.errors import BadModelFile
from edgernn.layers.base import Array

KEY, BUILT = "edgernn", "built"
MAX_HEADER = 100_000_000  # bytes; safetensors' own limit
ALIGNED = 64  # bytes
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "F16": np.dtype("<f2"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
}

# Parsed JSON can take some 200 bytes a bracket or comma: this many whatever the size of the file, and one in so many
# bytes of it, keep the whole within ten times the file plus 30 MB.
FREE_PARTS, BYTES_A_PART = 150_000, 32


def pack(text: str, tensors: Mapping[str, Array]) -> bytes:
    """The bytes of a file with these tensors and this text."""
    from safetensors import numpy as safetensors_numpy

    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    return bytes(safetensors_numpy.save(contiguous, {KEY: text}))


def with_built(text: str, tensors: Mapping[str, Array], built: Array) -> bytes:
    """The same, and what a built library reads in it, (n,) int64: the first tensor, from a multiple of 64 bytes on."""
    data = pack(text, {**tensors, BUILT: built})
    begin = 8 + int.from_bytes(data[:8], "little")
    blank = b" " * (-begin % ALIGNED)
    data = (begin - 8 + len(blank)).to_bytes(8, "little") + data[8:begin] + blank + data[begin:]
    assert data.startswith(built.tobytes(), begin + len(blank)), "safetensors puts the widest numbers first"
    return data


def unpack(data: bytes) -> tuple[str, dict[str, Array]]:
    """(text, tensors) of a file, without what a built library reads there.

    The tensors are read-only and finite. Raises BadModelFile.
    """
    header = _header(data)
    try:
        parts = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise BadModelFile(f"not a sound safetensors file ({error})") from None
    metadata = parse_json(header, "header", len(data)).get("__metadata__")
    if not isinstance(metadata, dict) or list(metadata) != [KEY]:
        raise BadModelFile("this safetensors file holds no edgernn model")
    return str(metadata[KEY]), {name: _tensor(name, part) for name, part in parts if name != BUILT}


def built_bytes(data: bytes) -> int:
    """How many bytes of a file that `unpack` takes are for a built library, which alone knows what they say."""
    begin, end = parse_json(_header(data), "header", len(data)).get(BUILT, {"data_offsets": (0, 0)})["data_offsets"]
    return int(end - begin)


def parse_json(text: str, where: str, size: int) -> dict[str, Any]:
    """The JSON object in `text`, of a file of `size` bytes. Raises BadModelFile for all that JSON proper is not."""
    if sum(map(text.count, "[{,")) > FREE_PARTS + size // BYTES_A_PART:
        raise BadModelFile(f"the {where} has too many parts")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadModelFile(f"the {where} is not JSON that can be read ({error})") from None
    if not isinstance(value, dict):
        raise BadModelFile(f"the {where} is not a JSON object")
    return value


def _header(data: bytes) -> str:
    if len(data) < 8:
        raise BadModelFile("not an edgernn model file: it is empty" if not data else "the file is truncated")
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER or data[8:9] != b"{":
        raise BadModelFile("not an edgernn model file (an ONNX file must be converted first: edgernn convert)")
    if length > len(data) - 8:
        raise BadModelFile(f"the file is truncated: a header of {length} bytes does not fit into {len(data)}")
    header = data[8 : 8 + length]
    if not header.isascii():
        raise BadModelFile("the header is not ASCII")
    return header.decode("ascii")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _tensor(name: str, part: Mapping[str, Any]) -> Array:
    if part["dtype"] not in DTYPES:
        raise BadModelFile(f"tensor '{name}' is {part['dtype']}; one of {', '.join(DTYPES)} expected")
    array: Array = np.frombuffer(bytes(part["data"]), DTYPES[part["dtype"]]).reshape(part["shape"])
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadModelFile(f"tensor '{name}' holds values that are infinite or not a number")
    return array
