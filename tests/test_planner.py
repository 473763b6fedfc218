"""Plans: no two live buffers overlap, states are where they should be, programs say what they say."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from cases import CASES, SIZES

from edgernn.kernels.contract import OPERANDS, Opcode
from edgernn.kernels.isas import ISAS
from edgernn.kernels.panels import CpuBackend
from edgernn.planner import Plan, make_plan
from edgernn.planner.arena import layout, lifetimes
from edgernn.planner.lower import Instruction, Place
from edgernn.quantiser import quantise


def plan(case: str, precision: str, isa: str = "avx2") -> Plan:
    model = {**CASES, **SIZES}[case]()
    return make_plan(quantise(model, precision), CpuBackend(ISAS[isa]))


def opcodes(made: Plan) -> list[str]:
    return [Opcode(row[0]).name for row in made.program]


def test_a_cell_updates_its_state_in_place() -> None:
    assert opcodes(plan("A", "none")) == ["LOAD", "AFFINE_F32", "AFFINE_F32", "LSTM", "AFFINE_F32", "STORE", "STOP"]


def test_a_quantised_state_is_quantised_once_a_frame() -> None:
    made, cell = plan("B", "int8"), ["QUANTISE", "AFFINE_I8", "AFFINE_I8", "GRU", "QUANTISE"]
    assert opcodes(made) == ["LOAD", *cell, "AFFINE_I8", "STORE", "STOP"]
    assert [Opcode(row[0]).name for row in made.prepare] == ["QUANTISE", "STOP"]


@pytest.mark.parametrize("precision", ["none", "int8"])
@pytest.mark.parametrize("case", [*CASES, "C", "H"])
def test_live_buffers_do_not_overlap(case: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def spy(code: list[Instruction], sizes: list[int], persistent: list[int]) -> tuple[dict[int, int], int]:
        seen["code"], seen["sizes"], seen["persistent"] = code, sizes, persistent
        seen["offsets"], seen["top"] = layout(code, sizes, persistent)
        return seen["offsets"], seen["top"]

    monkeypatch.setattr("edgernn.planner.plan.layout", spy)
    made = plan(case, precision)
    spans = {**lifetimes(seen["code"]), **{b: (0, len(seen["code"])) for b in seen["persistent"]}}
    for a, b in combinations(spans, 2):
        apart = spans[a][1] < spans[b][0] or spans[b][1] < spans[a][0]
        low, high = (seen["offsets"][n] for n in (a, b))
        assert apart or low + seen["sizes"][a] <= high or high + seen["sizes"][b] <= low, (a, b)
    assert all(seen["offsets"][b] + seen["sizes"][b] <= made.arena_bytes for b in spans)


@pytest.mark.parametrize("case", [*CASES])
def test_every_buffer_is_written_before_it_is_read(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    monkeypatch.setattr("edgernn.planner.plan.layout", lambda *a: seen.setdefault("made", (a, layout(*a)))[1])
    plan(case, "int8")
    code, _, persistent = seen["made"][0]
    known = set(persistent)
    for instruction in code:
        places = zip(instruction.operands, OPERANDS[instruction.opcode], strict=True)
        for operand, name in sorted(places, key=lambda pair: pair[1][0] != "r"):
            if isinstance(operand, Place) and operand.buffer >= 0:
                assert name[0] == "w" or operand.buffer in known, (instruction, name)
                known.add(operand.buffer)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rows", [1, 21, 64, 150])
@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_panels_hold_every_weight_once(isa: str, rows: int, dtype: type) -> None:
    lanes, cols = ISAS[isa].lanes, 6
    weight = np.arange(1, rows * cols + 1).reshape(rows, cols) % 127
    packed = CpuBackend(ISAS[isa]).pack(weight.astype(dtype)).view(dtype)
    assert len(packed) == -(-rows // lanes) * lanes * (cols if dtype == np.float32 else 8)
    assert np.array_equal(np.sort(packed[packed != 0]), np.sort(weight[weight != 0].astype(dtype)))
