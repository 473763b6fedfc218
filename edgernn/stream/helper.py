"""A thread that runs a share of a call beside the caller's own thread."""

from __future__ import annotations

import threading
import weakref
from _thread import LockType, allocate_lock
from collections.abc import Callable
from typing import Any


class Helper:
    """Runs one call at a time, in a thread that lasts as long as this object: `begin`, then `result`, in turns.

    Two locks pass the turn on: waking a thread so takes a third of what an executor's queue takes. What is to be done
    and what came of it say whose turn it is, not the locks: an interrupt may come between any two steps of the caller.
    """

    def __init__(self) -> None:
        self._go, self._done = allocate_lock(), allocate_lock()
        self._go.acquire()
        self._done.acquire()
        self._calls: list[Any] = []  # one that has not been taken yet; None ends the thread
        self._made: list[Any] = []  # what it gave, and what it raised
        self._begun = False
        serving = (self._go, self._done, self._calls, self._made)
        threading.Thread(target=_serve, args=serving, name="edgernn", daemon=True).start()
        weakref.finalize(self, _dismiss, self._calls, self._go)

    def begin(self, do: Callable[..., Any], *given: Any) -> None:
        """Call it in the thread."""
        self._made.clear()  # an interrupt may have come before it was taken
        self._calls.append((do, given))
        self._begun = True
        _pass(self._go)

    def result(self) -> Any:
        """What the call gave, or raises what it raised; an interrupt waits until it has ended."""
        interrupt = None
        while not self._made:
            try:
                self._done.acquire()
            except KeyboardInterrupt as error:
                interrupt = error
        self._begun = False
        gave, raised = self._made.pop()
        if interrupt or raised:
            raise interrupt or raised
        return gave

    def end(self) -> None:
        """Wait until nothing runs here any more, whatever came of it; what has not been taken yet never will be."""
        if self._calls:
            try:
                self._calls.pop()
                self._begun = False
            except IndexError:  # it was taken just now
                pass
        if self._begun:
            self.result()


def _dismiss(calls: list[Any], go: LockType) -> None:
    calls.append(None)
    _pass(go)


def _pass(lock: LockType) -> None:
    """Let the other one go on; it looks for itself whether there is something to do."""
    if lock.locked():
        lock.release()


def _serve(go: LockType, done: LockType, calls: list[Any], made: list[Any]) -> None:
    while True:
        go.acquire()
        try:
            call = calls.pop()
        except IndexError:  # it was taken back
            continue
        if call is None:
            return
        do, given = call
        try:
            made.append((do(*given), None))
        except BaseException as error:
            made.append((None, error))
        del call, do, given
        _pass(done)
