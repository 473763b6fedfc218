"""The bytes of a pipeline's state: a header, vectors of numbers, the stream's own state and a checksum.

8 bytes   "edgernnP"
4 bytes   version, little-endian (1)
32 bytes  the model's hash (sha256), which counts features and decisions too
4 bytes   how many vectors follow; each is 8 bytes with its length n, and n * 8 bytes of little-endian float64
rest      the stream's state (`stream.state`), up to the last 32 bytes: sha256 of all that
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.stream.state import opened, sealed

MAGIC = b"edgernnP"
COUNT, LENGTH = struct.Struct("<I"), struct.Struct("<Q")


def pack(model_hash: str, vectors: Sequence[Array], stream: bytes) -> bytes:
    """The blob of these vectors, (n,) float64 each, and the stream's blob."""
    parts = [COUNT.pack(len(vectors))]
    for vector in vectors:
        parts += [LENGTH.pack(len(vector)), vector.astype("<f8").tobytes()]
    return sealed(MAGIC, model_hash, b"".join((*parts, stream)))


def unpack(blob: bytes, model_hash: str) -> tuple[list[Array], bytes]:
    """(vectors, the stream's blob). Raises BadInput for a foreign, damaged or newer blob."""
    content = opened(blob, MAGIC, model_hash, "pipeline")
    count, at = int.from_bytes(content[: COUNT.size], "little"), COUNT.size
    vectors = []
    for _ in range(count):
        if at + LENGTH.size > len(content) or 8 * LENGTH.unpack_from(content, at)[0] > len(content) - at - LENGTH.size:
            raise BadInput("the saved state is damaged: it is too short for what it says")
        (n,) = LENGTH.unpack_from(content, at)
        vectors.append(np.frombuffer(content, "<f8", n, at + LENGTH.size).astype(np.float64))
        at += LENGTH.size + 8 * n
    return vectors, content[at:]
