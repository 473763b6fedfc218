"""What streams cost, in figures that no noise touches: instructions a step, and bytes."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from cases import SIZES, frames
from instructions import STORED, benchmarked, count, missing
from scaling import gru, resident

from edgernn.kernels.contract import GROUP
from edgernn.kernels.isas import ISAS, Isa
from edgernn.kernels.panels import CpuBackend
from edgernn.quantiser import quantise
from edgernn.stream import Stream

counted = pytest.mark.skipif(bool(missing()), reason=f"instructions cannot be counted: {missing()}")


@counted
def test_instructions_a_step_are_those_that_are_stored() -> None:
    """A kernel that got faster or slower: `python tools/instructions.py` stores its new figures."""
    assert count(benchmarked()) == pytest.approx(json.loads(STORED.read_text()), rel=0.03)


@counted
def test_a_multiply_accumulate_costs_no_more_in_a_larger_model() -> None:
    models = {str(width): quantise(gru(width), "int8") for width in (41, 129, 408)}  # 10^4 to 10^6
    found = count(models)
    costs = [found[name] / model.macs for name, model in models.items()]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("isa", ISAS.values(), ids=lambda isa: isa.name)
def test_panels_pad_to_the_next_register(isa: Isa) -> None:
    for rows, cols in ((1, 1), (13, 7), (16, 64), (100, 33)):
        lanes = -(-rows // isa.lanes) * isa.lanes
        for kind, side in ((np.float32, 1), (np.int16, 2), (np.int8, 4)):
            packed = CpuBackend(isa).pack(np.ones((rows, cols), kind))
            assert packed.nbytes == lanes * -(-cols // side) * 4
        nibbles = CpuBackend(isa).pack_nibbles(np.ones((rows, cols), np.int8))
        assert nibbles.nbytes == lanes * -(-cols // GROUP) * GROUP // 2


@pytest.mark.parametrize("precision", ["none", "float16", "int8", "int8x16", "int16", "int4"])
def test_a_stream_takes_the_memory_that_inspect_prints(precision: str) -> None:
    model = quantise(SIZES["E"](), precision)
    Stream(SIZES["G"]()).fork()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        stream = Stream(model)
        first = tracemalloc.get_traced_memory()[0]
        twin = stream.fork()
        second = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    memory = stream.plan.memory
    assert first - before == pytest.approx(sum(memory.values()), abs=20_000)
    assert second - first == pytest.approx(memory["state"] + memory["scratch"], abs=4_000)
    assert twin.plan is stream.plan


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc/self/statm here: run this on Linux")
def test_memory_is_flat_over_a_million_steps() -> None:
    """Less than a byte a step."""
    model = quantise(SIZES["G"](), "int8")
    stream, x = Stream(model), frames(model, 50_000)
    for _ in range(3):
        stream.run(x)
    before = resident()
    for _ in range(20):
        stream.run(x)
    assert resident() - before < 1_000_000
