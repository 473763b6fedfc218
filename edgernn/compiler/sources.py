"""The C text around a plan: header, glue, example, and the data as assembler."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgernn.compiler.targets import Target
from edgernn.kernels import contract as c
from edgernn.layers.model import Model, Port
from edgernn.planner import Plan

TEMPLATES = Path(__file__).parent / "output"
BUILT_VERSION = 1  # of what stands in a file beside a library
LONGEST_NAME = 64
SYSTEM = frozenset(
    ("epoll", "memfd", "pthread", "thrd", "timer", "tss")
)  # names of its functions begin so: timer_create
# What a name in C cannot be: words of C and C++, and what compilers define
RESERVED = """
    alignas alignof and asm auto bitand bitor bool break case catch char class compl concept const constexpr continue
    decltype default delete do double else enum errno explicit export extern false float for friend goto if inline int
    long main mutable namespace new noexcept not nullptr operator or private protected public register restrict return
    short signed sizeof static stderr stdin stdout struct switch template this throw true try typedef typeid typename
    typeof union unsigned using virtual void volatile while xor linux unix
    fread fwrite
"""
# Names after which a header would stand in the place of C's or POSIX's own, or a size be called as a limit of theirs
HEADERS = """
    assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic
    stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype
    aio dirent dlfcn elf endian err fcntl features fnmatch getopt glob grp link malloc memory mqueue netdb poll pwd
    regex resolv sched search semaphore spawn strings syslog termios unistd utime values wait
    char int int8 int16 int32 int64 intmax intptr llong long ptrdiff schar seek shrt short sig size uchar uint uint8
    uint16 uint32 uint64 uintmax uintptr ulong wint
"""
MACROS = {  # what the header defines of its own: NAME_SIZE and so on
    *("h", "api", "size", "state_size"),
    *("no_state", "newer_state", "damaged_state", "other_state", "impossible_state"),
    *("no_file", "newer_file", "damaged_file", "other_file", "misaligned_file"),
}
CONTROL = ("PROGRAM", "WEIGHTS", "ARENA", "FRAMES", "INPUTS", "ANSWER", "PORTS", "PORT_WORDS")
PORT = ("ADDRESS", "STRIDE", "SIZE", "TOKENS", "LOW", "HIGH")


@dataclass(frozen=True, eq=False)
class Job:
    """What is built."""

    model: Model
    plan: Plan
    name: str  # of the functions and files
    target: Target
    version: str  # of edgernn
    beside: bool  # weights and program are not in the library: a file beside it holds them

    @property
    def file(self) -> str:
        """The name of the file with weights and program; empty: they are in the library."""
        return f"{self.name}.edgernn" if self.beside else ""

    @property
    def stamp(self) -> str:
        """What the library says of itself: it is for one model, or for all of one form."""
        of = self.form if self.beside else self.model.hash
        return f"edgernn {self.version}, {self.name} {of[:16]}, {self.target.name}"

    @property
    def form(self) -> str:
        """A digest of all that a library without weights and program takes for granted about them."""
        plan = self.plan
        slots = [(slot.offset, slot.initial.size) for slot in plan.states]
        ports = [(p.size, p.dtype, p.low, p.high) for p in (*plan.inputs, *plan.outputs)]
        sizes = len(plan.inputs), plan.arena_bytes, plan.hop, plan.window
        parts = (self.version, self.target.isa, sorted(kernels_of(plan)), slots, ports, sizes)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def facts(self) -> dict[str, Any]:
        """What the loader believes the manifest; the library holds its digest."""
        ports = {
            side: [{k: v for k, v in asdict(port).items() if k != "value"} for port in given]
            for side, given in (("inputs", self.plan.inputs), ("outputs", self.plan.outputs))
        }
        return {
            "stamp": self.stamp,
            "name": self.name,
            "architecture": self.target.architecture,
            "target": self.target.name,
            "needs": list(self.target.needs),
            "size": instance_size(self.plan),
            "state_size": state_size(self.plan),
            "file": self.file,
            **ports,
        }

    @property
    def seal(self) -> str:
        """The digest of the facts."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()


