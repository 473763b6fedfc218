"""CPU kernels: Numba functions over vector primitives, compiled to an object by edgernn.compiler.

isa says what an instruction set has; vector makes registers a Numba type; dots has the inner loops; maths the
functions of one register; cells, affine, elementwise, rows and frames the opcodes; walk the entry that runs a program.
pool runs it for many streams, with the products of pooled, whose inner loops are in pooled_dots and winograd.
"""
