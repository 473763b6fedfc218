"""Work grows in proportion to the graph: counted in calls, not in seconds."""

from __future__ import annotations

import cProfile
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx_cases import GRU, graph, node, weights

from edgernn import importer, modelfile
from edgernn.kernels.isas import ISAS
from edgernn.kernels.panels import CpuBackend
from edgernn.planner import make_plan


def chain(count: int) -> onnx.ModelProto:
    """Arithmetic with constants behind a GRU, one node after the other."""
    nodes, held = [node("GRU", "x W R B", "Y Y_h", hidden_size=5)], dict(GRU)
    names = ["Y", *(f"v{n}" for n in range(count))]
    for n in range(count):
        held[f"k{n}"] = np.full(5, n / count, np.float32)
        kind, read = [("Add", f"{names[n]} k{n}"), ("Tanh", names[n])][n % 2]
        nodes.append(node(kind, read, names[n + 1]))
    return graph(nodes, {"x": ("T", 1, 3)}, [names[-1]], held)


def constants(count: int) -> onnx.ModelProto:
    """Constants computed from constants."""
    names = ["k", *(f"k{n}" for n in range(count))]
    nodes = [node("GRU", "x W R B", "Y Y_h", hidden_size=5)]
    nodes += [node("Mul", f"{names[n]} half", names[n + 1]) for n in range(count)]
    held = {**GRU, "k": np.ones(5, np.float32), "half": np.float32(0.5)}
    return graph([*nodes, node("Add", f"Y {names[-1]}", "y")], {"x": ("T", 1, 3)}, ["y"], held)


def states(count: int) -> onnx.ModelProto:
    """A step graph of GRUs in a row, each with its state as input and output."""
    held, nodes, last = {}, [], "x"
    for n in range(count):
        held |= {f"{name}{n}": w for name, w in weights("GRU", 4 if n else 3, 4, seed=n).items()}
        nodes.append(node("GRU", f"{last} W{n} R{n} B{n} - h{n}", f"Y{n} hn{n}", hidden_size=4))
        nodes.append(node("Squeeze", f"Y{n} axis", f"y{n}"))
        last = f"y{n}"
    dims = {"x": (1, 1, 3), **{f"h{n}": (1, 1, 4) for n in range(count)}}
    held |= {"axis": np.array([1]), "end": np.ones((4, 2), np.float32)}
    nodes.append(node("MatMul", f"{last} end", "y"))
    return graph(nodes, dims, ["y", *(f"hn{n}" for n in range(count))], held)


def unrolled(count: int) -> onnx.ModelProto:
    """tanh(W x + R h), once for each step."""
    rng, nodes, h = np.random.default_rng(0), [], "h"
    held = {"W": rng.normal(size=(3, 3)), "R": rng.normal(size=(3, 3)), "h": np.zeros((1, 3))}
    held = {name: value.astype(np.float32) for name, value in held.items()} | {
        f"i{n}": np.array(n) for n in range(count)
    }
    for n in range(count):
        nodes += [node("Gather", f"x i{n}", f"x{n}", axis=1), node("MatMul", f"x{n} W", f"a{n}")]
        nodes += [node("MatMul", f"{h} R", f"b{n}"), node("Add", f"a{n} b{n}", f"s{n}"), node("Tanh", f"s{n}", f"h{n}")]
        h = f"h{n}"
    return graph(nodes, {"x": (1, count, 3)}, [h], held)


def test_a_sum_that_doubles_is_read_no_further_than_a_gate_has_parts() -> None:
    sums = [node("Add", f"v{n} v{n}", f"v{n + 1}") for n in range(40)]
    nodes = [node("GRU", "x W R B", "Y Y_h", hidden_size=5), node("Squeeze", "Y", "v0", axes=[1]), *sums]
    model = graph([*nodes, node("Tanh", "v40", "y")], {"x": ("T", 1, 3)}, ["y"], GRU, 12)
    assert len(importer.read(model.SerializeToString()).nodes) > 40


def calls(work: Callable[[], object]) -> int:
    """How many calls of functions the work takes."""
    profile = cProfile.Profile()
    profile.enable()
    work()
    profile.disable()
    return int(sum(entry.callcount for entry in profile.getstats()))


def converted(data: bytes) -> None:
    """All that happens to a file until it can run."""
    model = importer.read(data)
    modelfile.validate(modelfile.pack(*modelfile.encode(model)))
    make_plan(model, CpuBackend(next(iter(ISAS.values()))))


@pytest.mark.parametrize(("make", "count"), [(chain, 100), (constants, 100), (states, 10), (unrolled, 25)])
def test_four_times_the_graph_takes_about_four_times_the_work(
    make: Callable[[int], onnx.ModelProto], count: int
) -> None:
    small, large = (make(n).SerializeToString() for n in (count, 4 * count))
    converted(small)  # what is imported and cached once does not count
    assert calls(lambda: converted(large)) < 6 * calls(lambda: converted(small))
