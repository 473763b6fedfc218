"""Kernels -> object file, for this processor or another; model + target -> a folder that runs without a compiler.

In: a Model and a Target. Out: a shared library, a static one, a C header, a Python module and a manifest.
build: the kernels as an object, in a subprocess (`python -m edgernn.compiler ISA OUTPUT`). scalars: for processors
whose registers lose small numbers. targets: the processors by name. sources: C text around a plan. linker: Zig.
bundle: all of it together. beside: the file for a library without weights. output: templates of the folder's files.
May import: errors, layers, kernels, planner, modelfile; numba and llvmlite in build and scalars only.
"""
