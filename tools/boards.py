"""Every case of tests/cases.py in every quantised format on emulated boards, 1,000 frames each, against this machine.

    python tools/boards.py [--frames 1000] [--boards rpi5,rpi4]

It needs Debian's qemu-user-static and the extra `build`, and takes three minutes. Prints a line for each board; exit
status 1 where an answer differs by a bit.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent / part) for part in ("", "tests")]
from cases import CASES, SIZES, frames  # noqa: E402
from emulated import answers  # noqa: E402

from edgernn.layers.base import FORMATS  # noqa: E402
from edgernn.quantiser import quantise  # noqa: E402
from edgernn.stream import Stream  # noqa: E402

BOARDS = {"rpi5": "cortex-a76", "rpi4": "cortex-a72", "rpi3": "cortex-a53", "rpi2-32": "cortex-a7", "riscv64": "rv64"}


def differing(board: str, count: int) -> tuple[list[str], int]:
    """(what has other answers on the board than here, how many answers were compared)."""
    found, compared = [], 0
    for case in (*CASES, "A", "B", "G"):
        for name in FORMATS:
            model = quantise((CASES | SIZES)[case](), name)
            x = frames(model, count)
            here, there = Stream(model).run(x), answers(board, BOARDS[board], model, x)
            mine = here if isinstance(here, dict) else {model.outputs[0].name: here}
            compared += sum(array.size for array in mine.values())
            if not all(np.array_equal(mine[port], there[port], equal_nan=True) for port in mine):
                found.append(f"{case} in {name}")
    return found, compared


def main() -> None:
    """Try all boards that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--boards", default=",".join(BOARDS))
    given = parser.parse_args()
    bad = False
    for board in given.boards.split(","):
        begin = time.monotonic()
        found, compared = differing(board, given.frames)
        bad |= bool(found)
        said = f"differ: {', '.join(found)}" if found else "the same bits"
        print(f"{board}, {BOARDS[board]}: {compared:,} answers: {said} ({time.monotonic() - begin:.0f} s)", flush=True)
    sys.exit(bad)


if __name__ == "__main__":
    main()
