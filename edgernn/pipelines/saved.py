"""The bytes of a pipeline's state: a header, vectors of numbers, the stream's own state and a checksum.

8 bytes   "edgernnP"
4 bytes   version, little-endian (1)
32 bytes  the model's hash (sha256), which counts features and decisions too
4 bytes   how many vectors follow; each is 8 bytes with its length n, and n * 8 bytes of little-endian float64
rest      the stream's state (`stream.state`), up to the last 32 bytes: sha256 of all that
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array

MAGIC, VERSION = b"edgernnP", 1
HEADER, LENGTH = struct.Struct("<8sI32sI"), struct.Struct("<Q")
DIGEST = 32


def pack(model_hash: str, vectors: Sequence[Array], stream: bytes) -> bytes:
    """The blob of these vectors, (n,) float64 each, and the stream's blob."""
    parts = [HEADER.pack(MAGIC, VERSION, bytes.fromhex(model_hash), len(vectors))]
    for vector in vectors:
        parts += [LENGTH.pack(len(vector)), vector.astype("<f8").tobytes()]
    content = b"".join((*parts, stream))
    return content + hashlib.sha256(content).digest()


def unpack(blob: bytes, model_hash: str) -> tuple[list[Array], bytes]:
    """(vectors, the stream's blob). Raises BadInput for a foreign, damaged or newer blob."""
    if not isinstance(blob, (bytes, bytearray, memoryview)):
        raise BadInput(f"a saved state is bytes, not {type(blob).__name__}")
    blob = bytes(blob)
    if len(blob) < HEADER.size + DIGEST or blob[:8] != MAGIC:
        raise BadInput(f"these {len(blob)} bytes are not a saved state of a pipeline")
    _, version, model, count = HEADER.unpack_from(blob)
    if version > VERSION:
        raise BadInput(f"the saved state has format {version}, this edgernn knows {VERSION}: upgrade edgernn")
    content = blob[:-DIGEST]
    if hashlib.sha256(content).digest() != blob[-DIGEST:]:
        raise BadInput("the saved state is damaged: its checksum does not fit; save it again")
    if model.hex() != model_hash:
        raise BadInput("the saved state belongs to another model; load it into a pipeline of the model that saved it")
    vectors, at = [], HEADER.size
    for _ in range(count):
        if at + LENGTH.size > len(content) or 8 * LENGTH.unpack_from(content, at)[0] > len(content) - at - LENGTH.size:
            raise BadInput("the saved state is damaged: it is too short for what it says")
        (n,) = LENGTH.unpack_from(content, at)
        vectors.append(np.frombuffer(content, "<f8", n, at + LENGTH.size).astype(np.float64))
        at += LENGTH.size + 8 * n
    return vectors, content[at:]
