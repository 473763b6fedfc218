"""Pools: bad input touches one stream alone, and a wrong call none."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pool_cases import MODELS, inputs, states
from pool_cases import shared_however_little as shared_however_little

from edgernn.errors import BackendUnavailable, BadInput, RefusedStreams
from edgernn.stream import Pool, Stream, memory

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
    assert "\n  - stream " in str(refused.value) and str(pickle.loads(pickle.dumps(refused.value))) == str(
        refused.value
    )
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
    with pytest.raises(BadInput, match=r"takes tokens, which are whole numbers: (nan|inf|2\.5) came"):
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
    for blob, said in (
        (b"", "not a saved state"),
        (before[0][:-1], "checksum"),
        (MODELS["GRU-7-64-int8"]().pool(1).save_state(0), "another model"),
    ):
        with pytest.raises(BadInput, match=said):
            pool.load_state(1, blob)
    assert states(pool) == before


@pytest.mark.parametrize(("n", "threads"), [(0, 1), (-3, 1), (1.5, 1), ("4", 1), (4, 0), (4, None)])
def test_a_pool_needs_streams_and_threads(n: int, threads: int) -> None:
    with pytest.raises(BadInput, match="pool"):
        MODELS["hop"]().pool(n, threads=threads)


def test_other_devices_are_not_there() -> None:
    with pytest.raises(BackendUnavailable, match="tpu"):
        MODELS["hop"]().pool(4, device="tpu")


@pytest.mark.parametrize("group", ["", "system.slice", "system.slice/edge.service"])
def test_a_pool_that_does_not_fit_says_how_large_it_could_be(
    group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit may be of the service's own control group, or of one around it."""
    model = MODELS["GRU-7-64-int8"]()
    each = model.pool(1).plan.carried_bytes
    with pytest.raises(BadInput, match=r"1,000,000,000,000,000 streams take .* there can be [1-9][0-9,]* at most"):
        model.pool(10**15)
    limited, member = tmp_path / group, tmp_path / "member"
    limited.mkdir(parents=True, exist_ok=True)
    (limited / "limit").write_text("5000000\n")
    (limited / "used").write_text("3000000\n")
    (limited / "memory.stat").write_text("anon 1000000\nactive_file 1500000\ninactive_file 500000\n")
    member.write_text("1:name=systemd:/elsewhere\n0::/system.slice/edge.service\n")
    monkeypatch.setattr(memory, "MEMBER", member)
    monkeypatch.setattr(memory, "GROUPS", (("", tmp_path, "limit", "used", ""),))
    with pytest.raises(BadInput) as refused:
        model.pool(1_000_000)
    most = int(str(refused.value).split("there can be ")[1].split(" at")[0].replace(",", ""))
    assert 0 < most * each < 4_000_000
    model.pool(most)
    with pytest.raises(BadInput, match=f"there can be {most:,} at most"):
        model.pool(most + 1)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_pool_is_not_copied(again: Callable[[Pool], object]) -> None:
    """Its copy would share its states."""
    with pytest.raises(TypeError, match="save_state"):
        again(MODELS["hop"]().pool(4))
