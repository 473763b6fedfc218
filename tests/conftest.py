"""What every test shares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edgernn.kernels import processor
from edgernn.kernels.isas import REFERENCE, VARIABLE, available
from edgernn.layers.model import Model
from edgernn.stream import Stream

COMPILED = [name for name in available(processor.features()) if name != REFERENCE]


@contextmanager
def instruction_set(name: str) -> Iterator[None]:
    """Streams made inside use this instruction set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, name)
        yield


def stream_on(isa: str, model: Model) -> Stream:
    """A stream that uses this instruction set."""
    with instruction_set(isa):
        return Stream(model)


@pytest.fixture(params=COMPILED)
def isa(request: pytest.FixtureRequest) -> str:
    """Each compiled instruction set that this processor has."""
    name: str = request.param
    return name
