"""Source: what arrives, as timestamped blocks at the rate that a model hears."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.pipelines.sources.resample import Resampler
from edgernn.pipelines.sources.tally import Tally

BLOCK = 0.01  # seconds of a block of what is heard live, unless another length is asked for


class Block(NamedTuple):
    """Consecutive samples, and what is missing before them."""

    time: float  # seconds from the start of the source to the first sample, all gaps included
    samples: Array  # (n,) float32, or (n, channels) where there are several
    gap: float = 0.0  # seconds that are missing between the last block and this one


class Piece(NamedTuple):
    """What a reader hands on: samples as they arrived, at the source's own rate."""

    samples: Array  # (n, channels) float32
    gap: float = 0.0  # seconds that are missing before them


@dataclass(frozen=True)
class Feed:
    """An opened reader: what it delivers, and the pieces themselves."""

    description: str
    rate: float  # samples or rows a second
    channels: int
    pieces: Iterator[Piece]


class Source:
    """An iterator of Blocks and a context; what was opened is closed, and its threads end, when the context ends.

    `time` is where the last block ends, `tally` has all counts so far. The policy is in the docstring of the room.
    """

    def __init__(self, feed: Feed, rate: float, channels: int, pace: float | None, tally: Tally, opened: ExitStack):
        """The blocks of a feed at `rate` and with so many `channels`; `opened` is what close() has to close.

        pace: seconds of each block, which is given when its last sample would have been recorded; None: as they come.
        """
        if channels not in (1, feed.channels):
            raise BadInput(f"{feed.description} has {feed.channels} channels, the model takes {channels}")
        self.description, self.tally = feed.description, tally
        self._pieces, self._rate, self._channels = feed.pieces, rate, channels
        self._pace, self._opened = pace, opened
        self.time = 0.0
        self._resampler = Resampler(feed.rate, rate, channels) if feed.rate != rate else None
        if channels != feed.channels:
            tally.say(f"{feed.description}: {feed.channels} channels, mixed to one")
        if self._resampler:
            tally.say(f"{feed.description}: {feed.rate:g} samples a second, resampled to {rate:g}")

    def __iter__(self) -> Iterator[Block]:
        return self._blocks() if self._pace is None else self._paced(self._pace)

    def _paced(self, pace: float) -> Iterator[Block]:
        """Blocks of so many seconds, each when its last sample would have been recorded."""
        start, size = time.monotonic(), max(1, round(pace * self._rate))
        for block in self._blocks():
            for end, part in self._cut(block, size):
                self.time = end
                early = start + end - time.monotonic()
                if early > 0:
                    time.sleep(early)
                yield part

    def _cut(self, block: Block, size: int) -> list[tuple[float, Block]]:
        """Blocks of so many samples, and where each ends: all at once, for right after a sleep everything is slow."""
        cuts = [block.samples[i : i + size] for i in range(0, len(block.samples), size)]
        begins = [block.time + n * size / self._rate for n in range(len(cuts))]
        gaps = [block.gap, *[0.0] * (len(cuts) - 1)]
        return [
            (begin + len(part) / self._rate, Block(begin, part, gap))
            for begin, part, gap in zip(begins, cuts, gaps, strict=True)
        ]

    def _blocks(self) -> Iterator[Block]:
        gap = 0.0
        for samples, missing in self._resampled():
            gap += missing
            if len(samples):
                begin = self.time + gap
                self.time = begin + len(samples) / self._rate
                yield Block(begin, samples[:, 0] if self._channels == 1 else samples, gap)
                gap = 0.0

    def _resampled(self) -> Iterator[tuple[Array, float]]:
        """(samples (n, channels), seconds missing before them). A gap ends what the resampler had begun."""
        for piece in self._pieces:
            samples = piece.samples
            if samples.shape[1] != self._channels:
                samples = samples.mean(axis=1, keepdims=True, dtype=np.float32)
            if self._resampler is None:
                yield samples, piece.gap
                continue
            if piece.gap:
                yield self._resampler.finish(), 0.0
            yield self._resampler.feed(samples), piece.gap
        if self._resampler is not None:
            yield self._resampler.finish(), 0.0

    def close(self) -> None:
        """Close what was opened."""
        self._opened.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
