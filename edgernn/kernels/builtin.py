"""Python callables around the compiled entries, made of LLVM IR: what a C extension module would hold.

`step` takes a float32 vector (or one token), checks its type, shape and layout, makes the answer's array, runs the
program and returns it, in about 0.2 us all told; `run` does the same with a matrix of frames, without the interpreter's
lock. Whatever is not the plain case goes to a Python callable with the same arguments. They read NumPy's array struct
and C API table, whose layout is part of NumPy's binary interface (numpy/arrayobject.h, PyArrayObject_fields;
numpy/__multiarray_api.h).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.kernels.contract import ADDRESS, ANSWER, BUSY, CALLER, FRAMES, PORT_WORDS, PORTS

# T and N_OUT lie side by side: together they are the shape of what `run` answers
ARRAY_TYPE, FLOAT32, NEW_ARRAY, TAKES_TOKEN, N_IN, T, N_OUT, SLOW, SLOW_RUN, INT_TYPE, TOKEN = range(
    CALLER, CALLER + 11
)
HEADER = object.__basicsize__  # reference count and type, before every object's fields
TYPE = HEADER - 8
DATA, ND, DIMENSIONS, DESCR, FLAGS = (HEADER + n for n in (0, 8, 16, 40, 48))
PLAIN = 0x101  # NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED
NPY_FLOAT, PYARRAY_NEW = 11, 93  # type number; place in NumPy's C API table
METH_FASTCALL_KEYWORDS = 0x80 | 0x2
# type, axes, shape, type number, strides, data, item size, flags, object
NEW_MATRIX = f"ptr %array_type, i32 2, ptr %t, i32 {NPY_FLOAT}, ptr null, ptr null, i32 0, i32 0, ptr null"
NEW_FLOATS = f"ptr %array_type, i32 1, ptr %n_out, i32 {NPY_FLOAT}, ptr null, ptr null, i32 0, i32 0, ptr null"


def _word(register: str, index: int, kind: str = "i64") -> str:
    return f"""
  %p_{register} = getelementptr i64, ptr %c, i64 {index}
  %{register} = load {kind}, ptr %p_{register}"""


def _field(register: str, of: str, offset: int, kind: str) -> str:
    return f"""
  %p_{register} = getelementptr i8, ptr %{of}, i64 {offset}
  %{register} = load {kind}, ptr %p_{register}"""


def _entry(fallback: int) -> str:
    """One positional argument %x of type %type, in a block %c that nobody else runs in; else on to %slow."""
    return f"""entry:{_field("c", "self", DATA, "ptr")}{_word("fallback", fallback, "ptr")}{_word("busy", BUSY)}
  %single = icmp eq i64 %n, 1
  %unnamed = icmp eq ptr %names, null
  %free = icmp eq i64 %busy, 0
  %alone = and i1 %single, %free
  %simple = and i1 %alone, %unnamed
  br i1 %simple, label %kind, label %slow
kind:
  %x = load ptr, ptr %args{_field("type", "x", TYPE, "ptr")}{_word("array_type", ARRAY_TYPE, "ptr")}"""


def _plain(axes: int) -> str:
    """The array %x is float32, contiguous and of so many axes: its %dims and %data; else on to %slow."""
    return f"""shape:{_field("nd", "x", ND, "i32")}{_field("dims", "x", DIMENSIONS, "ptr")}
{_field("descr", "x", DESCR, "ptr")}{_field("flags", "x", FLAGS, "i32")}{_field("data", "x", DATA, "ptr")}
{_word("float32", FLOAT32, "ptr")}
  %has_axes = icmp eq i32 %nd, {axes}
  %is_float = icmp eq ptr %descr, %float32
  %plain_bits = and i32 %flags, {PLAIN}
  %is_plain = icmp eq i32 %plain_bits, {PLAIN}
  %a1 = and i1 %has_axes, %is_float
  %a2 = and i1 %a1, %is_plain
  br i1 %a2, label %size, label %slow"""


# %y where %status is 0; else, and in all cases that are not plain, what the fallback says
ENDING = """
answered:
  ret ptr %y
