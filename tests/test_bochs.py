"""Instruction sets that this machine may lack: what comes with the package for them, on emulated processors."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import bochs
import numpy as np
import pytest
from board_instructions import SETS, STORED, counted
from cases import CASES, SIZES, Net, frames, stack, worst_sums
from conftest import instruction_set, stream_on
from listeners import listener, noise
from test_features import FRONT_ENDS, SAMPLES, whole

from edgernn.compiler import bundle
from edgernn.compiler.targets import TARGETS
from edgernn.kernels.isas import REFERENCE
from edgernn.layers import Combine, Constant
from edgernn.layers.base import FORMATS, Array
from edgernn.layers.model import Model, Port
from edgernn.quantiser import quantise
from edgernn.stream import Pool, Stream

pytest.importorskip("ziglang", reason='the linker is missing: pip install "edgernn[build]"')


@pytest.fixture(scope="module", params=bochs.PROCESSORS)
def machine(request: pytest.FixtureRequest) -> Iterator[bochs.Machine]:
    """A processor for each instruction set."""
    with bochs.Machine(request.param) as made:
        yield made


def ports(made: Array | dict[str, Array]) -> list[Array]:
    return list(made.values()) if isinstance(made, dict) else [made]


@cache
def quantised() -> list[tuple[Model, Array, list[Array]]]:
    """Models, frames, and the answers of the reference: each case, worst sums and a model that answers now and then."""
    slow = replace(stack("GRU", 10, 12, 1, [(3, "")]), inputs=(Port("x", "x", 2),), window=5, hop=3)
    models = [*(make() for make in CASES.values()), *(SIZES[size]() for size in "ABG"), slow]
    pairs = [(quantise(model, name), frames(model, 6)) for model, name in product(models, FORMATS)]
    pairs += [worst_sums(cols, name) for cols, name in product((1, 33, 513, 8193), FORMATS)]
    return [(model, x, ports(stream_on(REFERENCE, model).run(x))) for model, x in pairs]


def test_quantised_bits_are_those_of_the_reference(machine: bochs.Machine) -> None:
    for model, x, expected in quantised():
        with machine.used():
            stream, pool = Stream(model), Pool(model, 5)
        found = ports(stream.run(x)), ports(pool.run(np.stack([x] * 5, 1)))
        for wanted, one, five in zip(expected, *found, strict=True):
            np.testing.assert_equal(one, wanted, err_msg=model.summary())
            np.testing.assert_equal(five, np.stack([wanted] * 5, 1), err_msg=model.summary())


def test_float_is_close_to_the_reference_and_the_same_in_a_pool(machine: bochs.Machine) -> None:
    for model in (CASES["residual"](), SIZES["B"]()):
        x = frames(model, 20)
        with machine.used():
            stream, pool = Stream(model), Pool(model, 3)
        found = ports(stream.run(x)), ports(pool.run(np.stack([x] * 3, 1)))
        for wanted, one, three in zip(ports(stream_on(REFERENCE, model).run(x)), *found, strict=True):
            assert np.abs(one - wanted).max() < 1e-6
            np.testing.assert_equal(three, np.stack([one] * 3, 1))


def test_subnormal_numbers_are_kept(machine: bochs.Machine) -> None:
    x = (np.random.default_rng(1).uniform(-2, 2, (4, 21)) * 2.0**-126).astype(np.float32)
    for operation in ("add", "sub", "mul", "div", "less", "equal", "max"):
        other = np.random.default_rng(2).uniform(-1, 1, 21).astype(np.float32)
        other = other + 2 if operation in ("mul", "div") else other * np.float32(2.0**-126)
        net = Net(21)
        model = net.model(y=(net.add(Combine(operation), "x", net.add(Constant(other))), 21))
        with machine.used():
            stream = Stream(model)
        np.testing.assert_equal(stream.run(x), stream_on(REFERENCE, model).run(x), err_msg=operation)


@pytest.mark.parametrize("name", ["kaldi-80", "mfcc", "librosa-window", "n_fft 511", "running", "raw"])
def test_features_have_the_bits_of_the_reference(name: str, machine: bochs.Machine) -> None:
    found = []
    for place in (instruction_set(REFERENCE), machine.used()):
        with place:
            found.append(whole(FRONT_ENDS[name], SAMPLES[:2000]))
    assert len(found[0]) and found[0].tobytes() == found[1].tobytes()


@pytest.mark.parametrize("activation", ["none", "softmax", "sigmoid"])
def test_what_is_heard_has_the_bits_of_the_reference(activation: str, machine: bochs.Machine) -> None:
    """Sound to decisions, in one call a block."""
    model = quantise(listener(), "int8")
    model = replace(model, deciding=replace(model.deciding, activation=activation))  # type: ignore[type-var]
    found, samples = [], noise(model)[:2400]
    for place in (instruction_set(REFERENCE), machine.used()):
        with place:
            pipeline = model.pipeline()
        told = [(pipeline.feed(samples[at : at + 160]), pipeline.scores) for at in range(0, len(samples), 160)]
        found.append((told, pipeline.save_state()))
    assert pipeline._ear is not None and found[0] == found[1]


def test_a_built_library_has_the_bits_of_the_reference(tmp_path: Path) -> None:
    model, folder = quantise(SIZES["B"](), "int8"), tmp_path / "kws"
    x, answers = frames(model, 20), np.empty((20, model.outputs[0].size), np.float32)
    with bochs.Machine("avx512vnni") as machine:
        bundle.build(model, "kws", TARGETS["x86-64-v4-vnni"], folder, "0.1.0")
        library = ctypes.CDLL(str(folder / "libkws.so"))
        size, create, run = (machine.function(library, f"kws_{name}") for name in ("size", "create", "run"))
        memory = np.empty(size(), np.uint8)
        stream = create(memory.ctypes.data, memory.size)
        assert run(stream, 20, x.ctypes.data, answers.ctypes.data) == 20
    np.testing.assert_equal(answers, stream_on(REFERENCE, model).run(x))


@pytest.mark.parametrize("name", SETS)
def test_instructions_a_frame_are_those_that_are_stored(name: str) -> None:
    """Kernels that got faster or slower: `python tools/board_instructions.py` stores their new figures."""
    with bochs.Machine(name) as machine:
        found = counted(machine.instructions, steps=bochs.STEPS)
    assert found == pytest.approx(json.loads(STORED.read_text())[name], rel=0.03)


def test_a_processor_without_the_instructions_refuses_them() -> None:
    model = SIZES["B"]()
    haswell, refused = bochs.Machine("avx512", "corei7_haswell_4770"), pytest.raises(RuntimeError, match="exception")
    with haswell as machine, machine.used(), refused:
        Stream(model).run(frames(model, 1))
