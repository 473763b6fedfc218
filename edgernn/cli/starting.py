"""Starting: while the command line is still being imported, Ctrl-C ends the process as it ends one that has no say.

Nothing is imported here but what Python itself has loaded by then.
"""

from __future__ import annotations

import signal
from importlib import import_module
from types import TracebackType


class EndedAtOnce:
    """Inside, SIGINT kills (status 130 in a shell) instead of raising, where it was to raise KeyboardInterrupt."""

    def __enter__(self) -> None:
        self.set = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            try:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
            except ValueError:  # in another thread than the main one
                return
            self.set = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.set:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def reader() -> None:
    """Import what reads ONNX files: its compiled parts crash where KeyboardInterrupt comes while they are loaded."""
    with EndedAtOnce():
        try:
            import_module("edgernn.importer")
        except ModuleNotFoundError:  # who needs it says how to get it
            return
