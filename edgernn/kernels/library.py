"""Which kernels run: those that came with the package, or those that Numba compiles for this machine, or NumPy's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

from edgernn.errors import BackendUnavailable
from edgernn.kernels import prebuilt, processor
from edgernn.kernels.isas import ISAS, REFERENCE, VARIABLE, available, chosen
from edgernn.kernels.native import Library

if TYPE_CHECKING:
    from edgernn.kernels.reference import ReferenceLibrary

BACKENDS = ("auto", "native", "jit")
AnyLibrary: TypeAlias = "Library | ReferenceLibrary"


def load(backend: str = "auto") -> AnyLibrary:
    """The kernels for this machine.

    backend: `native` are those that came with edgernn, `jit` are compiled here, once; `auto`: the first that there are.
    Raises BackendUnavailable when there are none, or EDGERNN_ISA names what this machine does not have.
    """
    if backend not in BACKENDS:
        raise BackendUnavailable(f"backend '{backend}' is unknown; there are {', '.join(BACKENDS)}")
    name, _ = chosen(processor.features())
    if name == REFERENCE:
        if backend != "auto":
            raise BackendUnavailable(f"{VARIABLE}={REFERENCE} leaves no kernels for backend='{backend}'; unset one")
        return _reference()
    unfit = prebuilt.unfit(name)
    if backend == "native" and unfit:
        raise BackendUnavailable(f"{unfit}; backend='jit' compiles them here")
    return _compiled(name, unfit) if unfit or backend == "jit" else _prebuilt(name)


@functools.cache
def _reference() -> AnyLibrary:
    from edgernn.kernels.reference import ReferenceLibrary

    return ReferenceLibrary()


@functools.cache
def _prebuilt(name: str) -> Library:
    return prebuilt.load(ISAS[name])


@functools.cache
def _compiled(name: str, unfit: str) -> Library:
    from edgernn.kernels import jit

    try:
        return jit.load(ISAS[name])
    except BackendUnavailable as error:
        raise BackendUnavailable(f"{unfit}; {error}" if unfit else str(error)) from None


def describe() -> dict[str, Any]:
    """What `edgernn doctor` shows of the kernels."""
    from edgernn.kernels import jit

    name, why = chosen(processor.features())
    unfit = prebuilt.unfit(name) if name in ISAS else why
    try:
        cache = str(jit.cache_folder())
        needed = name in ISAS and bool(unfit) and jit.is_there()
        compiled = needed and jit.read_object(jit.object_path(ISAS[name])) is not None
    except BackendUnavailable as error:
        cache, compiled = str(error), False
    return {
        "processor": processor.name(),
        "isa": name,
        "why": why,
        "available": available(processor.features()),
        "kernels": REFERENCE if name == REFERENCE else "jit" if unfit else "native",
        "why_these": unfit or "they came with edgernn",
        "cache": cache,
        "compiled": compiled,
    }
