"""Signals: how a walk over the graph is broken off, at one node or altogether."""

from __future__ import annotations


class Refused(Exception):
    """A rule gave up on its node."""

    def __init__(self, what: str, remedy: str):
        super().__init__(what)
        self.what, self.remedy = what, remedy


class Wider(Exception):
    """The walk needs so many times more frames an evaluation."""

    def __init__(self, factor: int):
        super().__init__(factor)
        self.factor = factor
