"""What the kernels cost, in figures that no noise touches: instructions a step, and bytes."""

from __future__ import annotations

import json

import pytest
from instructions import STORED, benchmarked, count, missing


@pytest.mark.skipif(bool(missing()), reason=f"instructions cannot be counted: {missing()}")
def test_instructions_a_step_are_those_that_are_stored() -> None:
    """A kernel that got faster or slower: `python tools/instructions.py` stores its new figures."""
    assert count(benchmarked()) == pytest.approx(json.loads(STORED.read_text()), rel=0.03)
