"""What NVIDIA's compiler makes of a kernel, run without a GPU: PTX, translated to C instruction by instruction.

PTX ISA 8.8 (docs.nvidia.com/cuda/parallel-thread-execution). An instruction that is not known here is an error, and so
are an address outside the arrays that a launch was given or not a multiple of its size, and threads of a block that
wait in different places. Registers and shared memory begin with arbitrary bits. What a thread does is counted.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

RUNTIME = Path(__file__).with_suffix(".c")
CLASSES = {"p": "uint8_t", "rs": "uint16_t", "r": "uint32_t", "rd": "uint64_t", "f": "float"}  # of registers
COMPARED = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
COMPARED |= {"lo": "<", "ls": "<=", "hi": ">", "hs": ">="}
OPPOSITE = {"equ": "ne", "neu": "eq", "ltu": "ge", "leu": "gt", "gtu": "le", "geu": "lt"}  # true where one is a NaN
PLACES = {"%tid.x": "tid", "%ctaid.x": "ctaid", "%ntid.x": "ntid", "%dynamic_smem_size": "shared_bytes"}


class UnknownInstruction(Exception):
    """PTX has more than is translated here."""


def c_type(kind: str) -> str:
    """The C type of one of PTX: u32, s64, b16, f32, pred."""
    if kind in ("f32", "pred"):
        return {"f32": "float", "pred": "int"}[kind]
    if kind[0] not in "usb" or kind[1:] not in ("8", "16", "32", "64"):
        raise UnknownInstruction(kind)
    return f"{'' if kind[0] == 's' else 'u'}int{kind[1:]}_t"


def register(name: str) -> tuple[str, str]:
    """Its class and its place in C."""
    kind, number = re.fullmatch(r"%([a-z]+)(\d+)", name).groups()  # type: ignore[union-attr]
    return kind, f"t->{kind}[{number}]"


def value(operand: str, kind: str) -> str:
    """An operand as a C expression of a PTX type; the bits of a number where that is no number, and the other way."""
    if operand in PLACES:
        return PLACES[operand]
    if operand.startswith("%"):
        held, place = register(operand)
        if (held == "f") != (kind == "f32"):
            return f"f2u({place})" if held == "f" else f"u2f({place})"
        return place if kind in ("f32", "pred") else f"(({c_type(kind)}){place})"
    if operand.startswith("0f"):
        return f"u2f(0x{operand[2:]}u)" if kind == "f32" else f"0x{operand[2:]}u"
    if re.fullmatch(r"-?\d+", operand):
        return f"(({c_type(kind)}){int(operand) % 2**64}ull)"
    if operand in SHARED:
        return f"((uint64_t)shared_memory + {SHARED[operand]})"
    raise UnknownInstruction(operand)


def assigned(target: str, expression: str, kind: str) -> str:
    """The register becomes an expression of a PTX type: bits where it holds a number and the type is none."""
    held, place = register(target)
    return f"{place} = {f'u2f({expression})' if held == 'f' and kind != 'f32' else expression};"


def address(text: str) -> str:
    """[%rd1+8], in C."""
    base, offset = re.fullmatch(r"\[(.+?)(?:\+(-?\d+))?\]", text).groups()  # type: ignore[union-attr]
    return f"{value(base, 'u64')} + {int(offset or 0)}ll"


def binary(sign: str) -> Callable[[str, str, str], str]:
    """The operands with a sign between them."""
    return lambda kind, a, b: f"({c_type(kind)})({value(a, kind)} {sign} {value(b, kind)})"


def shift(sign: str, kind: str, a: str, b: str) -> str:
    """By more than all bits: what is left then."""
    most = int(kind[1:]) - 1
    beyond = f"{value(a, kind)} >> {most}" if kind[0] == "s" else "0"
    return f"({value(b, 'u32')} > {most} ? {beyond} : {value(a, kind)} {sign} {value(b, 'u32')})"


def extreme(sign: str, name: str) -> Callable[[str, str, str], str]:
    """The lower or the higher one."""

    def made(kind: str, a: str, b: str) -> str:
        x, y = value(a, kind), value(b, kind)
        return f"{name}({x}, {y})" if kind == "f32" else f"({x} {sign} {y} ? {x} : {y})"

    return made


def compared(operation: str, kind: str, a: str, b: str) -> str:
    """setp: of two operands."""
    x, y = value(a, kind), value(b, kind)
    if operation in ("nan", "num"):
        return f"({x} != {x} || {y} != {y}) == {int(operation == 'nan')}"
    if kind == "f32" and operation == "ne":
        return f"({x} < {y} || {x} > {y})"
    if operation in OPPOSITE:
        return f"!({compared(OPPOSITE[operation], kind, a, b)})"
    return f"{x} {COMPARED[operation]} {y}"


def converted(kinds: tuple[str, ...], a: str) -> str:
    """cvt: to one type, from another."""
    to, source = kinds[-2:]
    if (to, source) == ("s32", "f32") and kinds[0] == "rzi":
        return f"f2i({value(a, source)})"
    if source == "f32" or (to == "f32") != (kinds[0] == "rn"):
        raise UnknownInstruction(kinds)
    return f"({c_type(to)}){value(a, source)}"


def loaded(kinds: tuple[str, ...], a: str) -> str:
    """ld: of a parameter or of memory."""
    if kinds[0] == "param":
        return f"({c_type(kinds[-1])})param[{re.search(r'_param_([0-9]+)]', a)[1]}]"  # type: ignore[index]
    kind = c_type(kinds[-1])
    return f"*({kind} *)at({address(a)}, sizeof({kind}))"


SHARED: dict[str, int] = {}  # name of an array in shared memory -> where it begins
# operation -> the C expression of the operands, by the last part of its name, the type
SIMPLE: dict[str, Callable[..., str]] = {
    **{name: binary(sign) for name, sign in {"add": "+", "sub": "-", "div": "/", "rem": "%"}.items()},
    **{name: binary(sign) for name, sign in {"and": "&", "or": "|", "xor": "^"}.items()},
    "shl": functools.partial(shift, "<<"),
    "shr": functools.partial(shift, ">>"),
    "min": extreme("<", "fmin_"),
    "max": extreme(">", "fmax_"),
    "mov": lambda kind, a: value(a, kind),
    "neg": lambda kind, a: f"-{value(a, kind)}",
    "abs": lambda kind, a: f"u2f(f2u({value(a, kind)}) & 0x7fffffffu)",
    "not": lambda kind, a: f"{'!' if kind == 'pred' else '~'}{value(a, kind)}",
    "rcp": lambda kind, a: f"1.0f / {value(a, kind)}",
    "sqrt": lambda kind, a: f"__builtin_sqrtf({value(a, kind)})",
    "selp": lambda kind, a, b, p: f"({value(p, 'pred')} ? {value(a, kind)} : {value(b, kind)})",
    "prmt": lambda kind, a, b, c: f"prmt({', '.join(value(v, 'u32') for v in (a, b, c))})",
    "dp4a": lambda kind, a, b, c: f"dp4a({', '.join(value(v, 'u32') for v in (a, b, c))})",
}
ROUNDED = ("mul", "div", "rcp", "sqrt")  # of float32: rounded to nearest, or refused


def expression(name: str, operands: list[str]) -> tuple[str, str]:
    """What an instruction computes, in C, and its type."""
    operation, *kinds = name.split(".")
    kind = kinds[-1]
    if kind == "f32" and operation in ROUNDED and kinds[0] != "rn":
        raise UnknownInstruction(name)
    if operation == "ld":
        return loaded(tuple(kinds), *operands), kind
    if operation == "cvt":
        return converted(tuple(kinds), *operands), kinds[-2]
    if operation == "cvta":
        return value(operands[0], "u64"), "u64"
    if operation == "setp":
        return compared(*kinds, *operands), "pred"
    if operation == "mul" and kinds[0] == "wide":
        wide = f"{kind[0]}{2 * int(kind[1:])}"
        return f"({c_type(wide)}){value(operands[0], kind)} * {value(operands[1], kind)}", wide
    if operation == "mul":
        return binary("*")(kind, *operands), kind
    if operation == "dp2a":
        a, b, c = (value(operand, "u32") for operand in operands)
        return f"dp2a({a}, {b} >> {16 if kinds[0] == 'hi' else 0}, {c})", kind
    return SIMPLE[operation](kind, *operands), kind


def quadruple(kind: str, operands: list[str]) -> str:
    """ld.v4: four registers."""
    numbers, at = enumerate(operands[0].strip("{}").split(",")), f"at({address(operands[1])}, 16)"
    parts = " ".join(assigned(register.strip(), f"place[{n}]", kind) for n, register in numbers)
    return f"{{ {c_type(kind)} *place = {at}; {parts} }}"


def statement(name: str, operands: list[str], barriers: list[str]) -> str:
    """An instruction as a C statement."""
    kind = name.rsplit(".", 1)[-1]
    if name in ("bra", "bra.uni"):
        return f"goto {operands[0].lstrip('$')};"
    if name == "ret":
        return "return t->stands = 0;"
    if name == "bar.sync":
        barriers.append(f"after_{len(barriers) + 1}")
        return f"return t->stands = {len(barriers)}; {barriers[-1]}:;"
    if name.startswith("st."):
        return f"*({c_type(kind)} *)at({address(operands[0])}, sizeof({c_type(kind)})) = {value(operands[1], kind)};"
    if name == "atom.global.min.s32":
        place = f"int32_t *place = at({address(operands[1])}, 4)"
        least = f"if ({value(operands[2], kind)} < *place) *place = {value(operands[2], kind)};"
        return f"{{ {place}; int32_t old = *place; {least} {assigned(operands[0], 'old', kind)} }}"
    if operands[0].startswith("{"):
        return quadruple(kind, operands)
    return assigned(operands[0], *expression(name, operands[1:]))


def statements(body: str, barriers: list[str]) -> Iterator[str]:
    """The lines of a kernel's C; each stretch between jumps begins with how many instructions it has."""
    stretch: list[str] = []

    def counted() -> Iterator[str]:
        yield f"executed += {len(stretch)};"
        yield from stretch
        stretch.clear()

    for part in re.split(r";|(?<=:)\s", body):
        label = re.fullmatch(r"\s*\$?(\w+):\s*", part)
        found = re.fullmatch(r"\s*(?:@(!?)(%p\d+)\s+)?(\S+)\s*(.*?)\s*", part)
        if label:
            yield from counted()
            yield f"{label[1]}:;"
        elif found:
            no, predicate, name, operands = found.groups()
            made = statement(name, re.findall(r"{[^}]*}|[^\s,][^,]*", operands), barriers)
            stretch.append(f"if ({no}{value(predicate, 'pred')}) {{ {made} }}" if predicate else made)
            if "goto" in made or "return" in made:
                yield from counted()
    yield from counted()