@cache
def taken() -> frozenset[str]:
    """RESERVED, and whatever else the files that we write call things."""
    texts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in ("glue.c", "main.c")]
    return frozenset(RESERVED.split()).union(*(re.findall(r"\w+", text) for text in texts))


def identifier(text: str, otherwise: str, taken: frozenset[str]) -> str:
    """A name for C that is like the text, or the other one where there is none."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()[:LONGEST_NAME]
    return name if name and not name[0].isdigit() and name not in taken else otherwise


def prefix(text: str) -> str:
    """What the names of all that a model has in C begin with; none is the prefix alone."""
    name = identifier(text, "model", SYSTEM)
    return f"{name}_model" if name in HEADERS.split() else name


def filled(name: str, values: dict[str, str]) -> str:
    """The text of a template with each @KEY@ replaced, and what is between `@FORM:` and `@end` for that form alone."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    text = re.sub(
        r"^@(\w+):\n(.*?)^@end\n", lambda found: found[2] * (found[1] == values["FORM"]), text, flags=re.M | re.S
    )
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], text)


def parameters(ports: Sequence[Port], direction: str, model: str, others: Sequence[str] = ()) -> list[str]:
    """A C name for each port, none of which is among the others or hides what is named after the model."""
    names: list[str] = []
    for number, port in enumerate(ports):
        otherwise = f"{direction}{number}" if model != f"{direction}{number}" else f"{direction}_{number}"
        name = identifier(port.name, otherwise, taken())
        hides = name == model or name.startswith(f"{model}_") or name in MACROS
        name = otherwise if hides or name in names or name in others else name
        while name in names or name in others:
            name += "_"
        names.append(name)
    return names


def prime_bits(count: int, root: float) -> list[int]:
    """The first 32 bits of the fractions of the primes' roots, which SHA-256 begins with (FIPS 180-4, 4.2.2, 5.3.3)."""
    primes = [n for n in range(2, 312) if all(n % d for d in range(2, n))][:count]
    scaled = [_whole_root(prime << (64 if root == 2 else 96), int(root)) for prime in primes]
    return [value & 0xFFFFFFFF for value in scaled]


def _whole_root(value: int, root: int) -> int:
    low, high = 0, 1 << 40
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**root <= value else (low, middle - 1)
    return low


def state_size(plan: Plan) -> int:
    """Bytes of a saved state."""
    return 52 + 4 * len(plan.initial) + 32


def kernels_of(plan: Plan) -> set[str]:
    """The names of the instructions that a plan has."""
    codes = {int(word) for program in (plan.program, plan.prepare) for word in program[:, 0]}
    return {c.Opcode(code).name.lower() for code in codes if code > c.Opcode.STOP}


