"""x86-64 processors that are not here, emulated by Bochs: they call functions that are in this process's memory.

Nothing is written for them: the libraries that come with the package are loaded here, and what runs there are those
bytes, at those addresses, on the plans and arrays of streams that were made here.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edgernn.compiler import linker
from edgernn.compiler.targets import TARGETS
from edgernn.kernels import native, prebuilt
from edgernn.kernels.entries import CALLED, LOCKED
from edgernn.kernels.isas import ISAS
from edgernn.kernels.native import Library
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.stream import Stream

PROCESSORS = {"avx512vnni": "corei7_icelake_u", "avxvnni": "corei7_icelake_u", "avx512": "corei7_skylake_x"}
BIOS, SCREEN = "/usr/share/vgabios/vgabios.bin", "/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so"
SOURCES = [Path(__file__).with_suffix(suffix) for suffix in (".S", ".c")]
SCRIPT = Path(__file__).with_suffix(".ld")
PLAIN = "-mcpu=x86_64-mmx-sse-sse2-x87+soft_float"  # vector registers are those of the functions that are called
FLAGS = "-O1 -ffreestanding -fPIC -fno-builtin -fno-sanitize=all -fno-stack-protector -mno-red-zone -static -nostdlib"
CYLINDER = 16 * 63 * 512  # bytes
SETTINGS = """
cpu: model={cpu}, count=1, ips=1000000, reset_on_triple_fault=0
memory: guest=512, host=512
romimage: file=rom
vgaromimage: file={bios}
ata0-master: type=disk, path=disk, mode=flat, cylinders=1, heads=16, spt=63
log: log
display_library: term
clock: sync=none
"""
REQUEST, REPLY, CALL, PAGE = (64 * sector for sector in (0, 1, 2, 8))  # words of the disk: see bochs.c
FETCH, RETURNED, NUMBERS, WHOLE = 0x100, 0x300, 0x100, 4096
STEPS = 200  # frames to count instructions over: those of a page that comes are not all left out


def missing() -> str:
    """Why there is no emulator here; empty where there is one."""
    there = all(shutil.which(name) for name in ("bochs", "setpriv")) and Path(BIOS).exists() and Path(SCREEN).exists()
    return "" if there else "Bochs or setpriv is missing: apt-get install bochs bochs-term util-linux vgabios"


class Machine:
    """A processor that has an instruction set. What a function changes is changed here once it has returned."""

    def __init__(self, name: str, cpu: str = ""):
        if lacking := missing():
            pytest.skip(lacking)
        self.kernels = self._kernels(name)
        self._instructions = 0  # that the last call took
        self._asked = 0
        self._temporary = tempfile.TemporaryDirectory()
        self._folder = folder = Path(self._temporary.name)
        flags = [*linker.zig_target(TARGETS["x86-64"], "musl"), PLAIN, *FLAGS.split()]
        linker.zig(folder, "cc", *flags, "-T", SCRIPT, *SOURCES, "-o", "rom")
        (folder / "disk").write_bytes(bytes(CYLINDER))
        (folder / "settings").write_text(SETTINGS.format(cpu=cpu or PROCESSORS[name], bios=BIOS))
        (folder / "continue").write_text("c\n")  # for Bochs's debugger
        with (folder / "disk").open("r+b") as file:
            self._words = np.frombuffer(mmap.mmap(file.fileno(), 0), np.int64)
        self._memory = os.open("/proc/self/mem", os.O_RDONLY)
        command = ["setpriv", "--pdeathsig", "KILL", "bochs", "-f", "settings", "-rc", "continue"]
        env, none = {**os.environ, "TERM": "xterm"}, subprocess.DEVNULL
        with (folder / "said").open("wb") as said:
            self._process = subprocess.Popen(command, cwd=folder, env=env, stdin=none, stdout=said, stderr=said)
        self._serve()

    def function(self, library: ctypes.CDLL, name: str) -> Callable[..., int]:
        """One of a library that is loaded here, of up to four integers, called there."""
        return functools.partial(self._call, ctypes.cast(library[name], ctypes.c_void_p).value)

    def _call(self, address: int, *arguments: int) -> int:
        self._words[CALL : CALL + 1 + len(arguments)] = address, *arguments
        self._process.send_signal(signal.SIGCONT)
        self._words[REPLY] = self._asked
        try:
            return self._serve()
        except BaseException:
            self._process.kill()  # it may still wait for an answer to something else
            raise

    @contextmanager
    def used(self) -> Iterator[None]:
        """What is made inside runs its kernels there."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("edgernn.kernels.library.load", lambda backend="auto": self.kernels)
            yield

    def instructions(self, model: Model, x: Array) -> int:
        """How many of the kernels' a frame of x takes: runs over half and all of x, compared."""
        with self.used():
            stream = Stream(model)
        totals = []
        for frames in (x[: len(x) // 2], x):
            stream.run(frames)
            totals.append(self._instructions)
        return (totals[1] - totals[0]) // (len(x) - len(x) // 2)

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is left of it."""
        self._process.kill()
        self._process.wait()
        os.close(self._memory)
        self._temporary.cleanup()

    def _kernels(self, name: str) -> Library:
        """Those that come with the package, called there."""
        assert not prebuilt.unfit(name)
        library = prebuilt.load(ISAS[name])
        library.builtin, library._prepare = False, self.function(library._owner, "edgernn_prepare")
        for called in (*CALLED, LOCKED):
            entry = self.function(library._owner, f"edgernn_{called}")
            setattr(library, called, functools.partial(library._through, entry))
        library.pool = functools.partial(native._pool, self.function(library._owner, "edgernn_pool"))
        return library

    def _serve(self) -> int:
        """Give pages and take them back until a function has returned; what it gives."""
        page, held = self._words[PAGE : PAGE + WHOLE // 8].view(np.uint8), {}
        while (request := self._request()) & RETURNED != RETURNED:
            address = request & -WHOLE
            if request & RETURNED == FETCH:
                page[:] = held[address] = np.frombuffer(os.pread(self._memory, WHOLE, address), np.uint8)
            else:
                here = np.frombuffer((ctypes.c_uint8 * WHOLE).from_address(address), np.uint8)
                changed = np.flatnonzero(page != held[address])  # this process may have changed the others
                here[changed] = page[changed]
            self._words[REPLY] = self._asked
        self._process.send_signal(signal.SIGSTOP)
        self._instructions = int(self._words[CALL + 1])
        return int(self._words[CALL])

    def _request(self) -> int:
        begin = time.monotonic()
        while (request := int(self._words[REQUEST])) % NUMBERS == self._asked:
            if self._process.poll() is not None:
                raise RuntimeError(f"Bochs has stopped: {(self._folder / 'said').read_bytes()[-1000:]!r}")
            time.sleep(0 if time.monotonic() - begin < 1e-3 else 1e-4)
        self._asked = request % NUMBERS
        return request
