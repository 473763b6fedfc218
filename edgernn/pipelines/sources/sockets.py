"""UDP packets and TCP connections."""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

from edgernn.pipelines.sources.decode import Decoder, NoSource, Wanted
from edgernn.pipelines.sources.mailbox import POLL, RETRY, Mailbox
from edgernn.pipelines.sources.source import Feed, Piece
from edgernn.pipelines.sources.tally import Tally

PACKET = 1 << 16  # bytes, more than any packet has
OVERFLOW = 40  # SO_RXQ_OVFL of Linux: with each packet comes the number of those that the system had no room for


@contextmanager
def open_udp(address: str, wanted: Wanted, tally: Tally) -> Iterator[Feed]:
    """The packets that arrive at an address of this machine; each holds whole lines, or whole samples."""
    place = host_and_port(address)
    with named(address):
        family, *_, bound = socket.getaddrinfo(*place, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        with named(address):
            receiver.bind(bound)
        receiver.settimeout(POLL)
        rate, channels = wanted.format()
        mailbox = Mailbox(address, rate, tally)
        packets = Packets(receiver, wanted.decoder(address, tally), mailbox, rate, tally)
        with mailbox.reading(packets.read):
            yield Feed(address, rate, channels, iter(mailbox))


class Packets:
    """What arrives at a socket, into a mailbox. Packets that the system dropped count as long as the one before."""

    def __init__(self, receiver: socket.socket, decoder: Decoder, mailbox: Mailbox, rate: float, tally: Tally):
        self._receiver, self._decoder, self._mailbox = receiver, decoder, mailbox
        self._rate, self._tally = rate, tally
        self._dropped = 0  # packets, since the socket was opened
        self._length = 0  # samples of the last packet
        if sys.platform == "linux":
            receiver.setsockopt(socket.SOL_SOCKET, OVERFLOW, 1)

    def read(self) -> None:
        """Until the mailbox is closed."""
        while not self._mailbox.closed:
            try:
                data, notes, *_ = self._receiver.recvmsg(PACKET, socket.CMSG_SPACE(4))
            except TimeoutError:
                continue
            self._missed(notes)
            pieces = self._decoder.feed(data, whole=True)
            self._length = sum(len(piece.samples) for piece in pieces) or self._length
            for piece in pieces:
                self._mailbox.put(*piece)

    def _missed(self, notes: list[tuple[int, int, bytes]]) -> None:
        told = (struct.unpack("I", note[:4])[0] for _, kind, note in notes if kind == OVERFLOW)
        total = next(told, self._dropped)
        packets = total - self._dropped
        if packets and self._length:
            self._dropped, lost = total, packets * self._length
            self._tally.count("lost", lost, f"the system dropped {packets} packets: they came too fast")
            self._decoder.missed(lost / self._rate)


@contextmanager
def open_tcp(address: str, wanted: Wanted, tally: Tally) -> Iterator[Feed]:
    """What a server sends. While it is connected it waits, and nothing is lost. When it ends, it is called again."""
    with named(address):
        connection = _call(address)
    with closing(_received(connection, address, wanted, tally)) as pieces:
        yield Feed(address, *wanted.format(), pieces)


def _received(connection: socket.socket, address: str, wanted: Wanted, tally: Tally) -> Generator[Piece, None, None]:
    decoder = wanted.decoder(address, tally)
    while True:
        why = "it ended the connection"
        with connection:
            try:
                while data := connection.recv(PACKET):
                    yield from decoder.feed(data)
            except OSError as error:
                why = str(error)
        decoder.restart()
        gone = time.monotonic()
        tally.count("breaks", 1, f"{address} went away ({why}); waiting for it")
        connection = _call_again(address)
        away = time.monotonic() - gone
        tally.count("away", away, f"{address} is back after {away:.1f} s")
        decoder.missed(away)


def _call(address: str) -> socket.socket:
    """A connection; a server that vanishes without a word has gone after some 20 s, where the system can tell."""
    connection = socket.create_connection(host_and_port(address))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 2)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _call_again(address: str) -> socket.socket:
    while True:
        try:
            return _call(address)
        except OSError:
            time.sleep(RETRY)


@contextmanager
def named(address: str) -> Iterator[None]:
    """An OSError says which address it is about."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), address) from None
    except UnicodeError:  # a part of it is empty, or too long
        raise OSError(socket.EAI_NONAME, "no name of a host", address) from None


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of SCHEME://HOST:PORT. Raises NoSource for anything else."""
    scheme = address.partition(":")[0]
    try:
        parts = urlsplit(address)
        if parts.port and parts.hostname and parts.path in ("", "/") and not parts.query:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise NoSource(f"{address}: {scheme}://HOST:PORT expected, for example {scheme}://127.0.0.1:5005")
