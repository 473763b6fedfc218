"""Sources: what a model listens to, named by one text, as an iterator of timestamped blocks.

In: the text, and the rate and channels that the model takes. Out: a Source. source: blocks, mixing and resampling.
decode: bytes as samples. mailbox: between a thread that reads and the one that consumes. tally: what went wrong. The
rest is a file for each kind of source. May import: errors, layers, NumPy; a package where it is used.

The policy, for every source:

- **Back-pressure.** Files, standard input and TCP wait until they are asked for more. A microphone, UDP, MQTT and a
  serial line cannot wait: 5 s of samples are held, and beyond that the oldest go and are counted as lost.
- **Gaps.** What is missing (lost, refused, or never sent while a source was away or silent for over 2 s) is a gap
  before the block that follows, as long as what is missing. The time of a block includes all gaps before it. A TCP
  server that is silent while it is connected leaves none: nothing of it is lost. Where rows bear times and these tell
  of a longer gap, it is that one, once.
- **A source that goes away** once it was open is waited for, and tried again every second. One that is not there in
  the beginning is an error.
- **Lines that hold no row** (a missing field, text, a number that is not finite) are refused and counted; a gap of one
  row stands for each.
- **Times.** Rows are used in the order of their arrival. Where they bear times, these tell what is missing between
  rows. A row of an earlier time is counted as late, a clock that was set (back by over a second, ahead by months) as a
  jump; either row is used all the same, without a gap. Rows that come faster than the model takes them are said.
- **Another rate** is resampled as it comes, sound of several channels is mixed to one, and both are said.

Each event is said when it happens; where they come thick, the next line says how many went before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from edgernn.pipelines.sound import SUFFIXES
from edgernn.pipelines.sources.decode import NoSource, Pcm, Wanted
from edgernn.pipelines.sources.files import open_array, open_sound_file, open_standard_input, open_text
from edgernn.pipelines.sources.microphone import open_microphone
from edgernn.pipelines.sources.mqtt import open_topic
from edgernn.pipelines.sources.serial_line import open_serial
from edgernn.pipelines.sources.sockets import open_tcp, open_udp
from edgernn.pipelines.sources.source import BLOCK, Block, Feed, Source
from edgernn.pipelines.sources.tally import LOG, Say, Tally

__all__ = ["Block", "NoSource", "Source", "open_source"]

Kind = Callable[[str, Wanted, Tally], AbstractContextManager[Feed]]

KINDS: dict[str, Kind] = {
    "mic": open_microphone,
    "udp": open_udp,
    "tcp": open_tcp,
    "mqtt": open_topic,
    "serial": open_serial,
}
FILES: dict[str, Kind] = {
    **dict.fromkeys(SUFFIXES, open_sound_file),
    ".npy": open_array,
    ".csv": open_text,
    ".jsonl": open_text,
}


def open_source(
    text: str,
    rate: float,
    channels: int = 1,
    *,
    pcm: str | None = None,
    follow: bool = False,
    realtime: bool = False,
    block: float = BLOCK,
    say: Say = LOG.warning,
) -> Source:
    """The source of this name, as blocks of `rate` samples or rows a second with so many `channels`.

    mic, mic:NUMBER or mic:NAME; a file of sound (wav, flac, ogg, mp3, aiff) or of rows (csv, jsonl, npy); - (standard
    input); udp://HOST:PORT (of this machine); tcp://HOST:PORT (of a server); mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC;
    serial:DEVICE[?baud=N].

    What comes as bytes (-, udp, tcp, mqtt, serial) is lines of CSV or JSON, or sound where `pcm` says how it is
    written: RATE[,CHANNELS[,int16 or float32]]. `follow` waits for more at the end of a table, `realtime` gives a file
    at its own speed; that and what a microphone hears come in blocks of `block` seconds. `say` is told of each event.
    Raises NoSource for what is no source, BackendUnavailable where a package or a device is missing, OSError for what
    is not there, and BadInput for a `pcm` that says nothing known and for more channels or columns than the model
    takes.
    """
    kind = _kind(text)
    if follow and kind is not open_text:
        raise NoSource(f"{text}: only a .csv or .jsonl file can be followed")
    if pcm is not None and kind in (open_microphone, *FILES.values()):
        raise NoSource(f"{text}: PCM is what comes from -, {', '.join(list(KINDS)[1:])}")
    if realtime and kind not in (open_standard_input, *FILES.values()):
        raise NoSource(f"{text} has its own speed: only a file can be played at real time")
    wanted = Wanted(rate, channels, None if pcm is None else Pcm.parse(pcm), follow, block)
    pace = wanted.block if realtime else None
    tally, opened = Tally(say), ExitStack()
    try:
        return Source(opened.enter_context(kind(text, wanted, tally)), rate, channels, pace, tally, opened)
    except BaseException:
        opened.close()
        raise


def _kind(text: str) -> Kind:
    scheme = text.partition(":")[0]
    if scheme in KINDS:
        return KINDS[scheme]
    if text == "-":
        return open_standard_input
    if (suffix := Path(text).suffix.lower()) in FILES:
        return FILES[suffix]
    raise NoSource(
        f"{text}: no such source; mic[:DEVICE], a file ({', '.join(FILES)}), -, udp://HOST:PORT, tcp://HOST:PORT, "
        "mqtt://HOST/TOPIC or serial:DEVICE expected"
    )
