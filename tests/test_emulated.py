"""Every case on emulated boards: quantised the bits of the reference, float close to it."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from cases import CASES, SIZES, frames, worst_sums
from conftest import stream_on
from emulated import answers

from edgernn.kernels.isas import REFERENCE
from edgernn.layers.base import FORMATS, Array
from edgernn.layers.model import Model
from edgernn.quantiser import quantise

BOARDS = [("rpi5", "cortex-a76"), ("rpi4", "cortex-a72"), ("rpi3", "cortex-a53"), ("rpi2-32", "cortex-a7")]
WITH = {name: number for name, number in FORMATS.items()}


def expected(model: Model, x: Array) -> dict[str, Array]:
    made = stream_on(REFERENCE, model).run(x)
    return made if isinstance(made, dict) else {model.outputs[0].name: made}


@pytest.mark.parametrize(("board", "cpu"), BOARDS)
def test_quantised_bits_are_those_of_the_reference(board: str, cpu: str) -> None:
    tried = [(CASES | SIZES)[case]() for case in (*CASES, "A", "B", "G")]
    pairs = [(quantise(model, name), frames(model, 6)) for model, name in product(tried, FORMATS)]
    pairs += [worst_sums(cols, name) for cols, name in product((1, 33, 513, 8193), FORMATS)]
    for model, x in pairs:
        np.testing.assert_equal(answers(board, cpu, model, x), expected(model, x), err_msg=model.summary())
