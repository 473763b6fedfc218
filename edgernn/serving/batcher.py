"""The pool of all sessions: frames that come within a deadline are computed together, in a thread of their own."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np

from edgernn.errors import BadInput, RefusedStreams
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.stream import Pool

FRAMES = 64  # of a stream that are best submitted at a time
BYTES = 1 << 26  # most of what one call of the pool takes and gives
T = TypeVar("T")
log = logging.getLogger("edgernn.serving")


class Full(Exception):
    """All streams are taken."""


class Failed(Exception):
    """Computing went wrong for a reason that is no client's: what a stream has taken is not known any more."""


@dataclass
class Job:
    """The frames that one session brought at a time, and the answers so far."""

    stream: int
    frames: Array  # (k, n_in)
    done: asyncio.Future[Array]
    answers: list[Array] = field(default_factory=list)
    at: int = 0
    refused: str = ""


class Batcher:
    """Sessions take a stream, submit frames and give the stream back. Used by one event loop.

    Raises BadInput for a model that has not one input of numbers and one output, and where n streams don't fit.
    """

    def __init__(self, model: Model, streams: int, deadline: float, threads: int = 1):
        ports = (*model.inputs, *model.outputs)
        if len(ports) != 2 or model.inputs[0].dtype != "float32":
            raise BadInput("a model with one input of numbers and one output can be served, this one has other ports")
        self.model, self.deadline = model, deadline
        self._pool = Pool(model, streams, threads=threads)
        n_in, n_out = (port.size for port in ports)
        self._most = max(1, min(FRAMES, BYTES // (4 * streams * (n_in + n_out))))
        self._X = np.zeros((self._most, streams, n_in), np.float32)
        self._Y = np.zeros((self._most, streams, n_out), np.float32)
        self._free = deque(range(streams))
        self._jobs: list[Job] = []
        self._waiting = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "edgernn-pool")
        self.observe: Callable[[int, int], None] = lambda streams, frames: None  # after each batch

    async def take(self, state: bytes | None = None) -> int:
        """A stream, in its initial state or in a saved one. Raises Full, and BadInput for a state that does not fit."""
        if not self._free:
            raise Full
        stream = self._free.popleft()
        try:
            await self._in_thread(lambda: self._begin(stream, state))
        except BaseException:
            self._free.append(stream)
            raise
        return stream

    def _begin(self, stream: int, state: bytes | None) -> None:
        self._pool.reset(stream)
        if state is not None:
            self._pool.load_state(stream, state)

    async def give_back(self, stream: int) -> bytes:
        """The stream is free again; its state, to go on from."""
        try:
            return await self._in_thread(lambda: self._pool.save_state(stream))
        finally:
            self._free.append(stream)

    async def submit(self, stream: int, frames: Array) -> Array:
        """Frames (k, n_in) float32 of a stream -> its answers (j, n_out), when they are there.

        Raises BadInput where a number is not finite: that frame and those after it are not taken, nor need those
        before it be. Raises Failed where the computing went wrong.
        """
        job = Job(stream, frames, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._waiting.set()
        return await job.done

    async def work(self) -> None:
        """Compute what is submitted, until cancelled."""
        while True:
            await self._waiting.wait()
            await asyncio.sleep(self.deadline / 2)  # the other half is for the computing
            self._waiting.clear()
            jobs = [job for job in self._jobs if not job.done.done()]  # of clients that have not gone
            self._jobs = []
            failed: Failed | None = None
            try:
                await self._in_thread(partial(self._compute, jobs))
            except Exception as error:
                log.exception("computing failed for %d streams", len(jobs))
                failed = Failed(f"{type(error).__name__} while computing")
            self.observe(len(jobs), sum(job.at for job in jobs))
            for job in jobs:
                self._tell(job, failed)

    def _tell(self, job: Job, failed: Failed | None) -> None:
        if job.done.done():  # the client has gone
            return
        if failed:
            job.done.set_exception(failed)
        elif job.refused:
            job.done.set_exception(BadInput(job.refused))
        else:
            none = self._Y[:0, 0]
            job.done.set_result(job.answers[0] if len(job.answers) == 1 else np.concatenate((none, *job.answers)))

    def _compute(self, jobs: list[Job]) -> None:
        """Each round takes from every job that has frames left as many as all of these have."""
        left = [job for job in jobs if len(job.frames)]
        while left:
            count = min(self._most, *(len(job.frames) - job.at for job in left))
            X, Y = self._X[:count], None if self._pool.plan.waits else self._Y[:count]
            for job in left:
                X[:, job.stream] = job.frames[job.at : job.at + count]
            refused: dict[int, str] = {}
            try:
                answers = self._pool.run(X, out=Y, active=[job.stream for job in left])
            except RefusedStreams as error:
                answers, refused = error.answers, error.reasons
            given = self._pool.answered
            for job in left:
                job.at, job.refused = job.at + count, refused.get(job.stream, "")
                job.answers.append(answers[: given[job.stream], job.stream].copy())
            left = [job for job in left if job.at < len(job.frames) and not job.refused]

    async def _in_thread(self, do: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

    def close(self) -> None:
        """No more computing."""
        self._thread.shutdown(wait=True)
