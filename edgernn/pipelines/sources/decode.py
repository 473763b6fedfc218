"""Bytes as samples: PCM, or lines of text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.model import Port
from edgernn.pipelines.sources.source import BLOCK, Piece
from edgernn.pipelines.sources.tally import Tally
from edgernn.pipelines.text import Parser

LARGEST = float(np.finfo(np.float32).max)
LONGEST = 1 << 20  # bytes of a line
SET_BACK, SET_AHEAD = 1.0, 1e7  # seconds: a step of more tells that the clock was set
SLACK = 0.75  # of a row: what is later than expected by more tells that a row is missing
FAST = 1.5  # times the model's rate: rows that come faster by their times are of another rate


class NoSource(BadInput):
    """A text that names no source, or asks of one what it cannot do."""


class Decoder(Protocol):
    """Bytes as they come -> pieces; what is cut off waits for the rest of it."""

    def feed(self, data: bytes, whole: bool = False) -> list[Piece]:
        """The pieces that are complete; `whole`: nothing continues after these bytes (a packet, the end of a file)."""

    def restart(self) -> None:
        """What comes next does not continue what came; what is cut off is refused."""

    def missed(self, seconds: float) -> None:
        """So much was lost before what comes next: a gap, unless the rows themselves bear times."""


@dataclass(frozen=True)
class Pcm:
    """How sound is written as bytes: little-endian, one sample of every channel after the other."""

    rate: int
    channels: int = 1
    format: str = "int16"  # or "float32", within [-1, 1]

    @staticmethod
    def parse(text: str) -> Pcm:
        """RATE, RATE,CHANNELS or RATE,CHANNELS,FORMAT. Raises BadInput for anything else."""
        rate, channels, form, *more = [*text.split(","), *["1", "int16"][text.count(",") :], *[""] * 2][:4]
        numbers = all(number.isascii() and number.isdecimal() for number in (rate, channels))
        if any(more) or form not in ("int16", "float32") or not numbers:
            raise BadInput(f"PCM '{text}': RATE[,CHANNELS[,int16 or float32]] expected, for example 16000 or 48000,2")
        if not (0 < int(rate) <= 1_000_000 and 0 < int(channels) <= 64):
            raise BadInput(f"PCM '{text}': a rate of up to 1,000,000 and up to 64 channels expected")
        return Pcm(int(rate), int(channels), form)


@dataclass(frozen=True)
class Wanted:
    """What a model takes, and how bytes are to be read: as PCM, or as lines where `pcm` is None."""

    rate: float
    channels: int
    pcm: Pcm | None
    follow: bool
    block: float = BLOCK  # seconds of a block of what is heard live

    @property
    def port(self) -> Port:
        """What a row is, as an input port."""
        return Port("row", "row", self.channels)

    def format(self) -> tuple[float, int]:
        """(rate, channels) of what a decoder gives."""
        return (self.pcm.rate, self.pcm.channels) if self.pcm else (self.rate, self.channels)

    def decoder(self, where: str, tally: Tally) -> Decoder:
        """A decoder for the bytes that come from `where`."""
        return PcmDecoder(self.pcm, where, tally) if self.pcm else LineDecoder(self, where, tally)


class PcmDecoder:
    """PCM. A sample that is not finite becomes 0 and counts as lost."""

    def __init__(self, pcm: Pcm, where: str, tally: Tally):
        self._pcm, self._where, self._tally = pcm, where, tally
        self._dtype = np.dtype(pcm.format).newbyteorder("<")
        self._size = pcm.channels * self._dtype.itemsize
        self._rest, self._gap = b"", 0.0

    def feed(self, data: bytes, whole: bool = False) -> list[Piece]:
        data = self._rest + data
        end = len(data) // self._size * self._size
        self._rest = b"" if whole else data[end:]
        if whole and end < len(data):
            self._tally.count("refused", 1, f"{self._where}: {len(data) - end} bytes at the end are no whole sample")
        samples = np.frombuffer(data[:end], self._dtype).reshape(-1, self._pcm.channels).astype(np.float32)
        if self._pcm.format == "int16":
            samples /= 32768
        elif not np.isfinite(samples).all():
            wrong = ~np.isfinite(samples)
            samples[wrong] = 0
            self._tally.count("lost", int(wrong.sum()), f"{self._where}: samples that are not finite, taken as 0")
        if not len(samples):
            return []
        gap, self._gap = self._gap, 0.0
        return [Piece(samples, gap)]

    def restart(self) -> None:
        if self._rest:
            self._tally.count("refused", 1, f"{self._where}: a sample was cut off; left out")
        self._rest = b""

    def missed(self, seconds: float) -> None:
        self._gap += seconds


class LineDecoder:
    """Lines of text, one row each, as the Parser reads them; those that hold no row are refused and leave a gap.

    A line ends with LF, CRLF or, as many instruments have it, CR.
    """

    def __init__(self, wanted: Wanted, where: str, tally: Tally):
        self._parser = Parser([wanted.port])
        self._clock = RowClock(wanted.rate, where, tally)
        self._where, self._tally = where, tally
        self._rest, self._number, self._endless = b"", 0, False
        self._returned = False  # CR came last, which a LF may still belong to

    def feed(self, data: bytes, whole: bool = False) -> list[Piece]:
        if self._returned:
            data = data.removeprefix(b"\n")
        self._returned = data.endswith(b"\r")
        *lines, rest = (self._rest + data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")).split(b"\n")
        if self._endless and lines:
            lines, self._endless = lines[1:], False
        if whole and rest and not self._endless:
            lines, rest = [*lines, rest], b""
        if len(rest) > LONGEST or self._endless:
            if not self._endless:
                self._refuse(f"{self._where}, line {self._number + 1} does not end within {LONGEST:,} bytes")
            rest, self._endless = b"", not whole
        self._rest = rest
        return self._pieces(lines)

    def restart(self) -> None:
        if self._rest:
            self._refuse(f"{self._where}, line {self._number + 1} was cut off")
        self._rest, self._number, self._endless = b"", 0, False
        self._parser.restart()

    def missed(self, seconds: float) -> None:
        self._clock.missed(seconds)

    def _pieces(self, lines: list[bytes]) -> list[Piece]:
        parts: list[tuple[float, list[list[float]]]] = []  # (gap, rows that follow one another)
        for line in lines:
            row = self._row(line)
            if row is not None:
                gap = self._clock.gap
                if gap or not parts:
                    parts.append((gap, []))
                parts[-1][1].append(row)
        return [Piece(np.array(rows, np.float32), gap) for gap, rows in parts]

    def _row(self, line: bytes) -> list[float] | None:
        self._number += 1
        place = f"{self._where}, line {self._number}"
        try:
            found = self._parser.parse(line.decode("utf-8-sig"), place)
            if found is None:
                return None
            row, when = found[0]["row"], found[1]
            if not all(-LARGEST <= number <= LARGEST for number in row):
                raise BadInput(f"{place}: a number that is not finite")
        except UnicodeDecodeError:
            self._refuse(f"{place} is not text in UTF-8 (bytes of sound need --pcm)")
        except BadInput as error:
            self._refuse(str(error))
        else:
            self._clock.row(when)
            return row
        return None

    def _refuse(self, why: str) -> None:
        self._clock.missing += 1
        self._tally.count("refused", 1, f"{why}; left out")


class RowClock:
    """What is missing between rows, by the rows that were refused and by the times that the rows bear.

    Several rows may bear the same time (a clock that counts in seconds): they are taken to follow at the rate. A row
    that is late is counted and used in the order of its arrival; so is one whose clock was set.
    """

    def __init__(self, rate: float, where: str, tally: Tally):
        self.missing = 0  # rows since the last that was used, refused or lost
        self.gap = 0.0  # seconds missing before it
        self._rate, self._where, self._tally = rate, where, tally
        self._last: float | None = None  # the latest time that a row bore
        self._rows = 0  # used since, that one included
        self._first: float | None = None  # the time of the row that `_count` begins with
        self._count = 0
        self._compared = False  # whether enough is said of the rate

    def row(self, when: float | None) -> None:
        """A row is used that bears this time: work out `gap`."""
        rows, self.missing = self.missing, 0
        if when is not None and self._last is not None:
            step = when - self._last
            if not -SET_BACK <= step <= SET_AHEAD:
                self._tally.count("jumps", 1, f"{self._where}: its clock was set from {self._last:.3f} to {when:.3f}")
                self._last = self._first = None
            elif step < 0:
                self._tally.count("late", 1, f"{self._where}: a row of {-step:.3g} s before one that came earlier")
            else:
                rows = self._by_time(step, rows)
        self.gap = rows / self._rate
        if when is not None and not self._compared:
            self._compare(when)
        if when is not None and (self._last is None or when > self._last):
            self._last, self._rows = when, 0
        self._rows += 1

    def missed(self, seconds: float) -> None:
        """So much was lost before the next row. What its time says counts instead, where that is more."""
        self.missing += round(seconds * self._rate)

    def _by_time(self, step: float, known: int) -> int:
        """How many rows are missing, of which so many are known of."""
        rows = math.ceil(step * self._rate - self._rows - SLACK)
        if rows > known:
            went_on = f"{rows} rows are missing by their time, which went on by {step:.3f} s"
            self._tally.count("lost", rows - known, f"{self._where}: {went_on}")
        return max(rows, known)

    def _compare(self, when: float) -> None:
        """Say where rows come faster than the model takes them. Their clock may count in seconds."""
        if self._first is None:
            self._first, self._count = when, 0
        self._first, self._count = min(self._first, when), self._count + 1
        within = when - self._first
        if self._count > FAST * self._rate * (within + 1):
            self._compared = True
            came, takes = f"{self._count} rows within {within:.2f} s by their time", f"{self._rate:g} a second"
            self._tally.say(f"{self._where}: {came}, the model takes {takes}: average or leave out some")
