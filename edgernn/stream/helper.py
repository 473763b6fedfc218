"""A thread that runs a share of a call beside the caller's own thread."""

from __future__ import annotations

import threading
import weakref
from _thread import LockType, allocate_lock
from collections.abc import Callable
from typing import Any


class Helper:
    """Runs one call at a time, in a thread that lasts as long as this object: `begin`, then `result`, in turns.

    Two locks pass the turn on: waking a thread so takes a third of what an executor's queue takes.
    """

    def __init__(self) -> None:
        self._go, self._done = allocate_lock(), allocate_lock()
        self._go.acquire()
        self._done.acquire()
        self._box: list[Any] = []  # the call, then what it gave
        threading.Thread(target=_serve, args=(self._go, self._done, self._box), name="edgernn", daemon=True).start()
        weakref.finalize(self, self._go.release)

    def begin(self, do: Callable[..., Any], *given: Any) -> None:
        """Call it in the thread."""
        self._box.append((do, given))
        self._go.release()

    def result(self) -> Any:
        """What the call gave, or raises what it raised; an interrupt waits until it has ended."""
        interrupt = None
        while True:
            try:
                self._done.acquire()
                break
            except KeyboardInterrupt as error:
                interrupt = error
        gave, raised = self._box.pop()
        if interrupt or raised:
            raise interrupt or raised
        return gave


def _serve(go: LockType, done: LockType, box: list[Any]) -> None:
    while True:
        go.acquire()
        if not box:
            return
        do, given = box.pop()
        try:
            box.append((do(*given), None))
        except BaseException as error:
            box.append((None, error))
        del do, given
        done.release()
