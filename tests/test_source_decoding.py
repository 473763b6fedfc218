"""Bytes that become samples: what holds none, comes late or comes too fast is left out, counted and said."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_cases import RATE, ROWS, SOUND, csv_bytes
from source_cases import said as said

from edgernn.pipelines.sources import mailbox
from edgernn.pipelines.sources.decode import LineDecoder, Pcm, PcmDecoder, Wanted
from edgernn.pipelines.sources.mailbox import Mailbox
from edgernn.pipelines.sources.tally import Tally


def test_lines_that_hold_no_row(said: list[str]) -> None:
    wanted = Wanted(100, 3, None, False)
    tally = Tally(said.append)
    decoder = LineDecoder(wanted, "here", tally)
    data = b"1,2,3\n4,5\nsix,7,8\n1,nan,1\n\xff\n9,9,9\n1,1,1\n"
    (before, after) = decoder.feed(data)
    assert before.samples.tolist() == [[1, 2, 3]] and before.gap == 0
    assert after.samples.tolist() == [[9, 9, 9], [1, 1, 1]] and after.gap == pytest.approx(0.04)
    assert tally.refused == 4 and said == ["here, line 2: 2 numbers, a frame takes 3; left out"]
    assert not decoder.feed(b"9" * (1 << 20)) and not decoder.feed(b"9,9,9")
    (piece,) = decoder.feed(b"9\n5,5,5\n")
    assert piece.samples.tolist() == [[5, 5, 5]] and tally.refused == 5


FIRST = [
    "0.2, 7]",
    '{"status": "ready", "a": 1, "b": 2}',
    '{"c": 1, "b": null, "a": 2}',
    '"b": 1, "c": 2}',
    "Arduino ready",
    "a, b",
    '{"a": true, "b": 1, "c": 2}',
]


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("row", ["[1, 2, 3]", '{"a": 1, "b": 2, "c": 3}', "1, 2, 3"])
def test_one_may_come_in_the_middle_of_a_line(first: str, row: str, said: list[str]) -> None:
    tally = Tally(said.append)
    decoder = LineDecoder(Wanted(100, 3, None, False), "here", tally)
    (piece,) = decoder.feed(f"{first}\n{row}\n{row}\n".encode())
    assert piece.samples.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert tally.refused == 1 and "line 1" in said[0]


def test_a_field_that_is_missing_is_named() -> None:
    said: list[str] = []
    decoder = LineDecoder(Wanted(100, 2, None, False), "here", Tally(said.append))
    pieces = decoder.feed(b'{"time": 0, "a": 1, "b": 2}\n{"time": 0.01, "a": 1}\n{"b": 4, "a": 3, "time": 0.02}\n')
    assert [piece.samples.tolist() for piece in pieces] == [[[1, 2]], [[3, 4]]]
    assert pieces[1].gap == pytest.approx(0.01) and "those of the first line were a, b" in said[0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1700000000", "1 numbers, a frame takes 1 and its time"),
        ('{"time": 1' + "0" * 400 + ', "x": 1}', "the time is 1000"),
        ('{"time": NaN, "x": 1}', "the time is nan"),
        ('{"x": 1, "x": 2}', "the name 'x' twice"),
    ],
)
def test_a_row_without_its_time_or_with_more_than_one_number(line: str, why: str, said: list[str]) -> None:
    """None of it is taken for the number that is missing."""
    decoder = LineDecoder(Wanted(10, 1, None, False), "here", tally := Tally(said.append))
    pieces = decoder.feed(f"time,x\n0,1\n{line}\n0.2,3\n".encode())
    assert [(piece.samples.tolist(), round(piece.gap, 6)) for piece in pieces] == [([[1]], 0), ([[3]], 0.1)]
    assert (tally.refused, tally.lost) == (1, 0) and "line 3" in said[0] and why in said[0]


def test_lines_are_counted_from_where_they_begin_anew(said: list[str]) -> None:
    decoder = LineDecoder(Wanted(10, 1, None, False), "here", Tally(said.append))
    decoder.feed(b"1\n2\n3\n")
    decoder.restart()
    decoder.feed(b"1\nx\n")
    assert said == ["here, line 2, column 1: 'x' is not a number; left out"]


@pytest.mark.parametrize(("with_times", "gap", "lost"), [(True, 1.5, 5), (False, 1.0, 0)])
def test_what_is_known_to_be_missing_counts_once(with_times: bool, gap: float, lost: int) -> None:
    """Where rows bear times too, these tell how much it is."""
    decoder = LineDecoder(Wanted(10, 1, None, False), "here", tally := Tally(lambda text: None))
    decoder.feed(b"time,x\n0,1\n" if with_times else b"x\n1\n")
    decoder.missed(1.0)
    (piece,) = decoder.feed(b"1.6,2\n" if with_times else b"2\n")
    assert piece.gap == pytest.approx(gap) and tally.lost == lost


def timed(*times: float) -> tuple[list[tuple[int, float]], Tally]:
    """(rows, gap before them) of rows at 10 a second that bear these times."""
    tally = Tally(lambda text: None)
    decoder = LineDecoder(Wanted(10, 1, None, False), "here", tally)
    pieces = decoder.feed(b"time,x\n" + b"".join(b"%f,1\n" % when for when in times))
    return [(len(piece.samples), round(piece.gap, 6)) for piece in pieces], tally


def test_times_tell_what_is_missing() -> None:
    found, tally = timed(5, 5.1, 5.24, 5.3, 5.8, 5.9)
    assert found == [(4, 0), (2, 0.4)] and (tally.lost, tally.late) == (4, 0)
    found, tally = timed(*[0] * 10, *[1] * 10, *[3] * 10)  # a clock that counts in seconds
    assert found == [(20, 0), (10, 1.0)] and tally.lost == 10


def test_late_rows_are_used_and_counted() -> None:
    found, tally = timed(5, 5.1, 5.2, 5.15, 5.3, 5.4)
    assert found == [(6, 0)] and (tally.lost, tally.late) == (0, 1)
    found, tally = timed(1.0, 0.5, *[1 + n / 10 for n in range(1, 9)])  # in the beginning
    assert found == [(10, 0)] and (tally.late, str(tally)) == (1, "1 rows late")
    found, tally = timed(3600, 3600.1, 0, 0.1, 0.2)  # a clock that is set back
    assert found == [(5, 0)] and (tally.lost, tally.late, tally.jumps) == (0, 0, 1)
    found, tally = timed(0, 0.1, 1.7e9, 1.7e9 + 0.1, 1.7e9 + 0.4)  # one that is set at last
    assert found == [(4, 0), (1, 0.2)] and (tally.lost, tally.late, tally.jumps) == (2, 0, 1)


@given(st.lists(st.integers(0, 40), max_size=30), st.booleans())
def test_pieces_do_not_depend_on_how_bytes_are_cut(cuts: list[int], text: bool) -> None:
    wanted = Wanted(100, 3, None if text else Pcm(100, 3), False)
    decoder = wanted.decoder("here", Tally(pytest.fail))
    data = csv_bytes(ROWS) if text else SOUND[:300].tobytes()
    parts, start = [], 0
    for cut in cuts:
        parts.append(data[start : start + cut])
        start += cut
    pieces = [piece for part in [*parts, data[start:]] for piece in decoder.feed(part)]
    got = np.concatenate([piece.samples for piece in pieces])
    np.testing.assert_array_equal(got, ROWS if text else (SOUND[:300].reshape(-1, 3) / 32768).astype(np.float32))


def test_samples_that_are_not_finite(said: list[str]) -> None:
    tally = Tally(said.append)
    (piece,) = PcmDecoder(Pcm(RATE, 1, "float32"), "here", tally).feed(np.array([1, np.nan, np.inf], "<f4").tobytes())
    assert piece.samples.ravel().tolist() == [1, 0, 0] and tally.lost == 2 and "not finite" in said[0]


def test_a_full_mailbox_drops_the_oldest(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "HELD", 1.0)
    tally = Tally(said.append)
    box = Mailbox("the source", 10, tally)
    for number in range(4):
        box.put(np.full((4, 1), number, np.float32))
    kept = [(int(piece.samples[0, 0]), piece.gap) for _, piece in zip(range(2), box, strict=False)]
    assert kept == [(2, pytest.approx(0.8)), (3, 0)] and tally.lost == 8
    assert said == ["the source: data comes faster than it is used; the oldest is dropped"]


def test_what_comes_thick_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    tally = Tally(said.append)
    for _ in range(5):
        tally.count("lost", 1, "lost one")
    now[0] += 10
    tally.count("lost", 1, "lost one")
    assert said == ["lost one", "lost one (and 4 more like this before)"] and str(tally) == "6 samples lost"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 5, 100])
def test_lines_end_as_any_system_ends_them(end: bytes, size: int, said: list[str]) -> None:
    """However they are cut; each is there as soon as it has ended."""
    data = b"a,b" + end + b"1,2" + end + b"3" + end + b"5,6" + end
    decoder, found = LineDecoder(Wanted(100, 2, None, False), "here", Tally(said.append)), []
    for at in range(0, len(data), size):
        found += decoder.feed(data[at : at + size])
    assert [row for piece in found for row in piece.samples.tolist()] == [[1, 2], [5, 6]]
    assert len(said) == 1 and "line 3:" in said[0]


def test_sound_where_lines_are_expected_tells_of_pcm(said: list[str]) -> None:
    LineDecoder(Wanted(RATE, 1, None, False), "here", Tally(said.append)).feed(SOUND.tobytes() + b"\xff\n")
    assert "need --pcm" in said[0]


def test_a_clock_in_other_units_shows(said: list[str]) -> None:
    LineDecoder(Wanted(10, 1, None, False), "here", Tally(said.append)).feed(b"time,x\n0,1\n100,1\n")  # milliseconds
    assert said == ["here: 999 rows are missing by their time, which went on by 100.000 s"]


@pytest.mark.parametrize("rate", [5, 10, 12, 100])
@pytest.mark.parametrize("seconds", [False, True])
def test_rows_of_a_higher_rate_are_said(rate: int, seconds: bool, said: list[str]) -> None:
    """Once; by a clock that counts in seconds too."""
    times = [1000 + (n // rate if seconds else n / rate) for n in range(5 * rate)]
    decoder = LineDecoder(Wanted(10, 1, None, False), "here", Tally(said.append))
    decoder.feed(b"time,x\n" + b"".join(b"%f,1\n" % when for when in times))
    told = [text for text in said if "the model takes 10 a second" in text]
    assert len(told) == (rate == 100)
