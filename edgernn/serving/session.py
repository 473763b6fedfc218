"""One client's stream: bytes in, answers, scores and decisions out. Knows nothing of networks.

A client says what it sends and what it wants:

    input    frames   float32 (k, n_in), as the model takes them
             samples  sound or rows of sensors, for a model with a front end
    format   float32, or int16 (samples only; 32768 stands for 1)
    output   answers    float32 (j, n_out) for each message
             decisions  JSON, where there are any
             live       JSON for each message: time, scores, decisions and features
All numbers are little-endian.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.pipelines.decide import Decision
from edgernn.pipelines.pipeline import Pipeline
from edgernn.serving.batcher import FRAMES, Batcher

CHOICES = {
    "input": ("frames", "samples"),
    "format": ("float32", "int16"),
    "output": ("answers", "decisions", "live"),
}
BESIDES = ("resume", "access_token")  # names in a query that others read
Told = Array | dict[str, Any] | None  # answers (j, n_out), or what becomes JSON


@dataclass(frozen=True)
class Wishes:
    """What a client sends and wants. Raises BadInput for what is unknown or does not fit the model."""

    input: str = "frames"
    format: str = "float32"
    output: str = "answers"

    @classmethod
    def of(cls, given: Mapping[str, str], model: Model) -> Wishes:
        """The wishes in a query, which may name a state and a token of access besides."""
        for name in given.keys() - {*CHOICES, *BESIDES}:
            raise BadInput(f"{name}={given[name]}: no such wish; {', '.join((*CHOICES, *BESIDES))} expected")
        wishes = cls(**{name: given[name] for name in CHOICES if name in given})
        for name, choices in CHOICES.items():
            if getattr(wishes, name) not in choices:
                raise BadInput(f"{name}={getattr(wishes, name)}: one of {', '.join(choices)} expected")
        if wishes.input == "samples" and model.frontend is None:
            raise BadInput("the model has no front end: it takes input=frames only")
        if wishes.format == "int16" and wishes.input == "frames":
            raise BadInput("frames are float32; format=int16 is for input=samples")
        if wishes.output != "answers" and (model.deciding is None or model.frontend is None):
            raise BadInput("the model has no decisions: it gives output=answers only")
        if wishes.output == "live" and wishes.input == "frames":
            raise BadInput("output=live shows what is made of input=samples")
        return wishes


class Session:
    """A stream of the batcher, with the features before it and the decisions after it where they are wished for."""

    def __init__(self, batcher: Batcher, wishes: Wishes, stream: int):
        model = batcher.model
        self.wishes, self.stream = wishes, stream
        self._batcher, self._n_in = batcher, model.inputs[0].size
        sampled = wishes.input == "samples"
        self._pipeline = Pipeline(model) if sampled or wishes.output != "answers" else None
        front = model.frontend if sampled else None
        self._hop = front.hop_length if front else 1  # rows a frame
        self._shape = (self._n_in,) if not front else (front.channels,) * (front.kind == "imu")
        self._kind = np.dtype("<i2" if wishes.format == "int16" else "<f4")
        self._row = self._kind.itemsize * (math.prod(self._shape))

    @property
    def hello(self) -> dict[str, Any]:
        """What a client is told first."""
        model = self._batcher.model
        front, deciding = model.frontend, model.deciding
        told: dict[str, Any] = {**asdict(self.wishes), "n_in": self._n_in, "n_out": model.outputs[0].size}
        if front:
            told |= {"rate": front.rate, "channels": front.channels, "seconds_per_frame": front.seconds}
        return told | ({"labels": list(deciding.labels)} if deciding else {})

    def frames_in(self, message: bytes) -> float:
        """How many frames a message brings, about so many where it is samples. Raises BadInput for another size."""
        if len(message) % self._row:
            raise BadInput(f"a message of {len(message)} bytes: {self.wishes.input} of {self._row} bytes each expected")
        return len(message) / (self._row * self._hop)

    async def feed(self, message: bytes) -> Told:
        """A message, part by part -> what it leads to, None where there is nothing to tell.

        Parts are so short that a long message keeps no other waiting. Raises BadInput for numbers that are not finite:
        nothing of the message was taken. Raises Failed where the computing went wrong. Either way the session is over.
        """
        rows = np.frombuffer(message, self._kind).reshape(-1, *self._shape)
        for n in np.argwhere(~np.isfinite(rows))[:1, 0]:
            what = self.wishes.input.removesuffix("s")
            value = rows[n][~np.isfinite(rows[n])][0] if rows.ndim > 1 else rows[n]
            raise BadInput(f"{what} {n} of the message is {value}; all numbers must be finite, none of it was taken")
        size = self._hop * FRAMES
        if self._pipeline is None and len(rows) <= size:
            return await self._batcher.submit(self.stream, rows)
        found: list[Decision] = []
        parts = [await self._part(rows[at : at + size], found) for at in range(0, max(len(rows), 1), size)]
        frames, answers = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        if self.wishes.output == "answers" or self._pipeline is None:
            return np.asarray(answers)
        if self.wishes.output == "decisions":
            return {"decisions": [asdict(decision) for decision in found]} if found else None
        scores = {label: round(score, 4) for label, score in self._pipeline.scores.items()}
        seen = {"time": round(self._pipeline.time, 3), "scores": scores, "features": np.round(frames, 2).tolist()}
        return seen | {"decisions": [asdict(decision) for decision in found]}

    async def _part(self, rows: Array, found: list[Decision]) -> tuple[Array, Array]:
        """Rows as they came -> frames and answers; the decisions go to `found`."""
        if self._pipeline is None:
            return rows, await self._batcher.submit(self.stream, rows)
        frames = rows
        if self.wishes.input == "samples":
            frames = self._pipeline.extracted(rows / np.float32(32768) if self._kind.kind == "i" else rows)
        answers = await self._batcher.submit(self.stream, frames)
        if self.wishes.output != "answers":
            found += self._pipeline.decided(frames, answers)
        return frames, answers

    def state(self, stream: bytes) -> bytes:
        """Everything to go on from; stream: the state of the stream."""
        if self._pipeline is None:
            return stream
        self._pipeline.stream.load_state(stream)
        return self._pipeline.save_state()

    def resume(self, state: bytes) -> bytes:
        """Go on from a state; gives that of the stream. Raises BadInput for one that does not fit."""
        if self._pipeline is None:
            return state
        self._pipeline.load_state(state)
        return self._pipeline.stream.save_state()
