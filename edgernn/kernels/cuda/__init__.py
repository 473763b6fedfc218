"""The kernels for GPUs: the same programs, walked by one persistent launch in which a thread computes for one stream.

In: a Plan made with panels.CudaBackend, and how many streams. Out: their answers, with the bits of the NumPy reference
for every quantised format. May import: errors, kernels.contract, NumPy; numba.cuda (extra `cuda`) where it is used.

A block of threads runs `lanes` streams (up to 32, a warp), and `groups` threads share the work of each: a thread takes
every groups-th number, or block of rows, of an instruction. Between instructions the block waits for all. Number i of
an arena lies at origin + i * lanes, so that a warp reads and writes 32 streams' numbers side by side, while what it
reads of the weights is the same for all its threads. Weights that fit are copied to shared memory once a launch.

What is done once for each number counts: subscripts are unsigned (u64), for numba wraps signed ones round at every
access; loops over every groups-th number are `while`, for a range whose step is not known divides 64 bits; weights of
eight rows are read four at a time (quad).

Nothing here contracts a product and a sum: a product is mul(a, b), which the compiler may not fuse.
"""
