"""Model files that were tampered with: the golden ones, and what changes them without any check."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import numpy as safetensors_numpy

from edgernn.modelfile import container

GOLDEN = Path(__file__).parent / "golden"
DATA = (GOLDEN / "small.edgernn").read_bytes()
INT8, INT16, INT4, FLOAT16 = (
    (GOLDEN / f"small-{name}.edgernn").read_bytes() for name in ("int8", "int16", "int4", "float16")
)


def header_of(data: bytes) -> dict[str, Any]:
    """The parsed header of a safetensors file."""
    return dict(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]))


def with_header(data: bytes, header: bytes) -> bytes:
    """The file with another header."""
    return len(header).to_bytes(8, "little") + header + data[8 + int.from_bytes(data[:8], "little") :]


def parts(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(description, tensors) of a file, without any check."""
    return json.loads(header_of(data)["__metadata__"]["edgernn"]), safetensors_numpy.load(data)


def altered(change: Callable[[dict[str, Any], dict[str, np.ndarray]], None], data: bytes = DATA) -> bytes:
    """The file after a change of its description or tensors, with the hash as it was."""
    described, tensors = parts(data)
    change(described, tensors)
    return container.pack(json.dumps(described), tensors)