refused:
  call void @Py_DecRef(ptr %y)
  br label %slow
slow:
  %result = call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %n, ptr %names)
  ret ptr %result
fail:
  ret ptr null"""
ANSWERS = f"""  %ok = icmp eq i64 %status, 0
  br i1 %ok, label %answered, label %refused{ENDING}"""
# None where no answer is due yet
ANSWER_OR_NONE = f"""  %ok = icmp eq i64 %status, 0
  br i1 %ok, label %finished, label %refused
finished:{_word("answers", ANSWER)}
  %due = icmp ne i64 %answers, 0
  br i1 %due, label %answered, label %none
none:
  call void @Py_DecRef(ptr %y)
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct{ENDING}"""

IR = f"""
declare i64 @edgernn_run(i64, i64, i64, i64)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
@_Py_NoneStruct = external global i8
declare void @Py_DecRef(ptr)
declare void @Py_IncRef(ptr)
declare i64 @PyLong_AsLong(ptr)
declare ptr @PyLong_FromLong(i64)
declare ptr @PyErr_Occurred()
declare void @PyErr_Clear()
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)

define ptr @edgernn_step(ptr %self, ptr %args, i64 %n, ptr %names) {{
{_entry(SLOW)}
{_word("int_type", INT_TYPE, "ptr")}{_word("takes_token", TAKES_TOKEN)}
  %wants_token = icmp ne i64 %takes_token, 0
  br i1 %wants_token, label %token, label %vector
token:
  %is_int = icmp eq ptr %type, %int_type
  br i1 %is_int, label %read, label %slow
read:
  %value = call i64 @PyLong_AsLong(ptr %x)
  %failed = call ptr @PyErr_Occurred()
  %good = icmp eq ptr %failed, null
  br i1 %good, label %keep, label %overflow
overflow:
  call void @PyErr_Clear()
  br label %slow
keep:
  %slot = getelementptr i64, ptr %c, i64 {TOKEN}
  store i64 %value, ptr %slot
  br label %ready
vector:
  %is_array = icmp eq ptr %type, %array_type
  br i1 %is_array, label %shape, label %slow
{_plain(1)}
size:{_word("n_in", N_IN)}
  %length = load i64, ptr %dims
  %fits = icmp eq i64 %length, %n_in
  br i1 %fits, label %ready, label %slow
ready:
  %input = phi ptr [ %slot, %keep ], [ %data, %size ]
  %in_at = getelementptr i64, ptr %c, i64 {PORTS + ADDRESS}
  store ptr %input, ptr %in_at{_word("new_array", NEW_ARRAY, "ptr")}
  %n_out = getelementptr i64, ptr %c, i64 {N_OUT}
  %y = call ptr %new_array({NEW_FLOATS})
  %made = icmp ne ptr %y, null
  br i1 %made, label %go, label %fail
go:{_field("answer", "y", DATA, "ptr")}
  %out_at = getelementptr i64, ptr %c, i64 {PORTS + PORT_WORDS + ADDRESS}
  store ptr %answer, ptr %out_at
  %frames = getelementptr i64, ptr %c, i64 {FRAMES}
  store i64 1, ptr %frames
  %control = ptrtoint ptr %c to i64
  %status = call i64 @edgernn_run(i64 %control, i64 0, i64 0, i64 0)
{ANSWER_OR_NONE}
}}

