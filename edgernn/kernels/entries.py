"""What Python calls in a compiled library, as LLVM IR: the functions that a C extension module would hold.

`step` takes a float32 vector (or one token), checks its type, shape and layout, makes the answer's array, runs the
program and returns it, in about 0.2 us all told; `run` does the same with a matrix of frames, without the interpreter's
lock. Whatever is not the plain case goes to a Python callable with the same arguments. They read NumPy's array struct
and C API table, whose layout is part of NumPy's binary interface (numpy/arrayobject.h, PyArrayObject_fields;
numpy/__multiarray_api.h), and call Python's C API weakly: where it is not there, the library still loads.
"""

from __future__ import annotations

from edgernn.kernels.contract import ADDRESS, ANSWER, BUSY, CALLER, FRAMES, PORT_WORDS, PORTS, STREAMS

ARRAY_TYPE, FLOAT32, NEW_ARRAY, TAKES_TOKEN, N_IN, N_OUT, SLOW, SLOW_RUN, INT_TYPE, TOKEN = range(CALLER, CALLER + 10)
PLAIN = 0x101  # NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED
NPY_FLOAT, PYARRAY_NEW = 11, 93  # type number; place in NumPy's C API table
# of an object and of an array, in pointers: reference count, type, data, axes (an int), shape, strides, base, kind of
# numbers, flags (an int)
TYPE, DATA, ND, DIMENSIONS, DESCR, FLAGS = 1, 2, 3, 4, 7, 8
# what of Python's C API is called
PYTHON = (
    "PyObject_Vectorcall",
    "_Py_NoneStruct",
    "Py_DecRef",
    "Py_IncRef",
    "PyLong_AsLongLong",
    "PyLong_FromLongLong",
    "PyErr_Occurred",
    "PyErr_Clear",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
)


def text(pointer: int) -> str:
    """LLVM IR for a machine whose addresses have so many bytes, without its triple.

    It defines edgernn_step, edgernn_frames, and edgernn_call_NAME for the pool and each entry of CALLED and LOCKED, and
    calls these.
    """
    size = f"i{8 * pointer}"
    calls = "".join(_called(name, 1, 2, WHOLE.replace("NAME", name)) for name in CALLED)
    calls += _called(LOCKED, 1, 2, WHOLE.replace("NAME", LOCKED), locked=True)
    calls += _called("pool", 4, 6, "@edgernn_pool(i64 %control, i64 %v2, i64 %v3, i64 %v4)")
    return f"{DECLARED}{STEP}{MANY}{calls}".replace("SIZE", size).replace(
        "EXTEND", "zext" if pointer < 8 else "bitcast"
    )


def _word(register: str, index: int, kind: str = "i64") -> str:
    return f"""
  %p_{register} = getelementptr i64, ptr %c, i64 {index}
  %{register} = load {kind}, ptr %p_{register}"""


def _field(register: str, of: str, index: int, kind: str) -> str:
    return f"""
  %p_{register} = getelementptr ptr, ptr %{of}, i64 {index}
  %{register} = load {kind}, ptr %p_{register}"""


def _entry(fallback: int) -> str:
    """One positional argument %x of type %type, in a block %c that nobody else runs in; else on to %slow."""
    return f"""entry:
  %shape_made = alloca [2 x SIZE]{_field("c", "self", DATA, "ptr")}
{_word("fallback", fallback, "ptr")}{_word("busy", BUSY)}
  %single = icmp eq SIZE %n, 1
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


def _answer(axes: int) -> str:
    """A new array %y for the answer, whose shape stands at %shape_made, and its data in the output's port."""
    given = f"i32 {axes}, ptr %shape_made, i32 {NPY_FLOAT}, ptr null, ptr null, i32 0, i32 0, ptr null"
    return f"""{_word("new_array", NEW_ARRAY, "ptr")}
  %y = call ptr %new_array(ptr %array_type, {given})
  %made = icmp ne ptr %y, null
  br i1 %made, label %go, label %fail
go:{_field("answer", "y", DATA, "ptr")}
  %out_at = getelementptr i64, ptr %c, i64 {PORTS + PORT_WORDS + ADDRESS}
  store ptr %answer, ptr %out_at
  %frames = getelementptr i64, ptr %c, i64 {FRAMES}"""


