"""Plans: no two live buffers overlap, states are where they should be, programs say what they say."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from cases import CASES, SIZES, Net, frames
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.kernels.contract import OPERANDS, Opcode
from edgernn.kernels.isas import ISAS
from edgernn.kernels.panels import CpuBackend
from edgernn.layers import Combine, Join, Map, Take
from edgernn.layers.definition import run
from edgernn.layers.model import Model, State
from edgernn.planner import Plan, make_plan
from edgernn.planner.arena import _Placed, layout, lifetimes
from edgernn.planner.program import Instruction, Place
from edgernn.quantiser import quantise
from edgernn.stream import Stream


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


def test_a_state_is_quantised_once_for_each_form() -> None:
    model = SIZES["B"]()
    mixed = quantise(model, "int8", {model.nodes[-1].name: "int16"})
    made = make_plan(mixed, CpuBackend(ISAS["avx2"]))
    cell = ["QUANTISE", "AFFINE_I8", "AFFINE_I8", "GRU", "QUANTISE", "AFFINE_I16"]
    assert opcodes(made) == ["LOAD", *cell, "STORE", "QUANTISE", "STOP"]
    assert [Opcode(row[0]).name for row in made.prepare] == ["QUANTISE", "STOP"]


@pytest.mark.parametrize("large", [5000, 0])  # instructions from which on what is needed for long is laid apart
@pytest.mark.parametrize("precision", ["none", "int8", "int4"])
@pytest.mark.parametrize("case", [*CASES, "C", "H"])
def test_live_buffers_do_not_overlap(case: str, precision: str, large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    monkeypatch.setattr("edgernn.planner.arena.LARGE", large)
    monkeypatch.setattr("edgernn.planner.arena.LONG", 3)

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


def test_what_many_instructions_need_for_long_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[int] = []
    during = _Placed.during
    monkeypatch.setattr(_Placed, "during", lambda self, *span: met.append(len(found := during(self, *span))) or found)
    count = 3000  # values that are all made before the first of them is read
    code = [Instruction(Opcode.MAP, (Place(n, 0, 4),)) for n in range(count)]
    code += [Instruction(Opcode.MAP, (Place(count + n, 0, 4), Place(n, 0, 4))) for n in range(count)]
    _, top = layout(code, [64] * 2 * count, [])
    assert sum(met) < 300 * len(code) and top <= 64 * 2 * count


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


def test_a_state_that_is_the_front_of_a_larger_value_keeps_its_place() -> None:
    """The larger value must not be written where the smaller state lies, before another state."""
    net = Net(4)
    wide = net.dense(net.add(Join(0), "a", "x"), 12, 200)
    front = net.add(Take(np.arange(8, dtype=np.int32), (8,)), wide)
    net.states.append(State("a", front, np.zeros(8, np.float32)))
    net.states.append(State("b", net.add(Combine("sub"), "b", front), np.ones(8, np.float32)))
    model = net.model(y=(net.add(Join(0), wide, "b"), 208))
    x = frames(model, 5)
    assert np.abs(Stream(model).run(x) - run(model, x)).max() < 1e-4


SIZES_OF_VALUES = [1, 3, 16, 40, 70]


@st.composite
def random_models(draw: st.DrawFn) -> Model:
    """Any graph of maps, products, sums, pieces and joins, whose states become any values of their size."""
    net = Net(draw(st.sampled_from(SIZES_OF_VALUES)), rng=np.random.default_rng(draw(st.integers(0, 2**16))))
    states = draw(st.lists(st.sampled_from(SIZES_OF_VALUES), min_size=1, max_size=3))
    sizes = {"x": net.n_in, **{f"s{i}": size for i, size in enumerate(states)}}
    for _ in range(draw(st.integers(2, 12))):
        a = draw(st.sampled_from(sorted(sizes)))
        match draw(st.integers(0, 4)):
            case 0:
                name, size = net.add(Map("tanh"), a), sizes[a]
            case 1:
                size = draw(st.sampled_from(SIZES_OF_VALUES))
                name = net.dense(a, sizes[a], size)
            case 2:
                b = draw(st.sampled_from([other for other in sorted(sizes) if sizes[other] == sizes[a]]))
                name, size = net.add(Combine("sub"), a, b), sizes[a]
            case 3:
                size = draw(st.integers(1, sizes[a]))
                start = draw(st.sampled_from([0, sizes[a] - size]))
                name = net.add(Take(np.arange(start, start + size, dtype=np.int32), (size,)), a)
            case _:
                b = draw(st.sampled_from(sorted(sizes)))
                name, size = net.add(Join(0), a, b), sizes[a] + sizes[b]
        sizes[name] = size
    for i, size in enumerate(states):
        source = draw(st.sampled_from([name for name in sorted(sizes) if sizes[name] == size]))
        net.states.append(State(f"s{i}", source, net.rng.standard_normal(size).astype(np.float32)))
    shown = draw(st.sampled_from(sorted(sizes)))
    return net.model(y=(shown, sizes[shown]))


@settings(max_examples=150, deadline=None)
@given(random_models())
def test_any_graph_answers_as_its_layers_say(model: Model) -> None:
    x = frames(model, 6)
    expected = run(model, x)
    assert np.abs(Stream(model).run(x) - expected).max() < 1e-4 * max(1.0, np.abs(expected).max())