define ptr @edgernn_frames(ptr %self, ptr %args, i64 %n, ptr %names) {{
{_entry(SLOW_RUN)}
{_word("takes_token", TAKES_TOKEN)}
  %is_array = icmp eq ptr %type, %array_type
  %takes_numbers = icmp eq i64 %takes_token, 0
  %is_plain_array = and i1 %is_array, %takes_numbers
  br i1 %is_plain_array, label %shape, label %slow
{_plain(2)}
size:{_word("n_in", N_IN)}
  %count = load i64, ptr %dims
  %length_at = getelementptr i64, ptr %dims, i64 1
  %length = load i64, ptr %length_at
  %fits = icmp eq i64 %length, %n_in
  br i1 %fits, label %ready, label %slow
ready:
  %in_at = getelementptr i64, ptr %c, i64 {PORTS + ADDRESS}
  store ptr %data, ptr %in_at{_word("new_array", NEW_ARRAY, "ptr")}
  %t = getelementptr i64, ptr %c, i64 {T}
  store i64 %count, ptr %t
  %y = call ptr %new_array({NEW_MATRIX})
  %made = icmp ne ptr %y, null
  br i1 %made, label %go, label %fail
go:{_field("answer", "y", DATA, "ptr")}
  %out_at = getelementptr i64, ptr %c, i64 {PORTS + PORT_WORDS + ADDRESS}
  store ptr %answer, ptr %out_at
  %frames = getelementptr i64, ptr %c, i64 {FRAMES}
  store i64 %count, ptr %frames
  store i64 1, ptr %p_busy
  %control = ptrtoint ptr %c to i64
  %thread = call ptr @PyEval_SaveThread()
  %status = call i64 @edgernn_run(i64 %control, i64 0, i64 0, i64 0)
  call void @PyEval_RestoreThread(ptr %thread)
  store i64 0, ptr %p_busy
{ANSWERS}
}}

define ptr @edgernn_call(ptr %self, ptr %args, i64 %n, ptr %names) {{
entry:
  %block = load ptr, ptr %args{_field("c", "block", DATA, "ptr")}{_word("busy", BUSY)}
  %free = icmp eq i64 %busy, 0
  br i1 %free, label %take, label %taken
taken:
  %refusal = call ptr @PyLong_FromLong(i64 -1)
  ret ptr %refusal
take:
  store i64 1, ptr %p_busy
  %frames_at = getelementptr ptr, ptr %args, i64 1
  %frames_object = load ptr, ptr %frames_at
  %count = call i64 @PyLong_AsLong(ptr %frames_object)
  %frames = getelementptr i64, ptr %c, i64 {FRAMES}
  store i64 %count, ptr %frames
  br label %test
test:
  %i = phi i64 [ 2, %take ], [ %next, %port ]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %port, label %go
port:
  %array_at = getelementptr ptr, ptr %args, i64 %i
  %array = load ptr, ptr %array_at{_field("data", "array", DATA, "ptr")}
  %number = sub i64 %i, 2
  %words = mul i64 %number, {PORT_WORDS}
  %word = add i64 %words, {PORTS + ADDRESS}
  %slot = getelementptr i64, ptr %c, i64 %word
  store ptr %data, ptr %slot
  %next = add i64 %i, 1
  br label %test
go:
  %control = ptrtoint ptr %c to i64
  %thread = call ptr @PyEval_SaveThread()
  %status = call i64 @edgernn_run(i64 %control, i64 0, i64 0, i64 0)
  call void @PyEval_RestoreThread(ptr %thread)
  store i64 0, ptr %p_busy
  %result = call ptr @PyLong_FromLong(i64 %status)
  ret ptr %result
}}
"""


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("method", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


def method(name: bytes, address: int) -> _MethodDef:
    """The definition of a builtin function; it must outlive all functions made of it."""
    return _MethodDef(name, address, METH_FASTCALL_KEYWORDS, None)


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
        ARRAY_TYPE: id(np.ndarray),
        FLOAT32: id(np.dtype(np.float32)),
        NEW_ARRAY: table[PYARRAY_NEW] or 0,
        TAKES_TOKEN: int(takes_token),
        N_IN: n_in,
        N_OUT: n_out,
        SLOW: id(slow[0]),
        SLOW_RUN: id(slow[1]),
        INT_TYPE: id(int),
    }
