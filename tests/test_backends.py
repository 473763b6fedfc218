"""Every case on every instruction set: float close to the definition, quantised the same bits as the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, SIZES, Net, frames, worst_sums
from conftest import COMPILED, stream_on

from edgernn.kernels import reference_maths
from edgernn.kernels.contract import COMBINES, MAPS, OPERANDS, REDUCES, Opcode
from edgernn.kernels.isas import REFERENCE
from edgernn.kernels.reference import _Walker
from edgernn.layers.base import FORMATS
from edgernn.layers.definition import run
from edgernn.modelfile import load
from edgernn.quantiser import quantisable, quantise
from edgernn.quantiser.meets import multiplied
from edgernn.quantiser.reach import static_scales

STEPS = 1000
ROOT = Path(__file__).parent.parent
# dB against the float model, of answers: rounding to nearest leaves so much on random weights
LEAST_SNR = {"int8": 40.0, "int8x16": 45.0, "int16": 88.0, "int4": 20.0}


@pytest.mark.parametrize("case", [*CASES, *"ABCDGH"])
def test_float_is_close_to_the_definition(case: str, isa: str) -> None:
    model = {**CASES, **SIZES}[case]()
    x = frames(model, STEPS if case in CASES else 300)
    expected, answer = run(model, x), stream_on(isa, model).run(x)
    if not isinstance(expected, dict):
        expected, answer = {"y": expected}, {"y": answer}
    for name in expected:
        assert np.abs(expected[name] - answer[name]).max() < 1e-5 * max(1.0, np.abs(expected[name]).max())


@pytest.mark.parametrize("number_format", FORMATS)
@pytest.mark.parametrize("case", [*CASES, *"ABGH"])
def test_quantised_bits_are_those_of_the_reference(case: str, number_format: str) -> None:
    model = quantise({**CASES, **SIZES}[case](), number_format)
    x = frames(model, 100 if number_format == "int8" else 40)
    expected = stream_on(REFERENCE, model).run(x)
    for name in COMPILED:
        np.testing.assert_equal(stream_on(name, model).run(x), expected, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_mixed_formats_have_the_bits_of_the_reference(case: str) -> None:
    """A format of its own for each layer, half of them with static scales; a state may be quantised in several ways."""
    model = CASES[case]()
    names = [node.name for node in model.nodes if quantisable(node)]
    model = quantise(model, "none", dict(zip(names, ["int8", "int16", "int4", "int8x16", "float16"] * 2, strict=False)))
    values = {value: np.array([0.7]) for _, _, value in multiplied(model)}
    static, _ = static_scales(model, values, "max")
    nodes = tuple(b if n % 2 else a for n, (a, b) in enumerate(zip(model.nodes, static.nodes, strict=True)))
    model = replace(model, nodes=nodes)
    x = frames(model, 40)
    stream = stream_on(REFERENCE, model)
    expected = stream.run(x)
    for name in COMPILED:
        stream = stream_on(name, model)
        first = stream.run(x[:20])
        again = stream_on(name, model)
        again.load_state(stream.save_state())
        rest = again.run(x[20:])
        joined = {k: np.concatenate([first[k], rest[k]]) for k in first} if isinstance(first, dict) else [*first, *rest]
        np.testing.assert_equal(joined, expected if isinstance(expected, dict) else [*expected], err_msg=name)


@pytest.mark.parametrize("number_format", FORMATS)
@pytest.mark.parametrize("cols", [1, 32, 33, 512, 513, 2050, 8193])
def test_sums_are_exact_for_any_input(cols: int, number_format: str) -> None:
    model, x = worst_sums(cols, number_format)
    full = 32767 if number_format in ("int8x16", "int16") else 127
    largest = np.abs(x).max(1, keepdims=True)
    numbers = np.rint(x * (np.float32(full) / largest)).astype(int)
    (weight,) = (weight for node in model.nodes for _, weight in node.layer.weights())
    exact = numbers @ weight.dense().astype(int).T
    for name in (REFERENCE, *COMPILED):
        answer = stream_on(name, model).run(x)
        np.testing.assert_array_equal(answer, exact.astype(np.float32) * (largest / np.float32(full)), err_msg=name)


@pytest.mark.parametrize("number_format", FORMATS)
def test_what_is_beyond_the_reach_is_cut_off(number_format: str) -> None:
    model, x = worst_sums(70, number_format)
    nodes = []
    for node in model.nodes:
        weight = replace(node.layer.weight, reach=np.array([300.0], np.float32))
        nodes.append(replace(node, layer=replace(node.layer, weight=weight)))
    static = replace(model, nodes=tuple(nodes))
    expected = stream_on(REFERENCE, model).run(x.clip(-300, 300))  # every frame has numbers beyond 300
    for name in (REFERENCE, *COMPILED):
        np.testing.assert_array_equal(stream_on(name, static).run(x), expected, err_msg=name)


def test_the_shipped_model_has_the_bits_of_the_reference() -> None:
    """It is quantised but for one matrix."""
    model = load(ROOT / "edgernn" / "demo" / "vad.edgernn")
    x = np.load(ROOT / "models" / "vad-raw" / "io.npz")["x"]
    expected = stream_on(REFERENCE, model).run(x)
    for name in COMPILED:
        np.testing.assert_equal(stream_on(name, model).run(x), expected, err_msg=name)


@pytest.mark.parametrize("number_format", FORMATS)
@pytest.mark.parametrize("case", [*"BCDEG"])
def test_quantised_stays_near_the_float_model(case: str, number_format: str) -> None:
    model = SIZES[case]()
    x = frames(model, STEPS)
    expected, answer = (stream_on(COMPILED[0], m).run(x) for m in (model, quantise(model, number_format)))
    snr = 10 * np.log10((expected**2).sum() / ((expected - answer) ** 2).sum())
    assert snr > LEAST_SNR[number_format]


SPECIAL = np.array(
    [0.0, -0.0, 1e-45, -1e-38, 1.0, -1.0, 0.5, 2.5, -3.5, 126.7, -88.0, 1e9, -1e30, 3e38, 65504.0], np.float32
)


def _numbers() -> np.ndarray:
    rng = np.random.default_rng(5)
    spread = rng.standard_normal(3000) * 10.0 ** rng.uniform(-6, 3, 3000)
    bits = rng.integers(-(2**31), 2**31, 1000).astype(np.int32).view(np.float32)
    return np.concatenate([SPECIAL, spread.astype(np.float32), bits[np.isfinite(bits)]])


@pytest.mark.parametrize("function", MAPS)
def test_functions_have_the_bits_of_the_reference(function: str, isa: str) -> None:
    from edgernn.layers import Map

    x = _numbers()
    if function in ("sin", "cos"):
        x = x[np.abs(x) < 8192]
    net = Net(len(x))
    model = net.model(y=(net.add(Map(function, 0.75, 0.25), "x"), len(x)))
    np.testing.assert_array_equal(stream_on(isa, model).step(x), stream_on(REFERENCE, model).step(x))


@pytest.mark.parametrize("operation", COMBINES)
def test_operations_have_the_bits_of_the_reference(operation: str, isa: str) -> None:
    from edgernn.layers import Combine, Constant

    x = _numbers()
    other = np.roll(x, 7)
    net = Net(len(x))
    model = net.model(y=(net.add(Combine(operation), "x", net.add(Constant(other))), len(x)))
    np.testing.assert_array_equal(stream_on(isa, model).step(x), stream_on(REFERENCE, model).step(x))


@pytest.mark.parametrize("size", [1, 15, 16, 17, 50])
def test_rows_have_the_bits_of_the_reference(size: int, isa: str) -> None:
    from edgernn.kernels.panels import CpuBackend  # noqa: F401
    from edgernn.layers import Reshape, Softmax

    x = np.random.default_rng(size).standard_normal((6, 3 * size)).astype(np.float32)
    net = Net(3 * size)
    grid = net.add(Reshape((3, size)), "x")
    outputs = {"softmax": (net.add(Softmax(), grid), 3 * size), "log": (net.add(Softmax(log=True), grid), 3 * size)}
    model = net.model(**outputs)
    np.testing.assert_equal(stream_on(isa, model).run(x), stream_on(REFERENCE, model).run(x))


def test_tanh_and_sigmoid_never_leave_their_range() -> None:
    bits = np.random.default_rng(3).integers(-(2**31), 2**31, 2_000_000).astype(np.int32)
    x = bits.view(np.float32)
    with np.errstate(all="ignore"):
        tanh, sigmoid = reference_maths.tanh(x), reference_maths.sigmoid(x)
    assert (np.abs(tanh) <= 1).all()
    assert ((sigmoid >= 0) & (sigmoid <= 1)).all()


def test_the_reference_knows_every_instruction() -> None:
    assert set(reference_maths.MAP) == set(MAPS)
    assert set(reference_maths.COMBINE) == set(COMBINES)
    assert set(reference_maths.REDUCE) == set(REDUCES)
    assert all(hasattr(_Walker, code.name.lower()) for code in Opcode if code > Opcode.STOP)
    assert all(len(operands) < 16 for operands in OPERANDS.values())
