"""Sources: every kind gives what was sent, says what is missing, and outlives what goes away.

Nothing here waits for real seconds: what the package waits for is patched to be short.
"""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from commands import write_wav
from hypothesis import given
from hypothesis import strategies as st

from edgernn.errors import BackendUnavailable, BadInput
from edgernn.pipelines.sources import Source, mailbox, open_source, sockets
from edgernn.pipelines.sources.decode import LineDecoder, Pcm, PcmDecoder, Wanted
from edgernn.pipelines.sources.mailbox import Mailbox
from edgernn.pipelines.sources.mqtt import Broker
from edgernn.pipelines.sources.tally import Tally

RATE = 16000
SOUND = np.random.default_rng(0).integers(-20000, 20000, 4000).astype("<i2")
ROWS = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)


@pytest.fixture
def said() -> list[str]:
    """What sources say."""
    return []


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a second waits for milliseconds."""
    for module in (mailbox, sockets):
        for name in ("POLL", "RETRY"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, 0.01)


def everything(source: Source) -> np.ndarray:
    """All samples of a source that ends."""
    with source:
        return np.concatenate([block.samples for block in source])


def first(blocks: Iterator[object], count: int) -> np.ndarray:
    """The first `count` samples of a source that does not end."""
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < count:
        parts.append(next(blocks).samples)  # type: ignore[attr-defined]
    return np.concatenate(parts)


def csv_bytes(rows: np.ndarray) -> bytes:
    return "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist()).encode()


def serve(server: socket.socket, *parts: bytes) -> threading.Thread:
    """A server that sends each part over a connection of its own."""

    def work() -> None:
        for part in parts:
            connection, _ = server.accept()
            with connection:
                connection.sendall(part)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_sound_files(tmp_path: Path, said: list[str]) -> None:
    soundfile = pytest.importorskip("soundfile", reason="FLAC needs soundfile")
    soundfile.write(tmp_path / "x.flac", SOUND, RATE, subtype="PCM_16")
    for path in (write_wav(tmp_path / "x.wav", SOUND), tmp_path / "x.flac"):
        np.testing.assert_array_equal(everything(open_source(str(path), RATE, say=said.append)), SOUND / 32768)
    stereo = write_wav(tmp_path / "stereo.wav", np.repeat(SOUND, 2), channels=2)
    np.testing.assert_array_equal(everything(open_source(str(stereo), RATE, say=said.append)), SOUND / 32768)
    assert said == [f"{stereo}: 2 channels, mixed to one"]


def test_a_sound_file_that_is_damaged(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="FLAC needs soundfile")
    soundfile.write(tmp_path / "x.flac", np.tile(SOUND, 20), RATE, subtype="PCM_16")
    data = bytearray((tmp_path / "x.flac").read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tmp_path / "x.flac").write_bytes(data)
    with pytest.raises(BadInput, match="cannot be read to its end"):
        everything(open_source(str(tmp_path / "x.flac"), RATE))
    (tmp_path / "x.ogg").write_bytes(b"OggS" + bytes(100))
    with pytest.raises(BadInput, match="not a sound file"):
        open_source(str(tmp_path / "x.ogg"), RATE)


def test_a_recording_that_was_cut_off(tmp_path: Path) -> None:
    whole = write_wav(tmp_path / "x.wav", SOUND).read_bytes()
    streamed = whole[:4] + b"\xff" * 4 + whole[8:40] + b"\xff" * 4 + whole[44:]  # written to a pipe: no length known
    (tmp_path / "streamed.wav").write_bytes(streamed)
    np.testing.assert_array_equal(everything(open_source(str(tmp_path / "streamed.wav"), RATE)), SOUND / 32768)
    (tmp_path / "cut.wav").write_bytes(whole[:-1000])
    with open_source(str(tmp_path / "cut.wav"), RATE) as source, pytest.raises(BadInput, match="header promises"):
        heard = 0
        for block in source:
            heard += len(block.samples)
    assert heard == len(SOUND) - 500
    (tmp_path / "none.wav").write_bytes(whole[:40] + bytes(4) + whole[44:])
    with pytest.raises(BadInput, match="was its recording cut off"):
        everything(open_source(str(tmp_path / "none.wav"), RATE))


def test_a_sample_that_is_not_finite_is_named(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="float WAV needs soundfile")
    samples = np.zeros(2 * RATE, np.float32)
    samples[RATE + 7] = np.nan
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    np.save(tmp_path / "x.npy", samples.astype(np.float64))
    for name in ("x.wav", "x.npy"):
        with pytest.raises(BadInput, match=rf"{name}: sample {RATE + 7} is nan"):
            everything(open_source(str(tmp_path / name), RATE))


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_another_rate_is_resampled_as_it_comes(rate: int, tmp_path: Path, said: list[str]) -> None:
    pytest.importorskip("soxr", reason="resampling needs soxr")
    t = np.arange(RATE) / RATE
    path = write_wav(tmp_path / "x.wav", (20000 * np.sin(2 * np.pi * 440 * t)).astype("<i2"))
    with open_source(str(path), rate, say=said.append) as source:
        blocks = list(source)
    got = np.concatenate([block.samples for block in blocks])
    assert abs(len(got) - rate) <= 1 and "resampled" in said[0]
    wave = 20000 / 32768 * np.sin(2 * np.pi * 440 * np.arange(len(got)) / rate)
    assert np.abs(got - wave)[500:-500].max() < 1e-3
    for block, following in pairwise(blocks):
        assert following.time == pytest.approx(block.time + len(block.samples) / rate)
    (raw,) = [path.read_bytes()[44:]]
    assert len(piped(raw, rate, pcm=str(RATE))) == len(got)


def piped(data: bytes, rate: float, channels: int = 1, pcm: str | None = None) -> np.ndarray:
    """What comes from standard input where `data` stands there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
        return everything(open_source("-", rate, channels, pcm=pcm, say=lambda text: None))


