"""Instructions a frame of the kernels on emulated processors, counted by QEMU and Bochs: figures that no noise touches.

    python tools/board_instructions.py

counts and writes tests/board_instructions.json. It needs Debian's qemu-user-static, bochs, bochs-term and vgabios, and
the extra `build`. An emulated Cortex-A53 runs what was compiled for Cortex-A72 in as many instructions, which a test
holds it to.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / part) for part in ("", "tests")]
import bochs  # noqa: E402
import emulated  # noqa: E402
from cases import SIZES, frames  # noqa: E402

from edgernn.layers.base import Array  # noqa: E402
from edgernn.layers.model import Model  # noqa: E402
from edgernn.quantiser import quantise  # noqa: E402

STORED = Path(__file__).parent.parent / "tests" / "board_instructions.json"
BOARDS = {"rpi5": "cortex-a76", "rpi4": "cortex-a72"}
SETS = "avx512", "avx512vnni"
SHOWN = ("A none", "A int8", "B none", "B int8", "B int8x16", "B int16", "B int4")


def counted(count: Callable[[Model, Array], int], shown: tuple[str, ...] = SHOWN, steps: int = 4) -> dict[str, int]:
    """Instructions a frame of sizes of the benchmark in some formats, from what counts them for a model and frames."""
    found = {}
    for name in shown:
        size, number = name.split()
        model = quantise(SIZES[size](), number)
        found[name] = count(model, frames(model, steps))
    return found


def main() -> None:
    """Count and write."""
    figures = {board: counted(partial(emulated.instructions, board, cpu)) for board, cpu in BOARDS.items()}
    for name in SETS:
        with bochs.Machine(name) as machine:
            figures[name] = counted(machine.instructions, steps=bochs.STEPS)
    STORED.write_text(json.dumps(figures, indent=1) + "\n")
    print(STORED.read_text(), end="")


if __name__ == "__main__":
    main()
