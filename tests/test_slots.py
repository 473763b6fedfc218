"""Unrolled loops that write each step into a tensor made before (`out[:, t] = h`): rolled up as any other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx_cases import graph, node, onnx_runtime
from test_unrolled import CONSTANTS, LIMIT, STEPS, Nodes, every, gathered, lstm, model, rnn

from edgernn import importer
from edgernn.errors import BadModelFile, UnsupportedModel
from edgernn.layers.definition import run
from edgernn.stream import Stream

X = np.random.default_rng(6).uniform(-1, 1, (1, STEPS, 3)).astype(np.float32)
CONSTANTS |= {"zeros": np.zeros((1, STEPS, 5), np.float32), "first": np.zeros((STEPS, 5), np.float32)}
CONSTANTS |= {"whole": np.array([1, 1, 5]), "row": np.array([1, 5])}
for t in range(STEPS):
    CONSTANTS |= {f"nd{t}": np.array([[[0, t]]]), f"back{t}": np.array([[[-1, t - STEPS]]]), f"nd_first{t}": [[t]]}
    CONSTANTS |= {f"all{t}": np.full((1, 1, 5), t), f"behind{t}": np.full((1, 1, 5), t - STEPS)}


def written(kind: str, index: str, base: str = "zeros", shape: str = "whole", **attributes: int | str) -> Nodes:
    """y of h_0, h_1, ..., each written into what was written before."""
    nodes, before = [], base
    for t in range(STEPS):
        after = f"y_{t}" if t < STEPS - 1 else "y"
        nodes += [node("Reshape", f"h_{t} {shape}", f"u_{t}")]
        nodes += [node(kind, f"{before} {index}{t} u_{t}", after, **attributes)]
        before = after
    return nodes


def sized() -> Nodes:
    """As PyTorch traces it: each update in the shape of the slice that it replaces."""
    nodes, before = [], "zeros"
    for t in range(STEPS):
        after = f"y_{t}" if t < STEPS - 1 else "y"
        nodes += [node("Gather", f"{before} i{t}", f"there_{t}", axis=1), node("Shape", f"there_{t}", f"size_{t}")]
        nodes += [node("Expand", f"h_{t} size_{t}", f"wide_{t}"), node("Reshape", f"wide_{t} whole", f"u_{t}")]
        nodes += [node("ScatterND", f"{before} nd{t} u_{t}", after)]
        before = after
    return nodes


WAYS: dict[str, Callable[[], Nodes]] = {
    "ScatterND": lambda: written("ScatterND", "nd"),
    "ScatterND, counted from the end": lambda: written("ScatterND", "back"),
    "ScatterND, time first": lambda: written("ScatterND", "nd_first", "first", "row"),
    "ScatterElements": lambda: written("ScatterElements", "all", axis=1),
    "ScatterElements, counted from the end": lambda: written("ScatterElements", "behind", axis=-2),
    "in the shape of what was there": sized,
    "over an input that is of no use otherwise": lambda: written("ScatterND", "nd", "room"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", [rnn, lstm])
def test_each_step_is_written_where_it_belongs(way: str, step: Callable[[int], Nodes]) -> None:
    source = model(gathered() + every(step) + WAYS[way](), "y")
    made = importer.read(source.SerializeToString())
    room = {given.name: np.ones((1, STEPS, 5), np.float32) for given in source.graph.input if given.name == "room"}
    expected = onnx_runtime(source, {"x": X, **room})["y"].reshape(STEPS, 5)
    assert (made.inputs[0].size, made.hop, made.delay) == (3, 1, 0)
    assert np.abs(run(made, X[0]) - expected).max() < LIMIT
    assert np.abs(Stream(made).run(X[0]) - expected).max() < LIMIT


def test_what_is_written_last_stays() -> None:
    nodes = gathered() + every(rnn) + written("ScatterND", "nd")
    nodes[-2:] = [node("Reshape", "h_0 whole", "u_5"), node("ScatterND", "y_4 nd5 u_5", "y_5")]  # another's answer, ...
    nodes += [node("Reshape", "h_5 whole", "again"), node("ScatterND", "y_5 nd5 again", "y")]  # and then its own
    source = model(nodes, "y")
    found = run(importer.read(source.SerializeToString()), X[0])
    assert np.abs(found - onnx_runtime(source, {"x": X})["y"][0]).max() < LIMIT


def left_out(nodes: Nodes) -> Nodes:
    """The third step is never written."""
    nodes[7].input[0] = nodes[3].output[0]
    return [one for n, one in enumerate(nodes) if n not in (4, 5)]


def read_meanwhile(nodes: Nodes) -> Nodes:
    """What was written up to the third step is an answer, too."""
    return [*nodes, node("Identity", "y_2", "z")]


def added(nodes: Nodes) -> Nodes:
    """The third step is added to what was there."""
    nodes[5].attribute.append(onnx.helper.make_attribute("reduction", "add"))
    return nodes


@pytest.mark.parametrize(("change", "outputs"), [(left_out, ["y"]), (read_meanwhile, ["y", "z"]), (added, ["y"])])
def test_what_is_no_whole_sequence_is_refused(change: Callable[[Nodes], Nodes], outputs: list[str]) -> None:
    with pytest.raises(UnsupportedModel, match="is unrolled over 6 steps, and could not be rolled up"):
        importer.read(model(gathered() + every(rnn) + change(written("ScatterND", "nd")), *outputs).SerializeToString())


@pytest.mark.parametrize(
    ("kind", "index", "attributes"),
    [
        ("ScatterND", np.zeros((1, 1, 9), np.int64), {}),  # more axes than there are
        ("ScatterND", np.full((1, 1, 2), 1 << 40), {}),
        ("ScatterND", np.zeros((1, 1, 0), np.int64), {}),
        ("ScatterND", np.zeros((1, 2), np.float32), {}),
        ("ScatterElements", np.zeros((1, 1, 5), np.int64), {"axis": 99}),
        ("ScatterElements", np.zeros((1,) * 40, np.int64), {"axis": 1}),
        ("ScatterElements", np.full((1, 1, 5), -(1 << 62)), {"axis": 1}),
    ],
)
def test_places_that_are_none_are_refused(kind: str, index: np.ndarray, attributes: dict[str, int]) -> None:
    nodes = gathered() + every(rnn) + written(kind, "bad", **attributes)
    for one in nodes:
        if one.op_type == kind:
            one.input[1] = "bad"
    CONSTANTS["bad"] = index
    with pytest.raises((UnsupportedModel, BadModelFile)):
        importer.read(model(nodes, "y").SerializeToString())


def test_what_is_written_over_an_endless_input_is_no_chain() -> None:
    """The places that each of these writes are more than any memory holds."""
    nodes = [node("ScatterND", "x one u", "a"), node("ScatterND", "a one u", "y")]
    source = graph(nodes, {"x": (2, 1 << 40), "u": (1, 1 << 40)}, ["y"], {"one": np.array([[1]])})
    with pytest.raises(UnsupportedModel):
        importer.read(source.SerializeToString())
