"""A command that is started for each decision, beside the stream."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from threading import Semaphore, Thread
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgernn.pipelines.decide import Decision

AT_ONCE = 4
PATIENCE = 10.0  # seconds for which the end waits for commands that still run
STANDARD_ERROR = 2


class Program:
    """A command, without a shell. It finds the decision in its environment, and writes to our standard error.

    `say` is told of one that fails. While AT_ONCE of them run, no other is started, which is said and counted.
    """

    def __init__(self, command: str, say: Callable[[str], None]):
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise click.BadParameter(f"{command}: {error}", param_hint="--exec") from None
        if not self._words or shutil.which(self._words[0]) is None:
            raise click.BadParameter(f"{command}: no such program", param_hint="--exec")
        self._say, self._free = say, Semaphore(AT_ONCE)
        self._threads: list[Thread] = []
        self.left_out = 0

    def start(self, found: list[Decision]) -> None:
        """Start the command for each of these decisions; returns at once."""
        for decision in found:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if self._free.acquire(blocking=False):
                self._threads.append(Thread(target=self._run, args=(decision,), daemon=True))
                self._threads[-1].start()
            else:
                self.left_out += 1
                self._say(f"{self._words[0]} still runs {AT_ONCE} times: not started for '{decision.label}'")

    def _run(self, decision: Decision) -> None:
        given = {
            "EDGERNN_LABEL": decision.label,
            "EDGERNN_SCORE": f"{decision.score:.6g}",
            "EDGERNN_START": f"{decision.start:.6f}",
            "EDGERNN_END": f"{decision.end:.6f}",
        }
        try:
            done = subprocess.run(
                self._words, env={**os.environ, **given}, stdin=subprocess.DEVNULL, stdout=STANDARD_ERROR, check=False
            )
            if done.returncode:
                self._say(f"{self._words[0]} failed for '{decision.label}': exit status {done.returncode}")
        except OSError as error:
            self._say(f"{self._words[0]} failed for '{decision.label}': {error.strerror}")
        finally:
            self._free.release()

    def finish(self) -> None:
        """Wait for what still runs, and say what does not end."""
        end = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        count = sum(thread.is_alive() for thread in self._threads)
        if count:
            self._say(f"{self._words[0]} still runs {count} times: left behind")
        if self.left_out:
            self._say(f"{self._words[0]} was not started for {self.left_out} decisions")
