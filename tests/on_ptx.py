"""What test_ptx runs, in a process of its own: `python on_ptx.py FOLDER`.

The checks of `simulated`, under numba's simulator of a GPU, but with what the compiler made of the kernels in place of
the Python that it would run: the libraries in the folder, by the names of the kernels. Prints what went wrong, as
lines, and at the end, as JSON, how many instructions all threads of one stream take for a frame.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import simulated
from cases import SIZES, frames
from ptx_kernel import Kernel

from edgernn.kernels.cuda import device
from edgernn.layers.base import FORMATS, Array
from edgernn.layers.model import Model
from edgernn.quantiser import quantise

STREAMS, BLOCK = 40, 32  # the first do not fill their last block
SIMULATED = [("cases", number_format) for number_format in ("none", *FORMATS)]
SIMULATED += [(name,) for name in simulated.CHECKS if name != "cases"]


def frames_of(model: Model, count: int, streams: int) -> Array:
    """Frames of several streams, (count, streams, n_in)."""
    return np.stack([frames(model, count, seed=n) for n in range(streams)], axis=1)


def large(size: str, number_format: str) -> Iterator[str]:
    """Several blocks, each full of threads; D's weights do not fit into shared memory."""
    model = quantise(SIZES[size](), number_format)
    x = frames_of(model, 3, STREAMS)
    answers, expected = model.pool(STREAMS, device="cuda").run(x), model.pool(STREAMS).run(x)
    if not (np.abs(answers - expected).max() < 1e-5 if number_format == "none" else simulated.same(answers, expected)):
        yield f"{STREAMS} streams of {size} as {number_format}: {np.abs(answers - expected).max()}"


def counted(size: str, number_format: str, walked: Kernel) -> int:
    """Instructions of a stream's frame, in a block that is full."""
    model, found = quantise(SIZES[size](), number_format), []
    pool, x = model.pool(BLOCK, device="cuda"), frames_of(model, 3, BLOCK)
    for part in (x[:1], x):
        before = walked.executed
        pool.run(part)
        found.append(walked.executed - before)
    return (found[1] - found[0]) // (2 * BLOCK)


def main() -> None:
    """Run all checks and count."""
    warnings.simplefilter("ignore")
    kernels = {path.stem: Kernel(path) for path in Path(sys.argv[1]).glob("*.so")}
    for name, kernel in kernels.items():
        setattr(device, name, kernel)
    device.THREADS, device.WARP = device.ON_A_GPU
    simulated.LARGEST = 30_000
    for name, *arguments in SIMULATED:
        for line in simulated.CHECKS[name](*arguments):
            print(f"{name}: {line}")
    for size in ("B", "D"):
        for number_format in ("none", *FORMATS):
            print(*large(size, number_format), sep="\n", end="")
    print(json.dumps({f"B {kind}": counted("B", kind, kernels["run"]) for kind in ("none", "int8")}))


if __name__ == "__main__":
    main()