def test_standard_input() -> None:
    np.testing.assert_array_equal(piped(SOUND.tobytes(), RATE, pcm="16000"), SOUND / 32768)
    floats = (SOUND / 32768).astype("<f4")
    np.testing.assert_array_equal(piped(floats.tobytes(), RATE, pcm="16000,1,float32"), floats)
    np.testing.assert_array_equal(piped(SOUND.tobytes(), RATE, pcm="16000,2"), SOUND.reshape(-1, 2).mean(1) / 32768)
    np.testing.assert_array_equal(piped(csv_bytes(ROWS), 50, 3), ROWS)
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS.tolist())
    np.testing.assert_array_equal(piped(lines, 50, 3), ROWS)


def test_tables(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    (tmp_path / "x.csv").write_bytes(b"a,b,c\r\n" + csv_bytes(ROWS).rstrip())
    objects = [dict(zip("abc", row, strict=True)) for row in ROWS.tolist()]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in objects))
    for name in ("x.npy", "x.csv", "x.jsonl"):
        np.testing.assert_array_equal(everything(open_source(str(tmp_path / name), 50, 3)), ROWS)


def test_a_followed_file(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgernn.pipelines.sources.files.POLL", 0.001)
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b,c\n1,2,3\n4,5")
    with open_source(str(path), 50, 3, follow=True, say=said.append) as source:
        blocks = iter(source)
        assert next(blocks).samples.tolist() == [[1, 2, 3]]
        with path.open("ab") as file:
            file.write(b",6\n")
        assert next(blocks).samples.tolist() == [[4, 5, 6]]
        (tmp_path / "new.csv").write_bytes(b"a,b,c\n7,8,9\n")
        (tmp_path / "new.csv").rename(path)
        assert next(blocks).samples.tolist() == [[7, 8, 9]]
    assert len(said) == 1 and "replaced" in said[0] and source.tally.refused == 0


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


FIRST = ["0.2, 7]", '"b": 1, "c": 2}', "Arduino ready", "a, b", '{"a": true, "b": 1, "c": 2}']


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


def test_late_rows_are_used_and_counted() -> None:
    found, tally = timed(5, 5.1, 5.2, 5.15, 5.3, 5.4)
    assert found == [(6, 0)] and (tally.lost, tally.late) == (0, 1)
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


def test_udp(quick: None, said: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        port = free_port(socket.SOCK_DGRAM)
        with open_source(f"udp://127.0.0.1:{port}", RATE, pcm="16000", say=said.append) as source:
            blocks = iter(source)
            for part in np.split(SOUND, 10):
                sender.sendto(part.tobytes(), ("127.0.0.1", port))
            np.testing.assert_array_equal(first(blocks, len(SOUND)), SOUND / 32768)
            sender.sendto(b"odd", ("127.0.0.1", port))
            sender.sendto(SOUND[:3].tobytes(), ("127.0.0.1", port))
            assert len(first(blocks, 4)) == 4
        assert source.lost == 0 and source.tally.refused == 1 and len(said) == 1
        with pytest.raises(OSError, match="nowhere"):
            open_source("udp://nowhere.invalid:5005", RATE)


def free_port(kind: int) -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what it dropped")
def test_packets_that_the_system_dropped_are_counted(quick: None, said: list[str]) -> None:
    box = Mailbox("udp", RATE, tally := Tally(said.append))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.01)
        packets = sockets.Packets(receiver, PcmDecoder(Pcm(RATE), "udp", tally), box, RATE, tally)
        for _ in range(50):
            sender.sendto(SOUND[:400].tobytes(), receiver.getsockname())
        with box.reading(packets.read):
            blocks = iter(box)
            arrived = len(next(blocks).samples)
            while not tally.lost:
                sender.sendto(SOUND[:400].tobytes(), receiver.getsockname())
                piece = next(blocks)
                arrived += len(piece.samples)
    assert tally.lost % 400 == 0 and piece.gap == pytest.approx(tally.lost / RATE) and "dropped" in said[0]


def test_tcp_outlives_its_server(quick: None, said: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        data = csv_bytes(ROWS)
        serve(server, data + b"7,7", data)
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with open_source(address, 50, 3, say=said.append) as source:
            blocks = iter(source)
            np.testing.assert_array_equal(first(blocks, 50), ROWS)
            again = next(blocks)
            assert again.gap > 0 and again.time == pytest.approx(1 + again.gap)
            np.testing.assert_array_equal(first(chain([again], blocks), 50), ROWS)
        assert source.tally.breaks == 1 and source.tally.refused == 1
    assert any(text.startswith(f"{address} went away") for text in said)


def test_a_server_that_was_never_there(said: list[str]) -> None:
    with pytest.raises(ConnectionRefusedError, match=r"127\.0\.0\.1"):
        open_source(f"tcp://127.0.0.1:{free_port(socket.SOCK_STREAM)}", RATE, say=said.append)


@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
def test_what_is_no_name_of_a_host(host: str) -> None:
    for scheme in ("tcp", "udp"):
        with pytest.raises(OSError, match="no name of a host"):
            open_source(f"{scheme}://{host}:5005", RATE)


def test_a_speed_that_a_serial_line_cannot_have(monkeypatch: pytest.MonkeyPatch) -> None:
    serial = pytest.importorskip("serial", reason="serial lines need pyserial")

    def unable(*_: object, **__: object) -> None:
        raise ValueError("Failed to set custom baud rate (7)")

    monkeypatch.setattr(serial, "Serial", unable)
    with pytest.raises(BadInput, match=r"serial:/dev/x\?baud=7: Failed to set"):
        open_source("serial:/dev/x?baud=7", RATE)


def test_a_serial_line_that_is_unplugged(quick: None, tmp_path: Path, said: list[str]) -> None:
    pytest.importorskip("serial", reason="serial lines need pyserial")
    device = tmp_path / "ttyUSB0"
    ours, theirs = os.openpty()
    device.symlink_to(os.ttyname(theirs))
    with open_source(f"serial:{device}?baud=9600", 5000, 3, say=said.append) as source:
        blocks = iter(source)
        os.write(ours, b"a,b,c\r\n1,2,3\r\n4,")
        assert next(blocks).samples.tolist() == [[1, 2, 3]]
        os.write(ours, b"5,6\r\n7,8\r\n9,9,9\r\n")
        assert first(blocks, 2).tolist() == [[4, 5, 6], [9, 9, 9]]
        device.unlink()
        os.close(ours)
        wait_for(lambda: source.tally.breaks == 1)
        ours, theirs = os.openpty()
        device.symlink_to(os.ttyname(theirs))
        wait_for(lambda: said[-1].endswith("is back"))
        os.write(ours, b"1,1,1\r\n")
        again = next(blocks)
        assert again.samples.tolist() == [[1, 1, 1]] and again.gap > 0
    assert source.tally.refused == 1 and any("went away" in text for text in said) and "data again" in said[-1]


def wait_for(what: Callable[[], bool]) -> None:
    """Until it is so, for some seconds at most."""
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


NO_SOURCE = {
    "x.png": "no such source",
    "nothing": "udp://HOST:PORT",
    "udp://127.0.0.1": "udp://HOST:PORT expected",
    "tcp://host:port": "tcp://HOST:PORT expected",
    "tcp://host:1?x=2": "tcp://HOST:PORT expected",
    "serial:?baud=9600": "serial:DEVICE",
    "serial:/dev/x?baud=fast": "serial:DEVICE",
    "serial:/dev/x?baud=10000000000": "serial:DEVICE",
    "serial:/dev/x?parity=even": "serial:DEVICE",
    "mqtt://host": "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC expected",
    "mqtt:host/topic": "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC expected",
}


@pytest.mark.parametrize("text", NO_SOURCE)
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(BadInput) as error:
        open_source(text, RATE)
    assert NO_SOURCE[text] in str(error.value)


def test_which_topics_can_be_subscribed_to() -> None:
    for topic in ("a", "a/b", "+", "#", "a/+/b", "a/#", "+/+/#", "/", "$share/all/a"):
        assert Broker.parse(f"mqtt://host/{topic}").topic == topic
    for topic in ("", "#/a", "a#", "a+/b", "a/##", "a/+b", "a" * 65536, "a\0", "\udce4"):
        with pytest.raises(BadInput, match=r"in a topic \+ stands for any level"):
            Broker.parse(f"mqtt://host/{topic}")


@pytest.mark.parametrize("pcm", ["", "fast", "16000,0", "16000,1,int8", "16000,1,int16,2", "0", "-5"])
def test_what_is_no_pcm(pcm: str) -> None:
    with pytest.raises(BadInput, match="PCM"):
        Pcm.parse(pcm)
    assert Pcm.parse("48000,2") == Pcm(48000, 2) and Pcm.parse("8000,1,float32") == Pcm(8000, 1, "float32")


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="followed"):
        open_source("x.wav", RATE, follow=True)
    with pytest.raises(BadInput, match="PCM"):
        open_source("x.csv", RATE, pcm="16000")
    with pytest.raises(BadInput, match="its own speed"):
        open_source("mic", RATE, realtime=True)
    path = write_wav(tmp_path / "x.wav", SOUND, channels=2)
    with pytest.raises(BadInput, match="2 channels, the model takes 3"):
        open_source(str(path), RATE, 3)


MISSING = {"sounddevice": "mic", "paho.mqtt": "mqtt://host/x", "serial": "serial:/dev/x", "soxr": "x.wav"}


@pytest.mark.parametrize("package", MISSING)
def test_missing_packages(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    write_wav(Path("x.wav"), SOUND)
    extra = "sensors" if package in ("paho.mqtt", "serial") else "audio"
    with pytest.raises(BackendUnavailable, match=rf'pip install "edgernn\[{extra}\]"'):
        open_source(MISSING[package], 8000, say=lambda text: None)
