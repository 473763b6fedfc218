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

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.pipelines.pipeline import Pipeline
from edgernn.serving.batcher import Batcher

CHOICES = {
    "input": ("frames", "samples"),
    "format": ("float32", "int16"),
    "output": ("answers", "decisions", "live"),
}


@dataclass(frozen=True)
class Wishes:
    """What a client sends and wants. Raises BadInput for what is unknown or does not fit the model."""

    input: str = "frames"
    format: str = "float32"
    output: str = "answers"

    @classmethod
    def of(cls, given: Mapping[str, str], model: Model) -> Wishes:
        """The wishes in a query; other names in it are not looked at."""
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
    """A stream of the batcher, with the features before it and the decisions after it."""

    def __init__(self, batcher: Batcher, wishes: Wishes, stream: int):
        model = batcher.model
        self.wishes, self.stream = wishes, stream
        self._batcher, self._n_in = batcher, model.inputs[0].size
        self._pipeline = Pipeline(model) if model.frontend else None

    @property
    def hello(self) -> dict[str, Any]:
        """What a client is told first."""
        model = self._batcher.model
        front, deciding = model.frontend, model.deciding
        told: dict[str, Any] = {**asdict(self.wishes), "n_in": self._n_in, "n_out": model.outputs[0].size}
        if front:
            told |= {"rate": front.rate, "channels": front.channels, "seconds_per_frame": front.seconds}
        return told | ({"labels": list(deciding.labels)} if deciding else {})

    def frames(self, message: bytes) -> Array:
        """The frames (k, n_in) that a message brings. Raises BadInput for another size and for numbers that are not."""
        kind = np.dtype("<i2" if self.wishes.format == "int16" else "<f4")
        samples = self.wishes.input == "samples" and self._pipeline
        row = (self._pipeline.frontend.channels if samples and self._pipeline else self._n_in) * kind.itemsize
        if len(message) % row:
            what = "samples" if samples else "frames"
            raise BadInput(f"a message of {len(message)} bytes: {what} of {row} bytes each expected")
        numbers = np.frombuffer(message, kind)
        if not samples or self._pipeline is None:
            return numbers.reshape(-1, self._n_in).astype(np.float32, copy=False)
        scaled = numbers / np.float32(32768) if kind.kind == "i" else numbers
        shaped = scaled.reshape(-1, self._pipeline.frontend.channels) if self._pipeline.nothing.ndim > 1 else scaled
        return self._pipeline.extracted(shaped)

    async def feed(self, message: bytes) -> tuple[bytes | str | None, int]:
        """A message -> what is to be sent back, and how many frames it was. Raises BadInput: the session is over."""
        frames = self.frames(message)
        answers = await self._batcher.submit(self.stream, frames)
        return self._told(frames, answers), len(frames)

    def _told(self, frames: Array, answers: Array) -> bytes | str | None:
        if self.wishes.output == "answers" or self._pipeline is None:
            return answers.astype("<f4", copy=False).tobytes()
        found = [asdict(decision) for decision in self._pipeline.decided(frames, answers)]
        if self.wishes.output == "decisions":
            return json.dumps({"decisions": found}) if found else None
        scores = {label: round(score, 4) for label, score in self._pipeline.scores.items()}
        seen = {"time": round(self._pipeline.time, 3), "scores": scores, "decisions": found}
        return json.dumps(seen | {"features": np.round(frames, 2).tolist()})

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
