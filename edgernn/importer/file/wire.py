"""Wire: counts the parts of an ONNX file in its bytes, before protobuf makes objects of some hundred bytes of each.

A part takes two bytes in a file, so a small file could fill the memory. The walk goes into every message that the
format nests (see protobuf.dev/programming-guides/encoding) and steps over all else.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx

from edgernn.errors import BadModelFile

MOST_PARTS = 500_000  # fields of all messages together: a graph of some 50,000 nodes
MOST_AXES = 64  # NumPy's own limit
SHORT = 10 * MOST_AXES  # bytes that the sizes of so many axes take at most
MOST_LISTED = 1 << 22  # bytes of the numbers that one attribute lists
DEEPEST = 32  # graphs in each other: protobuf itself reads no deeper

TRUNCATED = "this is not an ONNX file, or it is truncated: give a complete .onnx file"
VARINT, HELD = 0, 2  # how the content of a field is written: as a number, as a length and so many bytes
SIZES = {1: 8, 5: 4}  # or as so many bytes


def check_parts(data: bytes) -> None:
    """Raises BadModelFile for a file of too many parts, of graphs nested too deep, and where it is no protobuf."""
    parts = 0
    waiting = [(0, len(data), onnx.ModelProto.DESCRIPTOR, 0)]
    while waiting:
        at, end, message, depth = waiting.pop()
        nested, name = _nested(message), message.name
        depth += name == "GraphProto"
        if depth > DEEPEST:
            raise BadModelFile(f"more than {DEEPEST} graphs are nested in each other; export the model again")
        while at < end:
            parts += 1
            tag = data[at]  # most numbers are of one byte
            if tag < 128:
                at += 1
            else:
                tag, at = _varint(data, at, end)
            kind = tag & 7
            if kind == HELD:
                size, at = (data[at], at + 1) if at < end and data[at] < 128 else _varint(data, at, end)
                inner = nested.get(tag >> 3)
                if inner is not None:
                    waiting.append((at, at + size, inner, depth))
                elif size > SHORT:
                    _check_list(name, tag >> 3, size)
                at += size
            elif kind == VARINT:
                at = at + 1 if at < end and data[at] < 128 else _varint(data, at, end)[1]
            else:
                at += SIZES.get(kind, len(data))
            if at > end:
                raise BadModelFile(TRUNCATED)
            if parts > MOST_PARTS:
                raise BadModelFile(f"the file has more than {MOST_PARTS:,} parts; export a smaller model")


@cache
def _nested(message: Any) -> dict[int, Any]:
    """The fields that are messages, by number."""
    return {field.number: field.message_type for field in message.fields if field.message_type}


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(number, where it ends)."""
    if at < end and data[at] < 128:
        return data[at], at + 1
    number = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
    raise BadModelFile(TRUNCATED)


def _check_list(message: str, field: int, size: int) -> None:
    """Refuse lists of numbers that are longer than anything that is listed so."""
    if (message, field) == ("TensorProto", 1) and size > SHORT:
        raise BadModelFile(f"a tensor has more than {MOST_AXES} axes; export the model again")
    if message == "AttributeProto" and field in (7, 8) and size > MOST_LISTED:
        raise BadModelFile(f"an attribute lists {size:,} bytes of numbers; hold them in a tensor instead")
