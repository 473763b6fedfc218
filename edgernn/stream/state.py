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
HEADER = struct.Struct("<8sI32sQ")
DIGEST = 32


def pack_state(model_hash: str, values: Array) -> bytes:
    """The blob for these values, (n,) float32."""
    data = values.astype("<f4").tobytes()
    content = HEADER.pack(MAGIC, VERSION, bytes.fromhex(model_hash), len(values)) + data
    return content + hashlib.sha256(content).digest()


def unpack_state(blob: bytes, model_hash: str, count: int) -> Array:
    """The values in a blob, (count,) float32. Raises BadInput for a foreign, damaged or newer blob."""
    if not isinstance(blob, (bytes, bytearray, memoryview)):
        raise BadInput(f"a saved state is bytes, not {type(blob).__name__}")
    blob = bytes(blob)
    if len(blob) < HEADER.size + DIGEST or blob[:8] != MAGIC:
        raise BadInput(f"these {len(blob)} bytes are not a saved state of edgernn")
    _, version, model, held = HEADER.unpack_from(blob)
    if version > VERSION:
        raise BadInput(f"the saved state has format {version}, this edgernn knows {VERSION}: take a newer one")
    if hashlib.sha256(blob[:-DIGEST]).digest() != blob[-DIGEST:]:
        raise BadInput("the saved state is damaged: its checksum does not fit; save it again")
    if model.hex() != model_hash or held != count:
        raise BadInput("the saved state belongs to another model; load it into a stream of the model that saved it")
    return np.frombuffer(blob, "<f4", count, HEADER.size).astype(np.float32)
