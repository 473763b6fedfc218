"""Weights and program beside the library: inside the model's own `.edgernn` file, as the tensor `built`.

The library finds them there without reading JSON: the tensor is the file's first, from a multiple of 64 on. Its bytes:

- "edgernnB", BUILT_VERSION and 0 (uint32), Job.form (32 bytes), the model's hash (32 bytes);
- uint64: how many bytes there are in all; where weights, program, prepare program and initial values begin;
- those four, each from a multiple of 64 on;
- sha256 of all before it, the last 32 bytes.

A library takes every file of its own form: same edgernn, instruction set, layers, sizes and rhythm. The checksum tells
damage, not malice: a program can be made to reach any memory, so such a file is to be trusted as the library is.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np

from edgernn.compiler.sources import BUILT_VERSION, Job
from edgernn.kernels.contract import ALIGNMENT
from edgernn.layers.base import Array
from edgernn.modelfile.container import with_built
from edgernn.modelfile.description import encode

HEADER, DIGEST = 128, 32


def file(job: Job) -> bytes:
    """The model's file, with what the library needs."""
    return with_built(*encode(job.model), built(job))


def built(job: Job) -> Array:
    """What the library needs, (n,) int64."""
    plan = job.plan
    parts = [np.ascontiguousarray(part).tobytes() for part in (plan.weights, plan.program, plan.prepare, plan.initial)]
    places, body = [], b""
    for part in parts:
        places.append(HEADER + len(body))
        body += part + bytes(-len(part) % ALIGNMENT)
    digests = bytes.fromhex(job.form), bytes.fromhex(job.model.hash)
    begin = struct.pack("<8sII32s32s5Q", b"edgernnB", BUILT_VERSION, 0, *digests, HEADER + len(body) + DIGEST, *places)
    data = begin.ljust(HEADER, b"\0") + body
    return np.frombuffer(data + hashlib.sha256(data).digest(), "<i8")
