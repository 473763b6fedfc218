"""CPU kernels: Numba functions over vector primitives. Compiled to an object by edgernn.compiler, never run as they are.

isa says what an instruction set has; vector makes registers a Numba type; dots has the inner loops; maths the
functions of one register; cells, affine, elementwise, rows and frames the opcodes; walk the entry that runs a program.
"""
