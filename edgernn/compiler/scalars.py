"""Vector arithmetic in float32, spelled out number by number, for 32-bit ARM.

NEON takes subnormal numbers for zero there, whatever the mode (Arm Architecture Reference Manual, ARMv7-A, A2.7.3);
the scalar instructions of VFP are those of IEEE 754. Products of integers stay in vectors.
"""

from __future__ import annotations

import re

OPERATION = re.compile(
    r"^  (?P<to>%\S+) = (?P<op>fadd|fsub|fmul|fdiv|fcmp \w+) <(?P<lanes>\d+) x float> (?P<operands>.+?)$", re.MULTILINE
)


def scalar_floats(text: str) -> str:
    """LLVM IR in which no sum, product, quotient or comparison is of a vector of float32."""
    return OPERATION.sub(_spelled_out, text)


def _spelled_out(found: re.Match[str]) -> str:
    to, op, lanes = found["to"], found["op"], int(found["lanes"])
    name, vector, made = f"%lane.{to[1:]}", f"<{lanes} x float>", "i1" if op.startswith("fcmp") else "float"
    left, right = _operands(found["operands"])
    lines, whole = [], "poison"
    for n in range(lanes):
        last = to if n == lanes - 1 else f"{name}.{n}"
        lines += [
            f"  {name}.{n}.a = extractelement {vector} {left}, i64 {n}",
            f"  {name}.{n}.b = extractelement {vector} {right}, i64 {n}",
            f"  {name}.{n}.y = {op} float {name}.{n}.a, {name}.{n}.b",
            f"  {last} = insertelement <{lanes} x {made}> {whole}, {made} {name}.{n}.y, i64 {n}",
        ]
        whole = last
    return "\n".join(lines)


def _operands(text: str) -> tuple[str, str]:
    """Two values; a constant vector has commas of its own."""
    depth = 0
    for n, letter in enumerate(text):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            return text[:n], text[n + 1 :].strip()
    raise ValueError(f"two operands expected: {text}")
