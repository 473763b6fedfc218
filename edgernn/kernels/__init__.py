"""HOW FAST: what a plan's instructions do, on each kind of processor.

In: a control block of addresses (program, weights, arena, ports). Out: answers in the caller's buffers, states in the
arena. Before a plan: frames of features out of samples; after it: scores out of answers (hearing).
library chooses; prebuilt has the libraries that come with the package, jit compiles for this machine; native: a loaded
library; entries: what Python calls in it; processor, isas: what there is here.
reference and reference_hearing: what all of it computes, in NumPy.
May import: errors, layers, kernels.contract; numba in cpu; llvmlite.binding at most in jit and processor.
"""
