"""What the tests of sources share: samples and rows, what is heard of a source, and short waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgernn.pipelines.sources import Source, mailbox, sockets

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


def until(what: Callable[[], bool]) -> None:
    """Until it is so, for some seconds at most."""
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)
