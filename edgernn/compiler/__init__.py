"""Kernels -> object file, for this processor or another. Runs as a subprocess: `python -m edgernn.compiler ISA OUTPUT`.

May import: errors, kernels; numba and llvmlite.
"""
