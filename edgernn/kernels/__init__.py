"""HOW FAST: what a plan's instructions do, on each kind of processor.

In: a control block of addresses (program, weights, arena, ports). Out: answers in the caller's buffers, states in the
arena.
May import: errors, layers, kernels.contract; numba in scalar, cpu and cuda; llvmlite.binding at most in library.
"""
