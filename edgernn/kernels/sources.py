"""What compiled kernels are made of, as a hash: that tells whether a library is of these sources."""

from __future__ import annotations

import functools
import glob
import hashlib
import os

PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
SOURCES = (
    "compiler/build.py",
    "compiler/scalars.py",
    "kernels/contract.py",
    "kernels/cpu/*.py",
    "kernels/entries.py",
    "kernels/hearing.py",
    "kernels/isas.py",
    "layers/exact.py",
)


@functools.cache
def sources() -> str:
    """The sha256 of all files that decide what is compiled."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for name in sorted(glob.glob(pattern, root_dir=PACKAGE)):
            with open(os.path.join(PACKAGE, name), "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()