# %y where %status is 0; else, and in all cases that are not plain, what the fallback says
ENDING = """
answered:
  ret ptr %y
refused:
  call void @Py_DecRef(ptr %y)
  br label %slow
slow:
  %result = call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, SIZE %n, ptr %names)
  ret ptr %result
fail:
  ret ptr null"""

CALLED = ("run", "features", "scores")  # entries for blocks of numbers, of all ports
LOCKED = "hear"  # one for a short block, which is not worth giving up the interpreter's lock
WHOLE = "@edgernn_NAME(i64 %control, i64 0, i64 0, i64 0)"
DECLARED = "".join(f"\ndeclare i64 @edgernn_{name}(i64, i64, i64, i64)" for name in (*CALLED, LOCKED, "pool"))
DECLARED += """
declare extern_weak ptr @PyObject_Vectorcall(ptr, ptr, SIZE, ptr)
@_Py_NoneStruct = extern_weak global i8
declare extern_weak void @Py_DecRef(ptr)
declare extern_weak void @Py_IncRef(ptr)
declare extern_weak i64 @PyLong_AsLongLong(ptr)
declare extern_weak ptr @PyLong_FromLongLong(i64)
declare extern_weak ptr @PyErr_Occurred()
declare extern_weak void @PyErr_Clear()
declare extern_weak ptr @PyEval_SaveThread()
declare extern_weak void @PyEval_RestoreThread(ptr)
"""

# one frame; None where no answer is due yet
STEP = f"""
define ptr @edgernn_step(ptr %self, ptr %args, SIZE %n, ptr %names) {{
{_entry(SLOW)}
{_word("int_type", INT_TYPE, "ptr")}{_word("takes_token", TAKES_TOKEN)}
  %wants_token = icmp ne i64 %takes_token, 0
  br i1 %wants_token, label %token, label %vector
token:
  %is_int = icmp eq ptr %type, %int_type
  br i1 %is_int, label %read, label %slow
read:
  %value = call i64 @PyLong_AsLongLong(ptr %x)
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
size:{_word("n_in", N_IN, "SIZE")}
  %length = load SIZE, ptr %dims
  %fits = icmp eq SIZE %length, %n_in
  br i1 %fits, label %ready, label %slow
ready:
  %input = phi ptr [ %slot, %keep ], [ %data, %size ]
  %in_at = getelementptr i64, ptr %c, i64 {PORTS + ADDRESS}
  store ptr %input, ptr %in_at{_word("n_out", N_OUT, "SIZE")}
  store SIZE %n_out, ptr %shape_made
{_answer(1)}
  store i64 1, ptr %frames
  %control = ptrtoint ptr %c to i64
  %status = call i64 @edgernn_run(i64 %control, i64 0, i64 0, i64 0)
  %ok = icmp eq i64 %status, 0
  br i1 %ok, label %finished, label %refused
finished:{_word("answers", ANSWER)}
  %due = icmp ne i64 %answers, 0
  br i1 %due, label %answered, label %none
none:
  call void @Py_DecRef(ptr %y)
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct{ENDING}
}}
"""

