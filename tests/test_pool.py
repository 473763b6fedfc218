"""Pools: each stream gives the bits of a Stream of its own, whatever others do."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, SIZES, Net, worst_sums
from conftest import instruction_set
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_cases import MODELS, inputs, row, states
from pool_cases import shared_however_little as shared_however_little
from test_hops import frames_of, model_of

from edgernn.errors import BadInput
from edgernn.kernels.isas import REFERENCE
from edgernn.quantiser import FORMATS, quantise
from edgernn.stream import Stream


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_each_stream_gives_the_bits_of_one_that_is_alone(data: st.DataObject) -> None:
    """Streams tick in any groups and order, start anew, leave for a Stream and come back."""
    model = MODELS[data.draw(st.sampled_from(sorted(MODELS)))]()
    n = data.draw(st.integers(1, 11) | st.integers(30, 70))
    pool = model.pool(n, threads=data.draw(st.integers(1, 3)))
    alone = [Stream(model) for _ in range(n)]
    for turn in range(data.draw(st.integers(1, 5))):
        X = inputs(model, 3, n, 100 * turn)
        active = data.draw(st.permutations(range(n)))[: data.draw(st.integers(0, n))]
        mask = np.isin(np.arange(n), active)
        Y = pool.step(X[0], active=mask if data.draw(st.booleans()) else active)
        for i in range(n):
            expected = alone[i].step(X[0, i]) if mask[i] else None
            assert pool.answered[i] == (expected is not None)
            if expected is not None:
                np.testing.assert_equal(row(Y, i), expected)
            else:
                assert np.isnan(row(Y, i) if not isinstance(Y, dict) else next(iter(Y.values()))[i]).all()
        i, other = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))
        pool.reset(i)
        alone[i].reset()
        blob = pool.save_state(other)
        assert blob == alone[other].save_state()
        alone[i].load_state(blob)
        pool.load_state(i, alone[i].save_state())
        Y = pool.run(X)
        for i in range(n):
            expected = alone[i].run(np.ascontiguousarray(X[:, i]))
            np.testing.assert_equal(row(Y, slice(pool.answered[i]), i), expected)


@pytest.mark.parametrize("number", FORMATS)
def test_every_instruction_set_gives_the_bits_of_its_streams(isa: str, number: str) -> None:
    for case in ("LSTM-16-16", "GRU-33-47", "B"):
        model = quantise((CASES | SIZES)[case](), number)
        X = inputs(model, 4, 6, 1)
        with instruction_set(isa):
            Y, alone = model.pool(6).run(X), [Stream(model).run(np.ascontiguousarray(X[:, i])) for i in range(6)]
        np.testing.assert_equal(Y, np.stack(alone, 1))


@pytest.mark.parametrize("name", ["residual-int8", "tokens-int4", "window"])
def test_the_reference_has_pools(name: str) -> None:
    model = MODELS[name]()
    X = inputs(model, 6, 3, 1)
    with instruction_set(REFERENCE):
        pool, alone = model.pool(3), [Stream(model) for _ in range(3)]
        for x in X:
            Y = pool.step(x, active=[2, 0])
            for i in (0, 2):
                expected = alone[i].step(x[i])
                assert expected is None or row(Y, i) is not None
                np.testing.assert_equal(row(Y, i), np.full(4, np.nan, np.float32) if expected is None else expected)
        assert states(pool) == [stream.save_state() for stream in alone]


@pytest.mark.parametrize("number", FORMATS)
def test_a_model_without_states(number: str) -> None:
    net = Net(5)
    model = quantise(net.model(y=(net.dense("x", 5, 9), 9)), number)
    x = np.random.default_rng(1).standard_normal((7, 5)).astype(np.float32)
    np.testing.assert_equal(model.pool(7).step(x), Stream(model).run(x))
    with pytest.raises(BadInput, match="at most"):
        model.pool(10**15)


def test_numbers_at_the_limits_of_int8() -> None:
    """All products of one sign, at their largest: where a sum could leave its integers."""
    for cols in (1, 33, 513, 8193):
        model, x = worst_sums(cols, "int8")
        X = np.stack([x, -x, x[::-1], x], 1)
        Y = model.pool(4).run(X)
        for i in range(4):
            np.testing.assert_equal(Y[:, i], Stream(model).run(np.ascontiguousarray(X[:, i])))


def test_some_streams_run_and_the_others_stay() -> None:
    model = CASES["GRU-3-5"]()
    pool, X = model.pool(5), inputs(model, 6, 5, 1)
    before = states(pool)
    Y = pool.run(X, active=[3, 1])
    for i in range(5):
        alone = Stream(model).run(np.ascontiguousarray(X[:, i])) if i in (1, 3) else np.full_like(Y[:, i], np.nan)
        np.testing.assert_equal(Y[:, i], alone)
        assert (states(pool)[i] == before[i]) == (i not in (1, 3))
    assert list(pool.answered) == [0, 6, 0, 6, 0]


def test_streams_in_different_phases_answer_in_their_own_time() -> None:
    model = model_of(3, 5)
    pool, x = model.pool(5), frames_of(False)
    for i in range(5):  # stream i is i frames ahead
        for t in range(i):
            pool.step(np.broadcast_to(x[t], (5, 3)), active=[i])
    out = np.full((5, 4), 7, np.float32)
    X = np.stack([x[i : i + 9] for i in range(5)], 1)
    Y = pool.run(X)
    assert list(pool.answered) == [2, 2, 3, 3, 3] and Y.shape == (3, 5, 4)
    for i in range(5):
        whole = Stream(model).run(x[: i + 9])
        np.testing.assert_equal(Y[: pool.answered[i], i], whole[len(whole) - pool.answered[i] :])
    assert np.isnan(Y[2, :2]).all()
    pool.step(X[0], out=out)
    assert (out[pool.answered == 0] == 7).all() and 0 < pool.answered.sum() < 5


def test_answers_may_lie_where_the_frames_were() -> None:
    model = MODELS["shift-register-none"]()
    X = inputs(model, 1, 4, 1)[0]
    held = np.zeros((4, 25), np.float32)
    view = held.reshape(-1)[: X.size].reshape(X.shape)
    view[:] = X
    pool = model.pool(4)
    Y = pool.step(view, out=held)
    assert Y is held
    np.testing.assert_equal(held, model.pool(4).step(X))


@pytest.mark.parametrize("which", ["all", "mask", "numbers"])
def test_one_step_through_every_door(which: str) -> None:
    """Frames and answers as the kernels take them, and such as must be copied or made first."""
    model = MODELS["GRU-7-64-int8"]()
    X = inputs(model, 1, 6, 1)[0]
    active = {"all": None, "mask": np.arange(6) % 2 == 0, "numbers": np.array([4, 0, 2], np.uint8)}[which]
    (n_out,) = model.pool(1).step(X[:1])[0].shape
    expected = model.pool(6).step(X, active=active)
    for same in (X.astype(np.float64), X.tolist(), np.asfortranarray(X), X.view(), {"x": X}):
        np.testing.assert_equal(model.pool(6).step(same, active=active), expected)
    for shape, at in (((6, n_out), ...), ((6, n_out + 1), (slice(None), slice(n_out)))):
        held = np.full(shape, 7, np.float32)[at]
        pool = model.pool(6)
        if held.flags.c_contiguous:
            assert pool.step(X, active=active, out=held) is held
            np.testing.assert_equal(held, np.where(np.isnan(expected), np.float32(7), expected))
            held.flags.writeable = False
        with pytest.raises(BadInput, match="writeable C-contiguous"):
            pool.step(X, active=active, out=held)
        assert pool.answered.sum() == (0 if shape[1] > n_out else 6 if active is None else 3)
