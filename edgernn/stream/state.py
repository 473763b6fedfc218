"""The bytes of save_state: a header, each state in float32 and a checksum. The same on every machine.

8 bytes   "edgernnS"
4 bytes   version, little-endian (1)
32 bytes  the model's hash (sha256)
8 bytes   how many float32 follow, little-endian
n * 4     the states in the model's order, little-endian
32 bytes  sha256 of all that
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array

MAGIC, VERSION = b"edgernnS", 1
HEADER, COUNT = struct.Struct("<8sI32s"), struct.Struct("<Q")
DIGEST = 32


def pack_state(model_hash: str, values: Array) -> bytes:
    """The blob for these values, (n,) float32."""
    return sealed(MAGIC, model_hash, COUNT.pack(len(values)) + values.astype("<f4").tobytes())


def unpack_state(blob: bytes, model_hash: str, count: int) -> Array:
    """The values in a blob, (count,) float32. Raises BadInput for a foreign, damaged or newer blob."""
    content = opened(blob, MAGIC, model_hash, "stream")
    if content[: COUNT.size] != COUNT.pack(count):
        raise BadInput(_foreign("stream"))
    return np.frombuffer(content, "<f4", count, COUNT.size).astype(np.float32)


def sealed(magic: bytes, model_hash: str, content: bytes) -> bytes:
    """What is saved, with a header before it and a checksum behind it."""
    saved = HEADER.pack(magic, VERSION, bytes.fromhex(model_hash)) + content
    return saved + hashlib.sha256(saved).digest()


def opened(blob: bytes, magic: bytes, model_hash: str, of: str) -> bytes:
    """What was sealed. Raises BadInput for a foreign, damaged or newer blob; `of`: whose state it should be."""
    if not isinstance(blob, (bytes, bytearray, memoryview)):
        raise BadInput(f"a saved state is bytes, not {type(blob).__name__}")
    blob = bytes(blob)
    if len(blob) < HEADER.size + DIGEST or blob[:8] != magic:
        raise BadInput(f"these {len(blob)} bytes are not a saved state of a {of}")
    _, version, model = HEADER.unpack_from(blob)
    if version > VERSION:
        raise BadInput(f"the saved state has format {version}, this edgernn knows {VERSION}: take a newer one")
    if hashlib.sha256(blob[:-DIGEST]).digest() != blob[-DIGEST:]:
        raise BadInput("the saved state is damaged: its checksum does not fit; save it again")
    if model.hex() != model_hash:
        raise BadInput(_foreign(of))
    return blob[HEADER.size : -DIGEST]


def _foreign(of: str) -> str:
    return f"the saved state belongs to another model; load it into a {of} of the model that saved it"
