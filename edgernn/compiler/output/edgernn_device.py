"""A built model on the device: one file, the standard library alone (NumPy arrays are welcome where NumPy is there).

from edgernn_device import Stream
stream = Stream("folder")        # the one that `edgernn build` wrote; by default that of this file
y = stream.step([0.0] * 40)      # numbers in, a list out; a NumPy array in, a NumPy array out
Y = stream.run(frames)           # many frames; the same bits as as many steps
blob = stream.save_state()       # bytes; load_state goes on from there, on any machine, also with edgernn's Stream
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import os
import struct
import sys
from _thread import allocate_lock
from array import array
from typing import Any

FORMAT, MANIFEST = 1, "manifest.json"
MACHINES: Any = {name: ((name,), 8) for name in ("x86_64", "aarch64", "riscv64")}  # Linux's words, bytes of an address
MACHINES["armv7"] = ("armv7l", "armv8l", "aarch64"), 4
HWCAP, BITS = 16, {"aarch64": {"asimddp": 1 << 20}, "armv7": {"neon": 1 << 12}}  # getauxval(AT_HWCAP), its bits
REFUSED = {
    -1: "these {size} bytes are not a saved state of a stream",
    -2: "the saved state has format {version}, this edgernn knows 1: take a newer one",
    -3: "the saved state is damaged: its checksum does not fit; save it again",
    -4: "the saved state belongs to another model; load it into a stream of the model that saved it",
    -5: "the state waits for {waits:g} frames, which no stream of this model can do",
}
FACTS = ["stamp", "name", "architecture", "target", "needs", "size", "state_size", "file", "inputs", "outputs"]
PLAIN, TEXT = {int, float}, ("str", "bytes")


class EdgernnError(Exception):
    """The base of all errors here."""


class BadInput(EdgernnError, ValueError):
    """Input of the wrong shape or type, or not finite. The state is as before the call."""


class BadModelFile(EdgernnError):
    """The folder is not what was built. Nothing was loaded."""


class BackendUnavailable(EdgernnError):
    """The library is for another machine. Nothing was loaded."""


class Stream:
    """One running instance. Raises BadModelFile and BackendUnavailable for a folder that does not fit."""

    def __init__(self, folder: str | os.PathLike[str] | None = None):
        path = os.path.abspath(folder or os.path.dirname(__file__))  # noqa: PTH100, PTH120 (pathlib takes 5 ms)
        self._start(about := _checked(path), _loaded(path, about), _beside(path, about))

    def _start(self, about: dict[str, Any], library: ctypes.CDLL, file: tuple[Any, ...]) -> None:
        self.about, self._library, self._inputs, self._outputs = about, library, about["inputs"], about["outputs"]
        self._memory, self._file = ctypes.create_string_buffer(size := about["size"]), file
        made = self._call("create", self._memory, ctypes.c_size_t(size), *file, gives=ctypes.c_void_p)
        if not made:
            raise BadModelFile(f"{about['file']} is damaged, or not for '{about['stamp']}': copy what was built for it")
        self._lock, port, self._single = allocate_lock(), self._inputs[0], len(self._inputs) == len(self._outputs) == 1
        self._instance, self._step = ctypes.c_void_p(made), getattr(library, f"{about['name']}_step")
        self._step.argtypes = [ctypes.c_void_p] * (1 + len(self._inputs) + len(self._outputs))
        self._frame = struct.Struct(f"<{port['size']}{'q' if port['dtype'] == 'int64' else 'f'}")
        self._given = ctypes.create_string_buffer(self._frame.size)
        self._made = (ctypes.c_float * self._outputs[0]["size"])()

    def _call(self, name: str, *arguments: Any, gives: Any = None) -> Any:
        function = getattr(self._library, f"{self.about['name']}_{name}")
        function.restype = gives
        return function(*arguments)

    def _alone(self, do: Any, *arguments: Any, **named: Any) -> Any:
        if not self._lock.acquire(blocking=False):
            raise BadInput("another thread runs this stream; give each thread a stream of its own")
        try:
            return do(*arguments, **named)
        finally:
            self._lock.release()

    def step(self, x: Any) -> Any:
        """One frame: (n_in,) numbers, or a token -> (n_out,) numbers; None while no answer is due.

        Several ports: a mapping from name to numbers, in and out. Raises BadInput; the state is then as before.
        """
        if type(x) is list and self._single and PLAIN.issuperset(map(type, x)) and self._lock.acquire(blocking=False):
            try:
                self._frame.pack_into(self._given, 0, *x)
                status = self._step(self._instance, self._given, self._made)
                if status >= 0:
                    return self._made[:] if status else None
            except (struct.error, OverflowError):
                pass  # what is wrong is said below
            finally:
                self._lock.release()
        return self._frames(x, several=False)

    def run(self, X: Any) -> Any:
        """T frames: (T, n_in) -> (answers, n_out). Raises BadInput as `step` does."""
        return self._frames(X, several=True)

    def reset(self) -> None:
        """Back to the initial state."""
        self._alone(self._call, "reset", self._instance)

    def save_state(self) -> bytes:
        """The state, to go on from on any machine that has the model."""
        blob = ctypes.create_string_buffer(self.about["state_size"])
        self._alone(self._call, "save", self._instance, blob)
        return blob.raw

    def load_state(self, blob: bytes) -> None:
        """Go on from a saved state, bit for bit. Raises BadInput for a foreign or damaged one, and changes nothing."""
        if not isinstance(blob, (bytes, bytearray, memoryview)):
            raise BadInput(f"a saved state is bytes, not {type(blob).__name__}")
        given = self._instance, (blob := bytes(blob)), ctypes.c_size_t(len(blob))
        if status := self._alone(self._call, "load", *given, gives=ctypes.c_int):
            version = int.from_bytes(blob[8:12], "little")
            waits = ctypes.c_float.from_buffer_copy(blob[-36:].ljust(4, b"\0")).value  # stands before the sum
            raise BadInput(REFUSED[status].format(size=len(blob), version=version, waits=waits))

    def fork(self, memo: Any = None) -> Stream:
        """A second stream that goes on from this one's state."""
        twin = Stream.__new__(Stream)
        twin._start(self.about, self._library, self._file)
        twin.load_state(self.save_state())
        return twin

    __copy__ = __deepcopy__ = fork

    def _frames(self, given: Any, several: bool) -> Any:
        values = _by_port(given, self._inputs)
        numpy = sys.modules.get("numpy")
        arrays = numpy is not None and any(isinstance(v, (numpy.ndarray, numpy.generic)) for v in values)
        taken = [_taken(value, port, several) for value, port in zip(values, self._inputs, strict=True)]
        counts = sorted({count for _, count in taken})
        if len(counts) > 1:
            raise BadInput(f"the inputs have {', '.join(map(str, counts))} frames; all need the same number")
        status, outs = self._alone(self._answers, ctypes.c_size_t(counts[0]), [buffer for buffer, _ in taken])
        if status < 0:
            raise _bad_value(self._inputs[-1 - status], taken[-1 - status][0])
        if not several and not status:
            return None
        made = [_answer(b, p["size"], status, several, arrays) for b, p in zip(outs, self._outputs, strict=True)]
        return made[0] if len(made) == 1 else {p["name"]: y for p, y in zip(self._outputs, made, strict=True)}

    def _answers(self, frames: ctypes.c_size_t, taken: list[Any]) -> tuple[int, list[Any]]:
        answers = self._call("answers", self._instance, frames, gives=ctypes.c_size_t)
        outs = [(ctypes.c_float * (max(answers, 1) * port["size"]))() for port in self._outputs]
        return self._call("run", self._instance, frames, *taken, *outs, gives=ctypes.c_int64), outs