def laid_out(text: str) -> int:
    """Places for a block's shared arrays; the bytes of those of a known size, behind which lies that of a launch's."""
    SHARED.clear()
    held = 0
    for name, size in sorted(re.findall(r"\.shared .*?(\w+)\[(\d*)\];", text), key=lambda found: not found[1]):
        SHARED[name] = held
        held += -(-int(size or 0) // 16) * 16
    return held


def translated(text: str) -> str:
    """The C of the one kernel of a PTX file."""
    text = re.sub(r"//.*", "", text)
    held = laid_out(text)
    body, barriers = text[text.index("{") + 1 : text.rindex("}")], []  # type: tuple[str, list[str]]
    registers = re.findall(r"\.reg \.\w+\s+%(\w+)<(\d+)>;", body)
    fields = " ".join(f"{CLASSES[kind]} {kind}[{count}];" for kind, count in registers)
    lines = list(statements(re.sub(r"\.(reg|pragma) .*?;", "", body), barriers))
    cases = "".join(f" case {n}: goto {label};" for n, label in enumerate(barriers, 1))
    head = (
        f'#include <stdint.h>\n#define HELD {held}\nstruct thread {{ int stands; {fields} }};\n#include "{RUNTIME}"\n'
    )
    signature = "static int go(struct thread *t, const uint64_t *param, unsigned tid, unsigned ctaid)"
    return "\n".join([head + signature, f"{{ switch (t->stands) {{{cases} }}", *lines, "}\n"])