# many frames, each with an answer
MANY = f"""
define ptr @edgernn_frames(ptr %self, ptr %args, SIZE %n, ptr %names) {{
{_entry(SLOW_RUN)}
{_word("takes_token", TAKES_TOKEN)}
  %is_array = icmp eq ptr %type, %array_type
  %takes_numbers = icmp eq i64 %takes_token, 0
  %is_plain_array = and i1 %is_array, %takes_numbers
  br i1 %is_plain_array, label %shape, label %slow
{_plain(2)}
size:{_word("n_in", N_IN, "SIZE")}
  %count = load SIZE, ptr %dims
  %length_at = getelementptr SIZE, ptr %dims, i64 1
  %length = load SIZE, ptr %length_at
  %fits = icmp eq SIZE %length, %n_in
  br i1 %fits, label %ready, label %slow
ready:
  %in_at = getelementptr i64, ptr %c, i64 {PORTS + ADDRESS}
  store ptr %data, ptr %in_at{_word("n_out", N_OUT, "SIZE")}
  store SIZE %count, ptr %shape_made
  %second = getelementptr SIZE, ptr %shape_made, i64 1
  store SIZE %n_out, ptr %second
{_answer(2)}
  %whole_count = EXTEND SIZE %count to i64
  store i64 %whole_count, ptr %frames
  store i64 1, ptr %p_busy
  %control = ptrtoint ptr %c to i64
  %thread = call ptr @PyEval_SaveThread()
  %status = call i64 @edgernn_run(i64 %control, i64 0, i64 0, i64 0)
  call void @PyEval_RestoreThread(ptr %thread)
  store i64 0, ptr %p_busy
  %ok = icmp eq i64 %status, 0
  br i1 %ok, label %answered, label %refused{ENDING}
}}
"""


UNLOCK = "  %thread = call ptr @PyEval_SaveThread()\n"
LOCK = "  call void @PyEval_RestoreThread(ptr %thread)\n"


def _integers(count: int) -> str:
    """The arguments behind the first as integers: %v1, %v2, ..."""
    return "".join(
        f"""
  %at{n} = getelementptr ptr, ptr %args, i64 {n}
  %o{n} = load ptr, ptr %at{n}
  %v{n} = call i64 @PyLong_AsLongLong(ptr %o{n})"""
        for n in range(1, 1 + count)
    )


def _called(name: str, integers: int, arrays: int, call: str, locked: bool = False) -> str:
    """Python's way to an entry: (control block, frames, other integers, [streams,] ports' arrays) -> what it gives.

    -1 while another thread is in the same block. integers: how many there are. arrays: how many arguments come before
    those of the ports. locked: it keeps the interpreter's lock.
    """
    streams = f"""
  %streams_at = getelementptr ptr, ptr %args, i64 {arrays - 1}
  %streams = load ptr, ptr %streams_at{_field("numbers", "streams", DATA, "ptr")}
  %list_at = getelementptr i64, ptr %c, i64 {STREAMS}
  store ptr %numbers, ptr %list_at"""
    return f"""
define ptr @edgernn_call_{name}(ptr %self, ptr %args, SIZE %n, ptr %names) {{
entry:
  %block = load ptr, ptr %args{_field("c", "block", DATA, "ptr")}{_word("busy", BUSY)}
  %free = icmp eq i64 %busy, 0
  br i1 %free, label %take, label %taken
taken:
  %refusal = call ptr @PyLong_FromLongLong(i64 -1)
  ret ptr %refusal
take:
  store i64 1, ptr %p_busy{_integers(integers)}
  %frames = getelementptr i64, ptr %c, i64 {FRAMES}
  store i64 %v1, ptr %frames{streams if arrays > 1 + integers else ""}
  br label %test
test:
  %i = phi SIZE [ {arrays}, %take ], [ %next, %port ]
  %more = icmp slt SIZE %i, %n
  br i1 %more, label %port, label %go
port:
  %array_at = getelementptr ptr, ptr %args, SIZE %i
  %array = load ptr, ptr %array_at{_field("data", "array", DATA, "ptr")}
  %number = sub SIZE %i, {arrays}
  %words = mul SIZE %number, {PORT_WORDS}
  %word = add SIZE %words, {PORTS + ADDRESS}
  %slot = getelementptr i64, ptr %c, SIZE %word
  store ptr %data, ptr %slot
  %next = add SIZE %i, 1
  br label %test
go:
  %control = ptrtoint ptr %c to i64
{"" if locked else UNLOCK}  %status = call i64 {call}
{"" if locked else LOCK}  store i64 0, ptr %p_busy
  %result = call ptr @PyLong_FromLongLong(i64 %status)
  ret ptr %result
}}
"""