def instance_size(plan: Plan) -> int:
    """Bytes of memory for an instance: control block and arena, each aligned, and room for a register beyond."""
    words = 1 + c.PORTS + c.PORT_WORDS * (len(plan.inputs) + len(plan.outputs))
    return -(-(8 * words + plan.arena_bytes + 4 * c.ALIGNMENT) // c.ALIGNMENT) * c.ALIGNMENT


def values(job: Job) -> dict[str, str]:
    """What the templates leave open."""
    plan, name = job.plan, job.name
    ins = parameters(plan.inputs, "input", name)
    outs = parameters(plan.outputs, "output", name, ins)
    kinds = ["int64_t" if port.dtype == "int64" else "float" for port in plan.inputs]
    ports = (*plan.inputs, *plan.outputs)
    slots = [f"{{{slot.offset}, {slot.initial.size}}}" for slot in plan.states] or ["{0, 0}"]
    sizes = dict(zip([*ins, *outs], (port.size for port in ports), strict=True))
    reads = [f"whole({x}, sizeof {x})" for x in ins]
    writes = [f"fwrite({y}, sizeof {y}, 1, stdout) == 1" for y in outs]
    declared = [f"const {kind} *{x}" for kind, x in zip(kinds, ins, strict=True)] + [f"float *{y}" for y in outs]
    buffers = [f"    static {k} {x}[{sizes[x]}];" for k, x in zip([*kinds, *["float"] * len(outs)], sizes, strict=True)]
    return {
        **_naming(job),
        "WORDS": ", ".join(f"{word} = {getattr(c, word)}" for word in (*CONTROL, *PORT)),
        "INPUTS": str(len(ins)),
        "OUTPUTS": str(len(outs)),
        "STATES": str(len(plan.initial)),
        "WAITS": str(int(plan.waits)),
        "HOP": str(plan.hop),
        "LONGEST": str(max(plan.hop, plan.window)),
        "PORTS": ", ".join(f"{{{p.size}, {int(p.dtype == 'int64')}, {p.low}, {p.high}}}" for p in ports),
        "SLOTS": ", ".join(slots),
        "ARENA": str(plan.arena_bytes + c.ALIGNMENT),
        "PARAMETERS": ", ".join(declared),
        "ARGUMENTS": ", ".join([*ins, *outs]),
        "CONSTANTS": ", ".join(f"0x{bits:08x}" for bits in prime_bits(64, 3)),
        "START": ", ".join(f"0x{bits:08x}" for bits in prime_bits(8, 2)),
        "SIZE": str(instance_size(plan)),
        "STATE_SIZE": str(state_size(plan)),
        "SIZES": "\n".join(f"#define {name.upper()}_{x.upper()} {n}  /* numbers a frame */" for x, n in sizes.items()),
        "DESCRIPTION": description(plan, ins, outs),
        "BUFFERS": "\n".join(buffers),
        "READS": " && ".join(reads),
        "WRITES": " && ".join(writes),
    }


def _naming(job: Job) -> dict[str, str]:
    """What the files say of themselves."""
    return {
        "NAME": job.name,
        "UPPER": job.name.upper(),
        "VERSION": job.version,
        "TARGET": f"{job.target.name} ({job.target.what})",
        "NEEDS": " ".join(job.target.needs) or "nothing beyond its architecture",
        "STAMP": job.stamp,
        "SEAL": job.seal,
        "WANTED_FORM": ", ".join(str(byte) for byte in bytes.fromhex(job.form)),
        "FORM": "beside" if job.beside else "inside",
        "CREATES": "void *memory, size_t bytes" + ", const void *file, size_t size" * job.beside,
        "CREATED": "memory, sizeof memory" + ", file, size" * job.beside,
        "BUILT_VERSION": str(BUILT_VERSION),
        "HASH": ", ".join(str(byte) for byte in bytes.fromhex(job.model.hash)),
    }


def description(plan: Plan, ins: Sequence[str], outs: Sequence[str]) -> str:
    """Ports and rhythm, as lines of a comment."""
    lines = [
        f" * {x}: {port.size} number{'s' * (port.size > 1)}"
        for x, port in zip([*ins, *outs], (*plan.inputs, *plan.outputs), strict=True)
    ]
    for n, port in enumerate(plan.inputs):
        if port.dtype == "int64":
            lines[n] = f" * {ins[n]}: {port.size} token{'s' * (port.size > 1)} within {port.low}..{port.high}"
    if plan.waits:
        lines.append(f" * The first answer comes with frame {plan.window}, then one every {plan.hop} frames.")
    return "\n".join(lines)


def data(name: str, parts: Iterable[str]) -> str:
    """Assembler that takes in constants of the plan, each from a file of its name."""
    texts = [f'.balign 64\n.globl {name}_{p}\n.hidden {name}_{p}\n{name}_{p}:\n.incbin "{p}.bin"\n' for p in parts]
    return ".section .rodata\n" + "".join(texts) + '.balign 64\n.section .note.GNU-stack,"",%progbits\n'
