"""python -m edgernn.compiler ISA OUTPUT: compile the kernel library; prints one line a function on stdout."""

from __future__ import annotations

import argparse
import os


def main() -> None:
    """Choose the instruction set before anything of numba is imported, then compile."""
    parser = argparse.ArgumentParser(prog="edgernn.compiler")
    parser.add_argument("isa")
    parser.add_argument("output")
    parser.add_argument("--triple", default="", help="LLVM's name of the system; this one's by default")
    parser.add_argument("--cpu", default="", help="LLVM's name of the processor; the set's least one by default")
    parser.add_argument("--features", default="")
    parser.add_argument("--tune", default="", help="LLVM's name of the processor whose speed counts")
    parser.add_argument("--kernels", default="", help="names of the kernels wanted, with commas; all by default")
    parser.add_argument("--prefix", default="edgernn", help="what the names of the entries begin with")
    parser.add_argument("--entries", action="store_true", help="with what Python calls")
    given = parser.parse_args()
    os.environ["EDGERNN_COMPILE_ISA"] = given.isa
    os.environ["NUMBA_OPT"] = "0"
    from edgernn.compiler.build import Machine, build

    machine = Machine(given.triple, given.cpu, given.features, given.tune) if given.triple else Machine()
    build(given.output, machine, tuple(filter(None, given.kernels.split(","))), given.prefix, given.entries)


if __name__ == "__main__":
    main()
