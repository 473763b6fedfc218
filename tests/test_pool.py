"""Pools: each stream gives the bits of a Stream of its own, whatever others do; bad input touches one stream alone."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, SIZES, Net, frames, worst_sums
from conftest import instruction_set
from hypothesis import given, settings
from hypothesis import strategies as st
from test_hops import frames_of, model_of

from edgernn.errors import BackendUnavailable, BadInput, RefusedStreams
from edgernn.kernels.isas import REFERENCE
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.quantiser import FORMATS, quantise
from edgernn.stream import Pool, Stream, memory, tiles
from edgernn.stream.helper import Helper

MODELS: dict[str, Callable[[], Model]] = {
    **{f"{case}-{number}": lambda case=case, number=number: quantise(CASES[case](), number)  # type: ignore[misc]
       for case in ("LSTM-33-47", "GRU-7-64", "RNN-1-1", "tokens", "residual", "surroundings", "shift-register")
       for number in FORMATS},
    "hop": lambda: model_of(2, 2),
    "window": lambda: model_of(3, 5),
    "window-tokens": lambda: model_of(4, 2, tokens=True),
}  # fmt: skip


def inputs(model: Model, steps: int, n: int, seed: int) -> Array:
    """(steps, n, n_in), or tokens."""
    return np.stack([frames(model, steps, seed + i) for i in range(n)], 1)


def row(answers: object, *at: object) -> object:
    """The same part of every output."""
    return {k: v[at] for k, v in answers.items()} if isinstance(answers, dict) else answers[at]  # type: ignore[index]


def states(pool: Pool) -> list[bytes]:
    return [pool.save_state(i) for i in range(len(pool))]


@pytest.fixture(autouse=True)
def shared_however_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads take their share of the smallest call too."""
    monkeypatch.setattr(tiles, "WORTH", 0)


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


BAD = {"nan": np.nan, "inf": -np.inf, "huge": 1e300}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("what", BAD)
def test_a_bad_number_refuses_its_stream_alone(what: str, threads: int) -> None:
    model = MODELS["GRU-7-64-int8"]()
    pool, alone = model.pool(9, threads=threads), [Stream(model) for _ in range(9)]
    X = inputs(model, 2, 9, 1).astype(np.float64)
    X[1, 3, 2] = X[0, 8, 0] = BAD[what]
    with pytest.raises(RefusedStreams, match=r"(?s)2 streams.*stream 3: input 'x', frame 1, element 2") as refused:
        pool.run(X)
    assert set(refused.value.reasons) == {3, 8}
    assert list(pool.answered) == [0 if i in (3, 8) else 2 for i in range(9)]
    for i in set(range(9)) - {3, 8}:
        np.testing.assert_equal(refused.value.answers[:, i], alone[i].run(X[:, i]))
    assert np.isnan(refused.value.answers[:, [3, 8]]).all()
    assert states(pool) == [stream.save_state() for stream in alone]
    X[0, 3] = 0
    with pytest.raises(RefusedStreams, match="1 stream refused"):
        pool.step(X[0])
    pool.step(X[0], active=np.arange(8))  # what is not active is not read


def test_a_bad_token_refuses_its_stream_alone() -> None:
    model = MODELS["tokens-int8"]()
    pool = model.pool(3)
    with pytest.raises(RefusedStreams, match=r"stream 1: input 'x', frame 0: token 50 is outside") as refused:
        pool.step(np.array([1, 50, 2]))
    assert list(refused.value.reasons) == [1] and list(pool.answered) == [1, 0, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 2.5])
def test_a_number_that_is_no_token_refuses_its_stream_alone(bad: float) -> None:
    pool, alone = MODELS["tokens-int8"]().pool(3), MODELS["tokens-int8"]().stream()
    with pytest.raises(RefusedStreams, match=r"stream 1: input 'x', frame 0: a number that is not whole") as refused:
        pool.step(np.array([1, bad, 2]))
    assert list(refused.value.reasons) == [1] and list(pool.answered) == [1, 0, 1]
    np.testing.assert_equal(pool.step(np.array([bad, 3, bad]), active=[1])[1], alone.step(3))
    with pytest.raises(BadInput, match="takes token numbers, got float64"):
        alone.step(bad)


