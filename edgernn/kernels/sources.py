"""What compiled kernels are made of, as a hash: that tells whether a library is of these sources."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
SOURCES = (
    "compiler/build.py",
    "compiler/scalars.py",
    "kernels/contract.py",
    "kernels/cpu/*.py",
    "kernels/entries.py",
    "kernels/isas.py",
)


@functools.cache
def sources() -> str:
    """The sha256 of all files that decide what is compiled."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(PACKAGE.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()
