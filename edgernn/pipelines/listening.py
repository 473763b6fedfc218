"""Listening: a source's blocks through a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgernn.pipelines.decide import Decision
from edgernn.pipelines.pipeline import Pipeline
from edgernn.pipelines.sources.source import Block


def listen(pipeline: Pipeline, blocks: Iterable[Block]) -> Iterator[list[Decision]]:
    """The decisions that each block leads to, gaps included (see Pipeline.gap), and at last those of the end."""
    for block in blocks:
        found = pipeline.gap(block.gap) if block.gap else []
        yield found + pipeline.feed(block.samples)
    yield pipeline.finish()
