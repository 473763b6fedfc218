"""What real time needs and can be counted: no allocation that stays, no compilation, no numba in the process."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from cases import SIZES, frames

from edgernn.quantiser import quantise
from edgernn.stream import Stream

STEPS = 2000


@pytest.mark.parametrize("precision", ["none", "int8"])
def test_step_allocates_nothing_but_its_answer(precision: str) -> None:
    model = quantise(SIZES["B"](), precision)
    stream, x = Stream(model), frames(model, 1)[0]
    out = np.empty(12, np.float32)
    stream.step(x)
    stream.step(x, out)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(STEPS):
            stream.step(x)
            stream.step(x, out)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 8 * STEPS  # no object is that small; the test runner's threads allocate a little too
    assert peak - before < 4096 + 8 * STEPS


def test_streams_do_not_leak() -> None:
    model = SIZES["B"]()
    x = frames(model, 3)

    def use() -> None:
        stream = Stream(model)
        stream.step(x[0])
        stream.fork().run(x)

    use()
    tracemalloc.start(12)
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(50):
            use()
        left = tracemalloc.get_traced_memory()[0] - before
        largest = tracemalloc.take_snapshot().statistics("traceback")[:3]
    finally:
        tracemalloc.stop()
    assert left < 20_000, [(part.size, part.count, part.traceback.format()) for part in largest]


def test_streaming_imports_no_compiler() -> None:
    code = """
import sys
from cases import SIZES, frames
from edgernn.stream import Stream
model = SIZES["G"]()
Stream(model).run(frames(model, 3))
print(sorted(name for name in ("llvmlite", "numba", "onnx", "onnxruntime") if name in sys.modules))
"""
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
