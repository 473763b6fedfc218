"""Instructions a frame of the kernels on emulated boards, counted by QEMU: a figure that no noise touches.

    python tools/board_instructions.py

counts and writes tests/board_instructions.json. It needs Debian's qemu-user-static and the extra `build`. An emulated
Cortex-A53 runs what was compiled for Cortex-A72 in as many instructions, which a test holds it to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / part) for part in ("", "tests")]
from cases import SIZES, frames  # noqa: E402
from emulated import instructions  # noqa: E402

from edgernn.quantiser import quantise  # noqa: E402

STORED = Path(__file__).parent.parent / "tests" / "board_instructions.json"
BOARDS = {"rpi5": "cortex-a76", "rpi4": "cortex-a72"}
SHOWN = ("A none", "A int8", "B none", "B int8", "B int8x16", "B int16", "B int4")
FRAMES = 4


def counted(board: str, cpu: str, shown: tuple[str, ...] = SHOWN) -> dict[str, int]:
    """Instructions a frame of sizes of the benchmark in some formats."""
    found = {}
    for name in shown:
        size, number = name.split()
        model = quantise(SIZES[size](), number)
        found[name] = instructions(board, cpu, model, frames(model, FRAMES))
    return found


if __name__ == "__main__":
    figures = {board: counted(board, cpu) for board, cpu in BOARDS.items()}
    STORED.write_text(json.dumps(figures, indent=1) + "\n")
    print(STORED.read_text(), end="")