def _read(folder: str, name: str) -> bytes:
    try:
        with open(os.path.join(folder, name), "rb") as file:  # noqa: PTH118, PTH123
            return file.read()
    except OSError as error:
        raise BadModelFile(f"{folder}: {name} cannot be read ({error.strerror}); copy the whole folder") from None


def _checked(folder: str) -> dict[str, Any]:
    """What the manifest says, if the library says so too and may be loaded here."""
    try:
        about: dict[str, Any] = json.loads(_read(folder, MANIFEST))
        if (kind := about["format"]) != FORMAT:
            other = f"{folder} has format {kind!r:.50}"
            raise BadModelFile(f"{other}, this file knows {FORMAT}: take its edgernn_device.py")
        library, known = about["library"], about["files"][about["library"]]
        facts = json.dumps({fact: about[fact] for fact in FACTS}, sort_keys=True)
        about["seal"], content = hashlib.sha256(facts.encode()).hexdigest(), _read(folder, library)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadModelFile(f"{folder} is no folder that edgernn built: {str(error)[:200]}") from None
    if hashlib.sha256(content).hexdigest() != known:
        raise BadModelFile(f"{folder}: {library} is not the file that was built, its sha256 differs; copy it again")
    if about["seal"].encode() not in content:
        raise BadModelFile(f"{folder}: {library} is not what {MANIFEST} says; copy the folder")
    _check_machine(about)
    return about


def _check_machine(about: dict[str, Any]) -> None:
    (known, size), machine, word = MACHINES[about["architecture"]], os.uname().machine, ctypes.sizeof(ctypes.c_void_p)
    wanted = f"the library is for {about['target']} ({about['architecture']}, {8 * size} bits)"
    if sys.platform != "linux" or machine not in known or word != size:
        raise BackendUnavailable(f"{wanted}, this is {sys.platform} on {machine} with {8 * word} bits")
    if missing := sorted(set(about["needs"]) - _features(about["architecture"], about["needs"])):
        raise BackendUnavailable(f"{wanted}; this processor has no {', '.join(missing)}: build for this machine")


def _features(architecture: str, wanted: list[str]) -> set[str]:
    """Which of these the processor has; all of them where nobody can tell."""
    if architecture in BITS:
        value = ctypes.CDLL(None).getauxval
        value.restype, value.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        return {name for name, bit in BITS[architecture].items() if value(HWCAP) & bit}
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            return next(set(line.split()) for line in file if line.startswith("flags"))
    except (OSError, StopIteration):
        return set(wanted)


