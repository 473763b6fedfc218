"""Messages of an MQTT topic."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from edgernn.errors import BackendUnavailable, BadInput
from edgernn.pipelines.sources.decode import NoSource, Wanted
from edgernn.pipelines.sources.mailbox import RETRY, Mailbox
from edgernn.pipelines.sources.sockets import named
from edgernn.pipelines.sources.source import Feed
from edgernn.pipelines.sources.tally import Tally

PORT = 1883
FILTER = re.compile(r"((\+|[^+#/\0]*)/)*(\+|#|[^+#/\0]*)")  # of topics, as MQTT has it: a wildcard is a whole level
LONGEST = 65535  # bytes of it
KEEPALIVE = 10  # seconds without an answer after which the broker has gone


@dataclass(frozen=True)
class Broker:
    """Where a topic is."""

    host: str
    port: int
    user: str | None
    password: str | None
    topic: str

    @staticmethod
    def parse(address: str) -> Broker:
        """The parts of mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC. Raises NoSource for anything else."""
        place, _, topic = address.removeprefix("mqtt://").partition("/")
        try:
            parts = urlsplit(f"//{place}")
            is_filter = FILTER.fullmatch(topic) and 0 < len(topic.encode()) <= LONGEST
            if address.startswith("mqtt://") and is_filter and parts.hostname:
                user, password = (text and unquote(text) for text in (parts.username, parts.password))
                return Broker(parts.hostname, parts.port or PORT, user, password, topic)
        except ValueError:
            pass
        raise NoSource(
            "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC expected, for example mqtt://127.0.0.1/sensors/imu; "
            "in a topic + stands for any level and # for all that follow"
        )

    def __str__(self) -> str:
        return f"mqtt://{self.host}:{self.port}/{self.topic}"


@contextmanager
def open_topic(address: str, wanted: Wanted, tally: Tally) -> Iterator[Feed]:
    """Each message holds whole lines, or whole samples. The broker is waited for when it goes away later.

    Messages that the broker retained from before are left out: they belong to another time.
    """
    broker = Broker.parse(address)
    try:
        from paho.mqtt import client as paho
    except ImportError:
        raise BackendUnavailable('MQTT needs the package paho-mqtt: pip install "edgernn[sensors]"') from None
    rate, channels = wanted.format()
    mailbox = Mailbox(str(broker), rate, tally)
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    client.reconnect_delay_set(RETRY, RETRY)
    _subscriber(client, broker, wanted, mailbox, tally)
    with named(str(broker)):
        client.connect(broker.host, broker.port, KEEPALIVE)
    client.loop_start()
    try:
        with closing(mailbox):
            yield Feed(str(broker), rate, channels, iter(mailbox))
    finally:
        client.disconnect()
        client.loop_stop()


def _subscriber(client: Any, broker: Broker, wanted: Wanted, mailbox: Mailbox, tally: Tally) -> None:
    decoder = wanted.decoder(str(broker), tally)
    known = False  # whether the broker ever let us in

    def connected(client: Any, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        nonlocal known
        if not reason.is_failure:
            known = True
            client.subscribe(broker.topic, qos=1)
        elif not known:
            mailbox.fail(BadInput(f"{broker}: the broker says: {reason}"))

    def subscribed(client: Any, _data: object, _number: int, reasons: list[Any], _properties: object) -> None:
        for reason in reasons:
            if reason.is_failure:
                mailbox.fail(BadInput(f"{broker}: the broker refuses the topic: {reason}"))

    def disconnected(client: Any, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        if not mailbox.closed:
            mailbox.broken(reason)

    def arrived(client: Any, _data: object, message: Any) -> None:
        if message.retain:
            tally.say(f"{broker}: left out the message that the broker retained")
            return
        for piece in decoder.feed(message.payload, whole=True):
            mailbox.put(piece.samples, piece.gap)

    def guarded(call: Callable[..., None]) -> Callable[..., None]:
        """On paho's thread, which an exception would end: the consumer raises it instead."""

        def called(*event: Any) -> None:
            try:
                call(*event)
            except Exception as error:
                mailbox.fail(error)

        return called

    client.on_connect, client.on_subscribe = guarded(connected), guarded(subscribed)
    client.on_message, client.on_disconnect = guarded(arrived), guarded(disconnected)
