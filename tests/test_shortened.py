"""Unrolled graphs whose first step an optimiser has shortened, since its state is zero: rolled up all the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx_cases import node, onnx_runtime
from test_unrolled import CONSTANTS, STEPS, Nodes, every, gathered, lstm, model, stacked

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.layers.definition import run
from edgernn.stream import Stream

X = np.random.default_rng(5).uniform(-1, 1, (1, STEPS, 3)).astype(np.float32)
CONSTANTS["decay"], CONSTANTS["floor"] = np.linspace(0.2, 0.9, 5).astype(np.float32), np.float32(0.1)


def independent(t: int) -> Nodes:
    """h_t = relu(W x_t + decay h_{t-1})."""
    sums = [node("MatMul", f"x_{t} W", f"w{t}")]
    sums += [node("Mul", f"h_{t - 1} decay", f"r{t}"), node("Add", f"w{t} r{t}", f"a{t}")] if t else []
    return [*sums, node("Relu", f"a{t}" if t else "w0", f"h_{t}")]


def averaged(t: int) -> Nodes:
    """h_t = decay h_{t-1} + W x_t / 2, without any matrix that reads the state."""
    now = [node("MatMul", f"x_{t} W", f"w{t}"), node("Mul", f"w{t} half", f"n{t}" if t else "h_0")]
    return now + ([node("Mul", f"h_{t - 1} decay", f"r{t}"), node("Add", f"r{t} n{t}", f"h_{t}")] if t else [])


def spiking(t: int) -> Nodes:
    """v_t = decay (v_{t-1} - h_{t-1}) + W x_t, and h_t = 1 where v_t is above a threshold."""
    sums = [node("MatMul", f"x_{t} W", f"w{t}" if t else "v_0")]
    if t:
        sums += [node("Sub", f"v_{t - 1} h_{t - 1}", f"k{t}"), node("Mul", f"k{t} decay", f"r{t}")]
        sums += [node("Add", f"r{t} w{t}", f"v_{t}")]
    return [*sums, node("Greater", f"v_{t} floor", f"s{t}"), node("Cast", f"s{t}", f"h_{t}", to=1)]


def gated(t: int) -> Nodes:
    """An LSTM, in whose first step nothing is forgotten, and no state multiplied."""
    if t:
        return lstm(t)
    left_out = {"r0", "a0", "q0", "f_0", "k0", "c_0"}
    nodes = [one for one in lstm(0) if one.output[0] not in left_out]
    for one in nodes:
        one.input[:] = [{"a0": "w0", "n0": "c_0"}.get(name, name) for name in one.input]
        one.output[:] = [{"n0": "c_0"}.get(name, name) for name in one.output]
    return nodes


STEPWISE: dict[str, Callable[[int], Nodes]] = {
    "independent units": independent,
    "averages": averaged,
    "spikes": spiking,
    "gates": gated,
}


@pytest.mark.parametrize("all_steps", [True, False])
@pytest.mark.parametrize("name", STEPWISE)
def test_a_first_step_without_its_state_begins_at_zero(name: str, all_steps: bool) -> None:
    nodes = [*gathered(), *every(STEPWISE[name]), *(stacked() if all_steps else [])]
    source = model(nodes, "y" if all_steps else f"h_{STEPS - 1}")
    read = importer.read(source.SerializeToString())
    assert read.states and not any(state.initial.any() for state in read.states)
    expected = next(iter(onnx_runtime(source, {"x": X}).values())).reshape(-1, 5)
    for answers in (Stream(read).run(X[0]), run(read, X[0])):
        assert np.abs(answers[-len(expected) :] - expected).max() < 1e-5


def test_what_a_state_starts_from_may_be_a_product_of_integers() -> None:
    """As quantize_dynamic writes the product with a constant state, which nothing folds."""
    rng = np.random.default_rng(6)
    CONSTANTS["Rq"], CONSTANTS["scale"] = rng.integers(-127, 128, (5, 5), np.int8), np.float32(0.004)
    nodes = []
    for t in range(STEPS):
        before = f"h_{t - 1}" if t else "h"
        nodes += [node("DynamicQuantizeLinear", before, f"q{t} s{t} z{t}"), node("MatMul", f"x_{t} W", f"w{t}")]
        nodes += [node("MatMulInteger", f"q{t} Rq z{t}", f"i{t}_"), node("Cast", f"i{t}_", f"f{t}", to=1)]
        nodes += [node("Mul", f"s{t} scale", f"m{t}"), node("Mul", f"f{t} m{t}", f"r{t}")]
        nodes += [node("Add", f"w{t} r{t}", f"a{t}"), node("Tanh", f"a{t}", f"h_{t}")]
    made = Stream(importer.read(model([*gathered(), *nodes, *stacked()], "y").SerializeToString())).run(X[0])
    h = np.zeros(5)
    for t in range(STEPS):
        h = np.tanh(X[0, t] @ CONSTANTS["W"] + h @ (CONSTANTS["Rq"] * CONSTANTS["scale"]))
        assert np.abs(made[t] - h).max() < 1e-5


def other_weights(t: int) -> Nodes:
    made = independent(t)
    made[0].input[1] = "W" if t else "other"
    return made


def other_floor(t: int) -> Nodes:
    made = spiking(t)
    made[-2].input[1] = "floor" if t else "half"
    return made


def other_function(t: int) -> Nodes:
    return independent(t) if t else [node("MatMul", "x_0 W", "w0"), node("Softplus", "w0", "h_0")]


@pytest.mark.parametrize("step", [other_weights, other_floor, other_function])
def test_a_first_step_that_is_another_computation_is_not_rolled_up(step: Callable[[int], Nodes]) -> None:
    with pytest.raises(UnsupportedModel, match=r"takes step \[0\]|could not be rolled up|nothing is carried"):
        importer.read(model([*gathered(), *every(step), *stacked()], "y").SerializeToString())
