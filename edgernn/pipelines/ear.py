"""Ear: short blocks of sound through features, model and scores in one call, as they come live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.kernels import hearing as h
from edgernn.layers.base import Array
from edgernn.pipelines.blocks import NOT_FINITE
from edgernn.pipelines.decide import Decider, Decision
from edgernn.pipelines.features import Extractor
from edgernn.stream import Stream
from edgernn.stream.runner import address

MOST = 8  # frames of a block
ARRAY, FLOAT32 = np.ndarray, np.dtype(np.float32)
PLAIN = 0x101  # NumPy's flags C_CONTIGUOUS and ALIGNED


class Ear:
    """What a pipeline does with a block, without a step in between for Python: the same bits, the same state.

    Most of what live sound costs is waking up for 10 ms of it, with nothing in the caches: the less code and memory it
    takes, the better.
    """

    def __init__(self, call: Callable[..., int], extractor: Extractor, stream: Stream, decider: Decider):
        self._call, self._extractor, self._decider = call, extractor, decider
        front = extractor.frontend
        self._longest = (MOST - 1) * front.hop_length
        self._scores = np.empty((MOST, len(decider.deciding.labels)))
        room: dict[int, Array] = {h.FRAMES_AT: np.empty((MOST, front.size), np.float32), h.SCORES_AT: self._scores}
        room[h.ANSWERS_AT] = np.empty(self._scores.shape, np.float32)
        blocks = {h.FEATURES: extractor.block.control, h.PLAN: stream.control, h.SCORES: decider.block.control}
        self._kept, self._control = (room, blocks), np.zeros(h.HEAR_END, np.int64)
        for word, array in (room | blocks).items():
            self._control[word] = address(array)

    def feed(self, samples: Any) -> list[Decision] | None:
        """The decisions that a block leads to; None where it is not a plain case: then nothing has changed.

        Raises BadInput where the model's answers are not finite.
        """
        if type(samples) is not ARRAY or samples.dtype is not FLOAT32 or samples.ndim != 1:
            return None
        count = len(samples)
        if count > self._longest or samples.flags.num & PLAIN != PLAIN or self._extractor.waiting:
            return None
        reached = self._call(self._control, count, samples)
        if reached == 0 and not self._decider.on:
            return []
        if reached == h.NOT_FINITE:
            raise BadInput(NOT_FINITE)
        return None if reached < 0 else self._decider.follow(self._heard(), reached)

    def _heard(self) -> Array:
        """The scores that the last call has made."""
        return self._scores[: int(self._control[h.ROWS])]
