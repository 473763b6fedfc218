"""What compiled kernels are made of, as a hash: that tells whether a library is of these sources."""

from __future__ import annotations

import functools
import hashlib
import os

PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
SOURCES = (
    "compiler/build.py",
    "compiler/scalars.py",
    "kernels/contract.py",
    "kernels/cpu",
    "kernels/entries.py",
    "kernels/hearing.py",
    "kernels/isas.py",
    "layers/exact.py",
)


@functools.cache
def sources() -> str:
    """The sha256 of all files that decide what is compiled."""
    digest = hashlib.sha256()
    for name in SOURCES:
        path = os.path.join(PACKAGE, name)
        inside = sorted(n for n in os.listdir(path) if n.endswith(".py")) if os.path.isdir(path) else [""]
        for one in inside:
            with open(os.path.join(path, one) if one else path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()
