"""python -m edgernn.compiler ISA OUTPUT: compile the kernel library; prints one line a function on stdout."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Choose the instruction set before anything of numba is imported, then compile."""
    isa, output = sys.argv[1:3]
    os.environ["EDGERNN_COMPILE_ISA"] = isa
    os.environ["NUMBA_OPT"] = "0"
    from edgernn.compiler.build import build

    build(output)


if __name__ == "__main__":
    main()