WRONG: dict[str, tuple[object, object]] = {
    "too few streams": (np.zeros((3, 7)), None),
    "frame too long": (np.zeros((4, 8)), None),
    "one frame": (np.zeros(7), None),
    "text": ([["a"] * 7] * 4, None),
    "short mask": (np.zeros((4, 7)), [True, False]),
    "beyond the last": (np.zeros((4, 7)), [0, 4]),
    "negative": (np.zeros((4, 7)), [-1]),
    "twice": (np.zeros((4, 7)), [1, 2, 1]),
    "masked": (np.zeros((4, 7)), np.ma.masked_array([1, 2], [0, 1])),
    "no numbers": (np.zeros((4, 7)), [0.5]),
    "a matrix": (np.zeros((4, 7)), [[0], [1]]),
    "ragged": (np.zeros((4, 7)), [[0], [1, 2]]),
    "one number": (np.zeros((4, 7)), 2),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_call_is_refused_whole(kind: str) -> None:
    pool = MODELS["GRU-7-64-int8"]().pool(4)
    pool.step(np.ones((4, 7)))
    before = states(pool)
    X, active = WRONG[kind]
    with pytest.raises(BadInput) as refused:
        pool.step(X, active=active)
    assert not isinstance(refused.value, RefusedStreams)
    assert states(pool) == before


@pytest.mark.parametrize("stream", [4, -1, 1.0, None, "1"])
def test_a_stream_that_is_not_there_is_refused(stream: object) -> None:
    pool = MODELS["GRU-7-64-int8"]().pool(4)
    blob = pool.save_state(0)
    for call in (pool.reset, pool.save_state, lambda i: pool.load_state(i, blob)):
        with pytest.raises(BadInput, match=r"stream"):
            call(stream)  # type: ignore[arg-type]


def test_a_bad_saved_state_changes_nothing() -> None:
    pool = MODELS["window"]().pool(2)
    pool.step(np.ones((2, 3)))
    before = states(pool)
    for blob in (b"", before[0][:-1], MODELS["GRU-7-64-int8"]().pool(1).save_state(0)):
        with pytest.raises(BadInput):
            pool.load_state(1, blob)
    assert states(pool) == before


@pytest.mark.parametrize(("n", "threads"), [(0, 1), (-3, 1), (1.5, 1), ("4", 1), (4, 0), (4, None)])
def test_a_pool_needs_streams_and_threads(n: int, threads: int) -> None:
    with pytest.raises(BadInput, match="pool"):
        MODELS["hop"]().pool(n, threads=threads)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_pool_is_not_copied(again: Callable[[Pool], object]) -> None:
    """Its copy would share its states."""
    with pytest.raises(TypeError, match="save_state"):
        again(MODELS["hop"]().pool(4))


def test_more_threads_than_streams_are_not_made() -> None:
    model = MODELS["GRU-7-64-int8"]()
    X = np.ones((4, 7), np.float32)
    assert np.array_equal(model.pool(4, threads=10**9).step(X), model.pool(4).step(X))


def test_other_devices_are_not_there() -> None:
    with pytest.raises(BackendUnavailable, match="tpu"):
        MODELS["hop"]().pool(4, device="tpu")


def test_a_pool_that_does_not_fit_says_how_large_it_could_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["GRU-7-64-int8"]()
    each = model.pool(1).plan.carried_bytes
    with pytest.raises(BadInput, match=r"1,000,000,000,000,000 streams take .* there can be [1-9][0-9,]* at most"):
        model.pool(10**15)
    (tmp_path / "limit").write_text("5000000\n")
    (tmp_path / "used").write_text("3000000\n")
    (tmp_path / "memory.stat").write_text("anon 1000000\nactive_file 1500000\ninactive_file 500000\n")
    monkeypatch.setattr(memory, "GROUPS", ((tmp_path, "limit", "used", ""),))
    with pytest.raises(BadInput) as refused:
        model.pool(1_000_000)
    most = int(str(refused.value).split("there can be ")[1].split(" at")[0].replace(",", ""))
    assert 0 < most * each < 4_000_000
    model.pool(most)
    with pytest.raises(BadInput):
        model.pool(most + 1)


def test_one_thread_uses_a_pool_at_a_time() -> None:
    pool = MODELS["GRU-7-64-int8"]().pool(64)
    X, found = np.zeros((2000, 64, 7), np.float32), []
    started = threading.Event()

    def run() -> None:
        started.set()
        pool.run(X)

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    while thread.is_alive() and not found:
        try:
            pool.step(X[0])
        except BadInput as error:
            found.append(str(error))
    thread.join()
    assert found and "another thread uses this pool" in found[0]


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


def test_little_work_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "WORTH", 1 << 23)
    model, before = MODELS["GRU-7-64-int8"](), threading.active_count()
    pool = model.pool(8, threads=3)
    pool.step(np.ones((8, 7), np.float32))
    assert threading.active_count() == before
    pool.run(np.ones((100, 8, 7), np.float32))
    assert threading.active_count() == before + 2


def test_threads_end_with_their_pool() -> None:
    before = threading.enumerate()  # threads of other pools may still be about to end
    pool = MODELS["GRU-7-64-int8"]().pool(8, threads=3)
    pool.step(np.ones((8, 7)))
    one, two = [thread for thread in threading.enumerate() if thread not in before]
    assert one.name == two.name == "edgernn"
    del pool
    gc.collect()
    one.join(10)
    two.join(10)
    assert not one.is_alive() and not two.is_alive()


def test_a_helper_passes_on_what_goes_wrong() -> None:
    helper = Helper()
    for _ in range(3):
        helper.begin(int, "no number")
        with pytest.raises(ValueError, match="no number"):
            helper.result()
        helper.begin(divmod, 7, 2)
        assert helper.result() == (3, 1)


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


def test_a_forked_child_has_threads_of_its_own() -> None:
    code = """
import os, sys
import numpy as np
from cases import SIZES
pool = SIZES["D"]().pool(256, threads=2)
X = np.ones((256, pool.plan.inputs[0].size), np.float32)
first = pool.step(X)
pid = os.fork()
second = pool.step(X)
if pid:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) or not np.isfinite(second).all())
os._exit(0)
"""
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    command = [sys.executable, "-W", "ignore", "-c", code]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True, timeout=60)
