"""Numbers that only change place: moved once, when something reads them; sums over places that are the same apart."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, Net
from conftest import COMPILED, stream_on
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.kernels.contract import Opcode
from edgernn.kernels.isas import ISAS, REFERENCE
from edgernn.kernels.panels import CpuBackend
from edgernn.layers import Conv, Map, Reshape
from edgernn.planner import make_plan
from edgernn.planner.lower import Lowering
from edgernn.planner.program import Place
from edgernn.planner.taps import as_taps
from edgernn.quantiser import quantise


def lowering() -> Lowering:
    return Lowering(CpuBackend(ISAS["avx2"]))


def opcodes(low: Lowering) -> list[str]:
    return [instruction.opcode.name for instruction in low.code]


def test_what_nobody_reads_is_not_moved() -> None:
    low = lowering()
    x = low.buffer(8)
    low.take(x, np.arange(8)[::-1])
    assert opcodes(low) == [] and low.weights.size == 0


def test_what_is_taken_of_what_was_taken_is_taken_once() -> None:
    low = lowering()
    x = low.buffer(8)
    low.reduce("sum", low.take(low.take(x, np.arange(8)[::-1]), np.arange(0, 8, 2)), 1, 4)
    assert opcodes(low) == ["TAKE", "REDUCE"]
    assert low.code[0].operands[1] == x and low.weights.parts[0].view(np.int32).tolist() == [7, 5, 3, 1]


def test_back_in_order_is_where_it_was() -> None:
    low = lowering()
    x = low.buffer(6)
    turned = low.take(x, np.arange(6).reshape(2, 3).T.reshape(-1))
    assert low.here(low.take(turned, np.arange(6).reshape(3, 2).T.reshape(-1))) == x
    assert low.here(low.view(low.take(turned, np.arange(6).reshape(3, 2).T.reshape(-1)), 2, 3)) == x.part(2, 3)
    assert opcodes(low) == []


def test_each_fills_what_it_leaves_out_with_its_own_number() -> None:
    low = lowering()
    x = low.buffer(3)
    inner = low.take(x, np.array([2, -1, 0]), 5.0)
    low.reduce("sum", low.take(inner, np.array([1, 0])), 1, 2)
    low.reduce("sum", low.take(inner, np.array([-1, 1, 0]), 5.0), 1, 3)
    low.reduce("sum", low.take(inner, np.array([-1, 1, 0]), 7.0), 1, 3)
    takes = [i.operands for i in low.code if i.opcode == Opcode.TAKE]
    assert [(source == x, fill) for _, source, _, _, fill in takes] == [(True, 5), (True, 5), (True, 5), (False, 7)]


def test_long_runs_are_copied() -> None:
    low = lowering()
    x = low.buffer(100)
    low.reduce("sum", low.take(x, np.r_[60:100, 0:40]), 1, 80)
    copies = [i.operands for i in low.code if i.opcode == Opcode.COPY]
    assert opcodes(low) == ["COPY", "COPY", "REDUCE"] and [y.start for y, _, _ in copies] == [0, 40]
    assert [x.start for _, x, _ in copies] == [60, 0]
    low.reduce("sum", low.take(x, np.r_[[-1] * 20, 0:20, [-1] * 30], 5.0), 1, 70)
    assert opcodes(low)[3:] == ["COPY", "COPY", "COPY", "REDUCE"] and [len(part) for part in low.weights.parts] == [
        4 * 30
    ]
    assert low.weights.parts[0].view(np.float32).tolist() == [5.0] * 30


def test_a_function_of_what_was_taken_is_taken_of_all() -> None:
    low = lowering()
    x = low.buffer(6)
    turned = low.take(x, np.arange(6).reshape(2, 3).T.reshape(-1))
    y = low.take(low.map("relu", turned), np.arange(6).reshape(3, 2).T.reshape(-1))
    assert opcodes(low) == ["MAP"] and low.here(y) == low.code[0].operands[0]
    low.map("log", low.take(x, np.arange(6)[::-1]))
    low.map("relu", low.take(x, np.array([5, 4, 3, 2])))
    assert opcodes(low) == ["MAP"] * 3


@pytest.mark.parametrize(
    ("function", "index"),
    [("relu", [4, 1]), ("log", [-1, 0, 1, 2, 3, 4])],  # far more than is read; what fills a place
)
def test_a_function_is_not_taken_of_what_is_not_read(function: str, index: list[int]) -> None:
    low = lowering()
    low.map(function, low.take(low.buffer(6), np.array(index)))
    assert opcodes(low) == ["TAKE", "MAP"] and low.code[1].operands[1] == low.code[0].operands[0]


def test_a_state_moves_on_within_its_buffer() -> None:
    """Each step of the ring is copied once: the past is not copied to where its window is read."""
    plan = make_plan(CASES["convolutions"](), CpuBackend(ISAS["avx2"]))
    ring = next(slot for slot in plan.states if slot.initial.size == 4 * 54)
    copies = [row[1:4].tolist() for row in plan.program if row[0] == Opcode.COPY and row[3] >= 4 * 54]
    assert copies == [[ring.offset, ring.offset + 4 * 54, 4 * 54]]


@st.composite
def windows(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """(index (P, K), size of x): a window over each channel, which lies beside the others or behind them."""
    channels, rows, cols = (draw(st.integers(1, most)) for most in (4, 6, 9))
    kernel, stride, gap = (draw(st.integers(1, most)) for most in (3, 2, 2))
    x = np.arange(channels * rows * cols).reshape(channels, rows, cols)
    if draw(st.booleans()):
        x = x.reshape(rows, cols, channels).transpose(2, 0, 1)
    places = range(0, cols - gap * (kernel - 1), stride) or range(1)
    reach = min(gap * (kernel - 1) + 1, cols)
    index = [x[c, r, p : p + reach : gap] for c in range(channels) for r in range(rows) for p in places]
    return np.array(index, np.int32), channels * rows * cols


@settings(max_examples=200, deadline=None)
@given(windows(), st.integers(0, 2**32 - 1))
def test_taps_are_the_sums(window: tuple[np.ndarray, int], seed: int) -> None:
    (index, size), rng = window, np.random.default_rng(seed)
    x, factors, bias = rng.standard_normal(size), rng.standard_normal(index.shape), rng.standard_normal(len(index))
    taps = as_taps(index, factors.astype(np.float32), bias.astype(np.float32))
    if taps is None:
        return
    n = np.arange(taps.size) % len(taps.bias)
    parts = [row[n] * x[start : start + taps.size] for row, start in zip(taps.factors, taps.offsets, strict=True)]
    y = taps.bias[n] + sum(parts)
    np.testing.assert_allclose(y[taps.places], (x[index] * factors).sum(axis=1) + bias, atol=1e-5)


@pytest.mark.parametrize(("channels", "kept"), [(64, 64), (12, 192), (5, 200), (63, 63 * 40)])
def test_factors_that_come_again_are_kept_once(channels: int, kept: int) -> None:
    x = np.arange(42 * channels).reshape(42, channels)
    index = np.array([x[p : p + 3, c] for c in range(channels) for p in range(40)], np.int32)
    factors = np.random.default_rng(0).standard_normal((channels, 3)).astype(np.float32).repeat(40, axis=0)
    taps = as_taps(index, factors, np.arange(channels, dtype=np.float32).repeat(40))
    assert taps is not None and taps.factors.shape == (3, kept) and len(taps.bias) == kept
    assert taps.bias[: 2 * channels].tolist() == [*range(channels)] * 2 or kept == channels


@pytest.mark.parametrize("name", [REFERENCE, *COMPILED])
def test_what_a_place_does_not_see_is_not_looked_at(name: str) -> None:
    """The padding of a place lies where others have their numbers, and these may be infinite."""
    net = Net(6)
    conv = Conv(np.ones((2, 3), np.float32), None, (3,), (1,), ((1, 1),), (1,), 2)
    made = net.add(conv, net.add(Map("reciprocal"), net.add(Reshape((1, 2, 3)), "x")))
    y = stream_on(name, net.model(y=(net.add(Reshape((6,)), made), 6))).step(np.array([1, 1, 0, 1, 1, 1], np.float32))
    assert y.tolist() == [2, np.inf, np.inf, 2, 3, 2]


def test_windows_by_channel_are_taps_and_others_are_not() -> None:
    x = np.arange(60).reshape(4, 15)
    index = np.array([x[c, p : p + 3] for c in range(4) for p in range(13)], np.int32)
    factors, bias = np.ones(index.shape, np.float32), np.zeros(len(index), np.float32)
    assert as_taps(index, factors, bias) is not None
    assert as_taps(index[:, [0, 2, 1]], factors, bias) is not None
    assert as_taps(np.where(index % 2 == 0, index[:, ::-1], index), factors, bias) is None  # not the same apart
    assert as_taps(index[::7], factors[::7], bias[::7]) is None  # far more than are read
    assert as_taps(np.repeat(index, 2, axis=0), np.repeat(factors, 2, axis=0), np.repeat(bias, 2)) is None  # twice


@pytest.mark.parametrize("operation", ["sum", "mean", "max", "min"])
def test_many_rows_are_reduced_at_once(operation: str) -> None:
    low = lowering()
    x = low.buffer(60)
    by_rows = np.arange(60).reshape(3, 20).T.reshape(-1)
    y = low.reduce(operation, low.take(x, by_rows), 20, 3)
    assert opcodes(low) == ["COMBINE"] * (3 if operation == "mean" else 2) and low.here(y) == y
    assert {row.operands[1] for row in low.code[:1]} | {row.operands[2] for row in low.code[:2]} == {
        x.part(0, 20), x.part(20, 20), x.part(40, 20)
    }  # fmt: skip
    low.reduce(operation, low.buffer(80), 20, 4)  # the numbers of each row lie beside each other
    low.reduce(operation, low.take(x, np.arange(15).reshape(3, 5).T.reshape(-1)), 5, 3)  # too few
    assert opcodes(low)[-3:] == ["REDUCE", "TAKE", "REDUCE"]


@pytest.mark.parametrize("number_format", ["int8", "int8x16", "int16", "int4"])
def test_columns_lie_as_what_they_meet(number_format: str) -> None:
    """The columns of a weight in another order, with what they meet; those of int4 share factors, and stay."""
    model = quantise(CASES["convolutions"](), number_format)
    weight = next(node.layer for node in model.nodes if getattr(node.layer, "kernel", ()) == (1, 3)).weight  # type: ignore[attr-defined]
    low = lowering()
    x = low.buffer(162)
    picked, turned = low.along(low.take(x, np.arange(162).reshape(3, 54).T.reshape(-1)), weight)
    order, grouped = low.origin(picked).places, weight.factor is not None
    assert (low.here(picked) == x) is not grouped and (turned is weight) is grouped
    values = np.random.default_rng(0).standard_normal(162)
    expected = weight.dense() @ values[np.arange(162).reshape(3, 54).T.reshape(-1)]
    np.testing.assert_allclose(turned.dense() @ values[order], expected, rtol=1e-5, atol=1e-6)


def test_a_place_is_of_its_buffer() -> None:
    assert Place(3, 8, 16).part(4, 2) == Place(3, 12, 2)
