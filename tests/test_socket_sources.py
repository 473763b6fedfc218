"""Sockets and serial lines: they give what was sent, count what was lost, and outlive what goes away.

Nothing here waits for real seconds: what the package waits for is patched to be short.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from source_cases import RATE, ROWS, SOUND, csv_bytes, first, until
from source_cases import quick as quick
from source_cases import said as said

from edgernn.errors import BadInput
from edgernn.pipelines.sources import open_source, sockets
from edgernn.pipelines.sources.decode import Pcm, PcmDecoder
from edgernn.pipelines.sources.mailbox import Mailbox
from edgernn.pipelines.sources.tally import Tally


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
        assert source.tally.lost == 0 and source.tally.refused == 1 and len(said) == 1
        with pytest.raises(OSError, match="nowhere"):
            open_source("udp://nowhere.invalid:5005", RATE)


def free_port(kind: int) -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what it dropped: run this there")
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


def test_a_gap_that_rows_tell_of_themselves_counts_once(quick: None, said: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        serve(server, b"time,x\n0,1\n0.02,2\n", b"time,x\n5.02,3\n")
        with open_source(f"tcp://127.0.0.1:{server.getsockname()[1]}", 50, say=said.append) as source:
            (_, again) = [block for _, block in zip(range(2), source, strict=False)]
    assert again.samples.tolist() == [3] and again.time == pytest.approx(5.02)


def test_a_server_that_was_never_there(said: list[str]) -> None:
    with pytest.raises(ConnectionRefusedError, match=r"127\.0\.0\.1"):
        open_source(f"tcp://127.0.0.1:{free_port(socket.SOCK_STREAM)}", RATE, say=said.append)


def test_a_serial_line_that_is_unplugged(quick: None, tmp_path: Path, said: list[str]) -> None:
    pytest.importorskip("serial", reason='serial lines need pyserial: pip install "edgernn[sensors]"')
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
        until(lambda: source.tally.breaks == 1)
        ours, theirs = os.openpty()
        device.symlink_to(os.ttyname(theirs))
        until(lambda: said[-1].endswith("is back"))
        os.write(ours, b"1,1,1\r\n")
        again = next(blocks)
        assert again.samples.tolist() == [[1, 1, 1]] and again.gap > 0
    assert source.tally.refused == 1 and any("went away" in text for text in said) and "data again" in said[-1]


@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
def test_what_is_no_name_of_a_host(host: str) -> None:
    for scheme in ("tcp", "udp"):
        with pytest.raises(OSError, match="no name of a host"):
            open_source(f"{scheme}://{host}:5005", RATE)


def test_a_speed_that_a_serial_line_cannot_have(monkeypatch: pytest.MonkeyPatch) -> None:
    serial = pytest.importorskip("serial", reason='serial lines need pyserial: pip install "edgernn[sensors]"')

    def unable(*_: object, **__: object) -> None:
        raise ValueError("Failed to set custom baud rate (7)")

    monkeypatch.setattr(serial, "Serial", unable)
    with pytest.raises(BadInput, match=r"serial:/dev/x\?baud=7: Failed to set"):
        open_source("serial:/dev/x?baud=7", RATE)
