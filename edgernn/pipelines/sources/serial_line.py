"""Serial lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from edgernn.errors import BackendUnavailable
from edgernn.pipelines.sources.decode import NoSource, Wanted
from edgernn.pipelines.sources.mailbox import POLL, Mailbox
from edgernn.pipelines.sources.sockets import named
from edgernn.pipelines.sources.source import Feed
from edgernn.pipelines.sources.tally import Tally

BAUD = 115200


@contextmanager
def open_serial(address: str, wanted: Wanted, tally: Tally) -> Iterator[Feed]:
    """What a device sends. It is waited for when it goes away later."""
    device, baud = device_and_baud(address)
    try:
        import serial
    except ImportError:
        raise BackendUnavailable('serial lines need the package pyserial: pip install "edgernn[sensors]"') from None
    rate, channels = wanted.format()
    mailbox = Mailbox(device, rate, tally)
    decoder = wanted.decoder(device, tally)
    with named(device):
        try:
            line: Any = serial.Serial(device, baud, timeout=POLL)
        except ValueError as error:
            raise NoSource(f"{address}: {error}") from None

    def reopen() -> None:
        nonlocal line
        line = serial.Serial(device, baud, timeout=POLL)

    def read() -> None:
        while not mailbox.closed:
            try:
                data = line.read(max(1, line.in_waiting))
            except OSError as error:  # as serial.SerialException is
                line.close()
                decoder.restart()
                mailbox.broken(error)
                mailbox.reopen(reopen, (OSError,))
                continue
            for piece in decoder.feed(data):
                mailbox.put(piece.samples, piece.gap)

    try:
        with mailbox.reading(read):
            yield Feed(device, rate, channels, iter(mailbox))
    finally:
        line.close()


def device_and_baud(address: str) -> tuple[str, int]:
    """The parts of serial:DEVICE[?baud=N]. Raises NoSource for anything else."""
    device, _, query = address.removeprefix("serial:").partition("?")
    settings = parse_qs(query, keep_blank_values=True)
    baud = settings.pop("baud", [str(BAUD)])[-1]
    if not device or settings or not (baud.isdecimal() and len(baud) < 10 and int(baud)):
        raise NoSource(f"{address}: serial:DEVICE[?baud=N] expected, for example serial:/dev/ttyUSB0?baud={BAUD}")
    return device, int(baud)
