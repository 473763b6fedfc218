"""Sources: what a model listens to, named by one text, as an iterator of timestamped blocks.

In: the text, and the rate and channels that the model takes. Out: a Source. source: blocks, mixing and resampling.
decode: bytes as samples. mailbox: between a thread that reads and the one that consumes. tally: what went wrong. The
rest is a file for each kind of source. May import: errors, layers, NumPy; a package where it is used.

The policy, for every source:

- **Back-pressure.** Files, standard input and TCP wait until they are asked for more. A microphone, UDP, MQTT and a
  serial line cannot wait: 5 s of samples are held, and beyond that the oldest go and are counted as lost.
- **Gaps.** What is missing (lost, refused, or never sent while a source was away or silent for over 2 s) is a gap
  before the block that follows, as long as what is missing. The time of a block includes all gaps before it.
- **A source that goes away** once it was open is waited for, and tried again every second. One that is not there in
  the beginning is an error.
- **Lines that hold no row** (a missing field, text, a number that is not finite) are refused and counted; a gap of one
  row stands for each.
- **Times.** Rows are used in the order of their arrival. Where they bear times, these tell what is missing between
  rows. A row of an earlier time is counted as late, a clock that was set (back by over a second, ahead by months) as a
  jump; either row is used all the same, without a gap.
- **Another rate** is resampled as it comes, sound of several channels is mixed to one, and both are said.

Each event is said when it happens; where they come thick, the next line says how many went before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from edgernn.errors import BadInput
from edgernn.pipelines.sound import SUFFIXES
from edgernn.pipelines.sources.decode import Pcm, Wanted
from edgernn.pipelines.sources.files import array_file, sound_file, standard_input, text_file
from edgernn.pipelines.sources.microphone import microphone
from edgernn.pipelines.sources.mqtt import mqtt
from edgernn.pipelines.sources.serial_line import serial_line
from edgernn.pipelines.sources.sockets import tcp, udp
from edgernn.pipelines.sources.source import Block, Feed, Source
from edgernn.pipelines.sources.tally import LOG, Say, Tally

__all__ = ["GRAMMAR", "Block", "Source", "open_source"]

Kind = Callable[[str, Wanted, Tally], AbstractContextManager[Feed]]

KINDS: dict[str, Kind] = {
    "mic": microphone,
    "udp": udp,
    "tcp": tcp,
    "mqtt": mqtt,
    "serial": serial_line,
}
FILES: dict[str, Kind] = {
    **dict.fromkeys(SUFFIXES, sound_file),
    ".npy": array_file,
    ".csv": text_file,
    ".jsonl": text_file,
}
GRAMMAR = """\
mic, mic:2, mic:USB           the default microphone, that of a number, that whose name holds a word
sound.wav                     a sound file: wav, flac, ogg, mp3, aiff
table.csv, rows.jsonl, x.npy  rows of numbers
-                             standard input
udp://127.0.0.1:5005          the packets that arrive at an address of this machine
tcp://HOST:PORT               what a server sends
mqtt://HOST/TOPIC             messages of a topic; mqtt://USER:PASSWORD@HOST:PORT/TOPIC
serial:/dev/ttyUSB0?baud=N    a serial line (115200 baud unless another is given)"""
BLOCK, AHEAD = 0.01, 0.5  # seconds of a block: live, and of what can be read ahead


def open_source(
    text: str,
    rate: float,
    channels: int = 1,
    *,
    pcm: str | None = None,
    follow: bool = False,
    realtime: bool = False,
    say: Say = LOG.warning,
) -> Source:
    """The source of this name (see GRAMMAR), as blocks of `rate` samples or rows a second with so many `channels`.

    What comes as bytes (-, udp, tcp, mqtt, serial) is lines of CSV or JSON, or sound where `pcm` says how it is
    written: RATE[,CHANNELS[,int16 or float32]]. `follow` waits for more at the end of a table, `realtime` gives a file
    in small blocks at its own speed. `say` is told of each event. Raises BadInput for what is no source,
    BackendUnavailable where a package or a device is missing, and OSError for what is not there.
    """
    kind = _kind(text)
    if follow and kind is not text_file:
        raise BadInput(f"{text}: only a .csv or .jsonl file can be followed")
    if pcm and kind in (microphone, *FILES.values()):
        raise BadInput(f"{text}: PCM is what comes from -, {', '.join(list(KINDS)[1:])}")
    live = realtime or kind is microphone
    wanted = Wanted(rate, channels, Pcm.parse(pcm) if pcm else None, follow, BLOCK if live else AHEAD)
    tally, opened = Tally(say), ExitStack()
    try:
        return Source(opened.enter_context(kind(text, wanted, tally)), rate, channels, realtime, tally, opened)
    except BaseException:
        opened.close()
        raise


def _kind(text: str) -> Kind:
    scheme = text.partition(":")[0]
    if scheme in KINDS:
        return KINDS[scheme]
    if text == "-":
        return standard_input
    if (suffix := Path(text).suffix.lower()) in FILES:
        return FILES[suffix]
    raise BadInput(f"{text}: no such source; one of these expected:\n{GRAMMAR}")
