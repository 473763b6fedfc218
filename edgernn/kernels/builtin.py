"""Python callables around the compiled entries of `edgernn.kernels.entries`, without a C extension module."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.kernels import entries
from edgernn.kernels.memory import at

POINTER = ctypes.sizeof(ctypes.c_void_p)
METH_FASTCALL_KEYWORDS = 0x80 | 0x2


@functools.cache
def usable() -> bool:
    """Whether objects, arrays and Python's functions are where the entries look for them.

    They are in all of CPython 3.11 to 3.14 with NumPy 2, but not in builds without the global lock.
    """
    if sys.implementation.name != "cpython" or object.__basicsize__ != 2 * POINTER:
        return False
    if not all(hasattr(ctypes.pythonapi, name) for name in entries.PYTHON):
        return False
    array = np.zeros((2, 3), np.float32)
    word = at(id(array), entries.FLAGS + 1, np.uintp)
    half = at(id(array), (entries.FLAGS + 1) * POINTER // 4, np.int32)[:: POINTER // 4]
    fields = word[entries.TYPE], word[entries.DATA], half[entries.ND], word[entries.DESCR]
    expected = id(np.ndarray), array.__array_interface__["data"][0], 2, id(np.dtype(np.float32))
    if fields != expected or half[entries.FLAGS] & entries.PLAIN != entries.PLAIN:
        return False
    return bool((at(int(word[entries.DIMENSIONS]), 2, np.intp) == (2, 3)).all())


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("method", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


def method(name: bytes, address: int, doc: bytes | None = None) -> _MethodDef:
    """The definition of a builtin function; it must outlive all functions made of it. doc: signature and help."""
    return _MethodDef(name, address, METH_FASTCALL_KEYWORDS, doc)


def make(definition: _MethodDef, owner: Any, keeps: Any) -> Callable[..., Any]:
    """A builtin function bound to `owner`; it keeps both objects alive."""
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    function: Callable[..., Any] = new(ctypes.addressof(definition), owner, keeps)
    return function


def caller_words(n_in: int, n_out: int, takes_token: bool, slow: tuple[Any, Any]) -> dict[int, int]:
    """What the fast functions find in the control block; `slow`: for step, for run, to be kept alive by the caller."""
    capsule = ctypes.pythonapi.PyCapsule_GetPointer
    capsule.restype, capsule.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = ctypes.cast(capsule(np._core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))  # type: ignore[attr-defined]
    return {
        entries.ARRAY_TYPE: id(np.ndarray),
        entries.FLOAT32: id(np.dtype(np.float32)),
        entries.NEW_ARRAY: table[entries.PYARRAY_NEW] or 0,
        entries.TAKES_TOKEN: int(takes_token),
        entries.N_IN: n_in,
        entries.N_OUT: n_out,
        entries.SLOW: id(slow[0]),
        entries.SLOW_RUN: id(slow[1]),
        entries.INT_TYPE: id(int),
    }