def _loaded(folder: str, about: dict[str, Any]) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(os.path.join(folder, about["library"]))  # noqa: PTH118
    except OSError as error:
        raise BackendUnavailable(f"the library cannot be loaded: {error}") from None
    said = f"{about['stamp']}\0{about['seal']}".encode()
    if (version := getattr(library, f"{about['name']}_version", None)) is not None:
        version.restype = ctypes.c_void_p
    if version is None or ctypes.string_at(version(), len(said)) != said:  # the system knows it by its path
        raise BadModelFile(f"{folder} was built anew since this process loaded its library: start Python anew")
    return library


def _beside(folder: str, about: dict[str, Any]) -> tuple[Any, ...]:
    """The file with weights and program, from a multiple of 64 on, and its size; nothing where the library has them."""
    if not about["file"]:
        return ()
    room = ctypes.create_string_buffer(len(content := _read(folder, about["file"])) + 64)
    made = (ctypes.c_char * len(content)).from_buffer(room, -ctypes.addressof(room) % 64)
    made.raw = content
    return made, ctypes.c_size_t(len(content))


def _by_port(given: Any, ports: list[dict[str, Any]]) -> list[Any]:
    names = [port["name"] for port in ports]
    if isinstance(given, dict):
        if given.keys() != set(names):
            raise BadInput(f"the model's inputs are {', '.join(names)}; given: {', '.join(map(str, given)) or 'none'}")
        return [given[name] for name in names]
    if len(names) == 1:
        return [given]
    raise BadInput(f"the model has the inputs {', '.join(names)}: give a mapping from name to array")


def _unlike(port: dict[str, Any], kind: str) -> BadInput:
    wanted = "token numbers" if port["dtype"] == "int64" else "float32"
    return BadInput(f"input '{port['name']}' takes {wanted}, got {'text' if kind in TEXT else kind}")


def _shape(value: Any) -> tuple[int, ...]:
    if hasattr(value, "shape"):
        return tuple(value.shape)
    if isinstance(value, (str, bytes, dict)) or not (hasattr(value, "__len__") and hasattr(value, "__getitem__")):
        return ()
    return (len(value), *(_shape(value[0]) if len(value) else ()))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _taken(given: Any, port: dict[str, Any], several: bool) -> tuple[Any, int]:
    """Numbers in sequences or arrays as (a C array, how many frames)."""
    size, tokens, shape, dtype = port["size"], port["dtype"] == "int64", _shape(given), getattr(given, "dtype", None)
    if hasattr(given, "mask"):
        raise BadInput(f"input '{port['name']}' is a masked array: fill what is masked first, with its method filled()")
    if dtype == "float32" and shape == (*shape[:several], size) and not tokens and given.flags.c_contiguous:
        return (ctypes.c_float * given.size).from_buffer_copy(given), given.size // size
    flat: list[Any] = []
    for frame in _plain(given) if several and shape else [given]:
        row = [frame] if size == 1 and _shape(frame) == () else _plain(frame)
        if len(_shape(row)) != 1 or len(row) != size or len(shape) < several + (size > 1):
            was, expected = (*shape[:several], *_shape(row)), f"(T, {size})" if several else f"({size},)"
            raise BadInput(f"input '{port['name']}' has shape {was}, expected {expected}")
        flat.extend(map(_plain, row))
    odd = [type(value).__name__ for value in flat if type(value) not in PLAIN or (tokens and value % 1)]
    if odd or getattr(dtype, "kind", "f") not in "fiu":
        raise _unlike(port, odd[0] if odd else str(dtype))
    if tokens:
        flat = [max(min(int(token), 2**62), -(2**62)) for token in flat]  # beyond any vocabulary
    try:  # what is too large becomes infinite, which the library refuses
        packed = array("q" if tokens else "f", flat)
    except OverflowError:
        raise _unlike(port, "object") from None
    return ((ctypes.c_int64 if tokens else ctypes.c_float) * len(flat)).from_buffer_copy(packed), len(flat) // size


def _bad_value(port: dict[str, Any], values: Any) -> BadInput:
    for n, value in enumerate(values):
        where = f"input '{port['name']}', frame {n // port['size']}"
        if port["dtype"] == "int64" and not port["low"] <= value <= port["high"]:
            return BadInput(f"{where}: token {value} is outside {port['low']}..{port['high']}")
        if port["dtype"] != "int64" and not math.isfinite(value):
            return BadInput(f"{where}, element {n % port['size']} is {value}; all numbers must be finite in float32")
    raise AssertionError("the library refused numbers that are good")


def _answer(buffer: Any, size: int, count: int, several: bool, as_array: bool) -> Any:
    flat = (sys.modules["numpy"].frombuffer(buffer, "f4") if as_array else buffer)[: count * size]
    if as_array:
        return flat.reshape(count, size) if several else flat
    return [flat[n : n + size] for n in range(0, len(flat), size)] if several else flat
