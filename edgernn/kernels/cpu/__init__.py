"""CPU kernels: Numba functions over vector primitives, compiled to an object by edgernn.compiler.

isa says what an instruction set has; vector makes registers a Numba type; dots has the inner loops; maths the
functions of one register; cells, affine, elementwise, rows, taps and frames the opcodes; walk the entry that runs a
program.
hearing has the entries for what comes before a plan and after it, in float64 (doubles): spectrum the frames of sound,
fourier their transform; hear is both and the plan in one call. pool runs a program for many streams, with the
products of pooled, whose inner loops are in pooled_dots and winograd.
"""
