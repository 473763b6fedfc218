"""What arrives on a thread that cannot wait, on its way to the one that consumes it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread

from edgernn.layers.base import Array
from edgernn.pipelines.sources.source import Piece
from edgernn.pipelines.sources.tally import Tally

HELD = 5.0  # seconds of samples that may wait
SILENCE = 2.0  # seconds (or ten rows, where that is more) without anything that count as a gap
RETRY = 1.0  # seconds between two attempts to open what went away
POLL = 0.2  # seconds after which a reader looks whether it shall end


class Mailbox:
    """A bounded queue of pieces: where it is full, the oldest goes, and is counted as lost.

    It also keeps the time: what comes after `broken`, or after SILENCE, comes after a gap as long as nothing came, less
    the length of what then came (a sender may collect rows for a while and send them at once).
    """

    def __init__(self, name: str, rate: float, tally: Tally):
        self.closed = False
        self._name, self._rate, self._tally = name, rate, tally
        self._patience = max(SILENCE, 10 / rate)
        self._pieces: deque[Piece] = deque()
        self._changed = Condition()
        self._held = 0  # samples
        self._last = time.monotonic()  # when something came
        self._broken = self._begun = self._remarked = False
        self._error: BaseException | None = None

    def put(self, samples: Array, gap: float = 0.0) -> None:
        """Samples (n, channels) that came now, `gap` seconds after the last ones by the source's own clock."""
        with self._changed:
            now, length = time.monotonic(), len(samples) / self._rate
            silent = now - self._last - length
            if self._begun and silent > (0 if self._broken else self._patience):
                self._tally.count("away", silent, f"{self._name}: data again, after {silent:.1f} s without")
                gap = max(gap, silent)
            self._last, self._begun, self._broken, self._remarked = now, True, False, False
            self._pieces.append(Piece(samples, gap))
            self._held += len(samples)
            while self._held > max(1.0, HELD * self._rate) and len(self._pieces) > 1:
                self._drop(self._pieces.popleft())
            self._changed.notify()

    def _drop(self, old: Piece) -> None:
        count = len(old.samples)
        self._held -= count
        following = self._pieces[0]
        self._pieces[0] = Piece(following.samples, following.gap + old.gap + count / self._rate)
        self._tally.count("lost", count, f"{self._name}: data comes faster than it is used; the oldest is dropped")

    def broken(self, why: object) -> None:
        """The source went away, and is waited for."""
        self._broken = True
        self._tally.count("breaks", 1, f"{self._name} went away ({why}); waiting for it")

    def reopen(self, opener: Callable[[], None], errors: tuple[type[Exception], ...]) -> None:
        """Call `opener` until it raises none of `errors`, or until this is closed."""
        while not self.closed:
            try:
                opener()
            except errors:
                time.sleep(RETRY)
            else:
                return self._tally.say(f"{self._name} is back")

    def fail(self, error: BaseException) -> None:
        """The consumer raises this once it has what came before."""
        with self._changed:
            self._error = error
            self._changed.notify()

    @contextmanager
    def reading(self, read: Callable[[], None]) -> Iterator[None]:
        """A thread that calls `read`, which returns soon after this is closed; its end ends the context."""

        def work() -> None:
            try:
                read()
            except Exception as error:
                self.fail(error)

        thread = Thread(target=work, daemon=True, name=f"edgernn {self._name}")
        thread.start()
        try:
            yield
        finally:
            self.close()
            thread.join()

    def __iter__(self) -> Iterator[Piece]:
        while True:
            with self._changed:
                while not self._pieces:
                    if self._error is not None:
                        raise self._error
                    if self.closed:
                        return
                    if not self._changed.wait(self._patience):
                        self._remark()
                piece = self._pieces.popleft()
                self._held -= len(piece.samples)
            yield piece

    def _remark(self) -> None:
        if not (self._broken or self._remarked):
            self._remarked = True
            self._tally.say(f"{self._name}: nothing has come for {self._patience:g} s")

    def close(self) -> None:
        """End the readers and the consumer."""
        with self._changed:
            self.closed = True
            self._changed.notify()
