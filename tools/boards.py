"""Every case of tests/cases.py in every quantised format on emulated boards, 1,000 frames each, against this machine.

    python tools/boards.py [--frames 1000] [--boards rpi5,x86-64-v4]

It needs Debian's qemu-user-static, bochs, bochs-term and vgabios, and the extra `build`, and takes ten minutes. Prints
a line for each board; exit status 1 where an answer differs by a bit.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent / part) for part in ("", "tests")]
import bochs  # noqa: E402
from cases import CASES, SIZES, frames  # noqa: E402
from emulated import answers  # noqa: E402

from edgernn.compiler.targets import TARGETS  # noqa: E402
from edgernn.layers.base import FORMATS, Array  # noqa: E402
from edgernn.layers.model import Model  # noqa: E402
from edgernn.quantiser import quantise  # noqa: E402
from edgernn.stream import Stream  # noqa: E402

BOARDS = {"rpi5": "cortex-a76", "rpi4": "cortex-a72", "rpi3": "cortex-a53", "rpi2-32": "cortex-a7", "riscv64": "rv64"}

BOARDS |= {name: bochs.PROCESSORS[it.isa] for name, it in TARGETS.items() if it.isa in bochs.PROCESSORS}


def here(model: Model, x: Array) -> dict[str, Array]:
    """What the model answers to frames (T, n_in), by port."""
    made = Stream(model).run(x)
    return made if isinstance(made, dict) else {model.outputs[0].name: made}


@contextmanager
def there(board: str) -> Iterator[Callable[[Model, Array], dict[str, Array]]]:
    """The same on a board."""
    isa = TARGETS[board].isa
    if isa not in bochs.PROCESSORS:
        yield partial(answers, board, BOARDS[board])
        return
    with bochs.Machine(isa) as machine, machine.used():
        yield here


def differing(board: str, count: int) -> tuple[list[str], int]:
    """(what has other answers on the board than here, how many answers were compared)."""
    tried = [(case, name) for case in (*CASES, "A", "B", "G") for name in FORMATS]
    models = [quantise((CASES | SIZES)[case](), name) for case, name in tried]
    expected = [here(model, frames(model, count)) for model in models]
    found = []
    with there(board) as run:
        for label, model, mine in zip(tried, models, expected, strict=True):
            theirs = run(model, frames(model, count))
            if not all(np.array_equal(mine[port], theirs[port], equal_nan=True) for port in mine):
                found.append(" in ".join(label))
    return found, sum(array.size for mine in expected for array in mine.values())


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
