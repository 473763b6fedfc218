"""The kernel libraries that come with the package, one for each instruction set: made by tools/prebuild.py.

manifest.json says of each the sha256, what it is for, and of which sources it was made: where the kernels' sources are
others now, it is not used. Nothing is loaded whose sha256 differs.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import os
import sys
from typing import Any

from edgernn.errors import BackendUnavailable
from edgernn.kernels.isas import ISAS, Isa
from edgernn.kernels.native import Library
from edgernn.kernels.processor import architecture
from edgernn.kernels.sources import sources

FOLDER = os.path.dirname(os.path.realpath(__file__))
MANIFEST = "manifest.json"
REMEDY = "run `python tools/prebuild.py`"


@functools.cache
def manifest() -> dict[str, Any]:
    """What is said of the libraries, by the names of the files."""
    try:
        with open(os.path.join(FOLDER, MANIFEST), "rb") as file:
            found: dict[str, Any] = json.load(file)
    except OSError:
        return {}
    return found


def file_of(isa: Isa, machine: str) -> str:
    """The name of the library for an instruction set of an architecture."""
    return f"{isa.name}-{machine}.so"


def unfit(name: str) -> str:
    """Why there is no prebuilt library of this instruction set for this machine; empty where there is one."""
    about = manifest().get(file_of(ISAS[name], architecture()))
    if sys.platform != "linux" or about is None:
        return f"edgernn comes without kernels for {name} on {sys.platform}, {architecture()}"
    if about["sources"] != sources():
        return f"the kernels for {name} that came with edgernn are not of these sources ({REMEDY})"
    return ""


def load(isa: Isa) -> Library:
    """The library for an instruction set that is fit. Raises BackendUnavailable where the file is not what was made."""
    name = file_of(isa, architecture())
    path = os.path.join(FOLDER, name)
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise BackendUnavailable(f"{path} cannot be read ({error.strerror}): install edgernn again") from None
    if hashlib.sha256(content).hexdigest() != manifest()[name]["sha256"]:
        raise BackendUnavailable(f"{path} is not the file that was made, its sha256 differs: install edgernn again")
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise BackendUnavailable(f"{path} cannot be loaded ({error}); EDGERNN_ISA=reference runs without") from None
    return Library(isa, lambda name: ctypes.cast(library[name], ctypes.c_void_p).value or 0, library, "native")
