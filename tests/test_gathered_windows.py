"""Windows of steps that a graph gathers or cuts out of its sequence: where they move on evenly, they stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx_cases import graph, node, onnx_runtime, weights
from surroundings import ints

from edgernn.errors import UnsupportedModel
from edgernn.importer import read
from edgernn.layers.base import Array
from edgernn.stream import Stream


def gathered(index: Array, dims: tuple[int | str, ...] = (1, 24, 4)) -> bytes:
    """x[:, index] and its windows as one vector each, into a GRU."""
    size = 4 if index.ndim == 1 else 4 * min(index.shape)
    order = [0, 1, 2] if index.ndim == 1 else [0, 2, 1, 3] if index.shape[0] < index.shape[1] else [0, 1, 2, 3]
    nodes = [
        node("Gather", "x index", "g", axis=1),
        node("Transpose", "g", "t", perm=order),
        node("Reshape", "t shape", "r"),
        node("GRU", "r W R B", "y", hidden_size=3, linear_before_reset=1),
    ]
    held = weights("GRU", size, 3) | {"index": index, "shape": np.array([max(index.shape), 1, size])}
    return graph(nodes, {"x": dims}, ["y"], held).SerializeToString()


WINDOWS = {  # index, hop and delay
    "every step three wide": (np.arange(22)[:, None] + np.arange(3), 1, 2),
    "every second": (2 * np.arange(11)[:, None] + np.arange(3), 2, 2),
    "spread out": (np.arange(20)[:, None] + 2 * np.arange(3), 1, 4),
    "not from the first": (1 + np.arange(21)[:, None] + np.arange(3), 1, 3),
    "steps last": (np.arange(3)[:, None] + np.arange(22), 1, 2),
    "single steps": (3 * np.arange(8), 3, 0),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_that_are_gathered_stream(name: str) -> None:
    index, hop, delay = WINDOWS[name]
    source = gathered(index)
    model = read(source)
    assert (model.hop, model.delay) == (hop, delay)
    x = np.random.default_rng(1).standard_normal((24, 4)).astype(np.float32)
    whole = onnx_runtime(onnx.load_from_string(source), {"x": x[None]})["y"].reshape(-1, 3)
    streamed = Stream(model).run(x)[delay // hop :]
    assert 0 < len(streamed) <= len(whole)
    assert np.abs(streamed - whole[: len(streamed)]).max() < 1e-5


def unfolded(stride: int, *to_windows: Any) -> bytes:
    """Windows of three steps of x (1, T, 4) by an index that counts the steps, however many there are, into a GRU."""
    nodes = [
        node("Shape", "x", "dims", start=1, end=2),
        node("Squeeze", "dims", "T"),
        node("Sub", "T two", "limit"),
        node("Range", "zero limit stride", "steps"),
        *to_windows,
        node("Gather", "x index", "g", axis=1),
        node("Reshape", "g shape", "r"),
        node("GRU", "r W R B", "y", hidden_size=3, linear_before_reset=1),
    ]
    plain = {
        "zero": 0,
        "two": 2,
        "stride": stride,
        "shape": [-1, 1, 12],
        "axis": [1],
        "offsets": [2, 0, 1],
        "half": 0.5,
    }
    used = {name for made in nodes for name in made.input}
    held = weights("GRU", 12, 3) | {name: np.array(value) for name, value in plain.items() if name in used}
    return graph(nodes, {"x": (1, "T", 4)}, ["y"], held).SerializeToString()


def cut_out(size: int, stride: int, length: int) -> bytes:
    """`x.unfold(1, size, stride)` as the TorchScript exporter writes it for x (1, length, 4), into a GRU."""
    count, nodes, held = (length - size) // stride + 1, [], {"axis": ints(1), "shape": ints(0, 0, -1)}
    for n in range(count):
        held |= {f"from{n}": ints(n * stride), f"to{n}": ints(n * stride + size)}
        nodes += [node("Slice", f"x from{n} to{n} axis", f"s{n}"), node("Transpose", f"s{n}", f"t{n}", perm=[0, 2, 1])]
        nodes += [node("Unsqueeze", f"t{n} axis", f"u{n}")]
    nodes += [node("Concat", " ".join(f"u{n}" for n in range(count)), "c", axis=1), node("Reshape", "c shape", "r")]
    nodes += [node("Transpose", "r", "rt", perm=[1, 0, 2]), node("GRU", "rt W R B", "y", hidden_size=3)]
    return graph(nodes, {"x": (1, length, 4)}, ["y"], weights("GRU", 4 * size, 3) | held).SerializeToString()


@pytest.mark.parametrize(("size", "stride", "length"), [(3, 1, 9), (4, 2, 9), (2, 3, 8), (4, 4, 8)])
def test_windows_that_are_cut_out_one_by_one_stream(size: int, stride: int, length: int) -> None:
    source = cut_out(size, stride, length)
    model = read(source)
    assert (model.inputs[0].size, model.hop) == (4, stride)
    x = np.random.default_rng(1).standard_normal((length, 4)).astype(np.float32)
    whole = onnx_runtime(onnx.load_from_string(source), {"x": x[None]})["y"].reshape(-1, 3)
    streamed = Stream(model).run(x)[model.delay // stride :]
    assert len(whole) - 1 <= len(streamed) <= len(whole)
    assert np.abs(streamed - whole[: len(streamed)]).max() < 1e-5


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_windows_of_any_number_of_steps_stream(stride: int) -> None:
    source = unfolded(stride, node("Unsqueeze", "steps axis", "column"), node("Add", "column offsets", "index"))
    model = read(source)
    assert model.hop == stride
    x = np.random.default_rng(1).standard_normal((24, 4)).astype(np.float32)
    whole = onnx_runtime(onnx.load_from_string(source), {"x": x[None]})["y"].reshape(-1, 3)
    streamed = Stream(model).run(x)[model.delay // stride :]
    assert len(whole) - 1 <= len(streamed) <= len(whole)
    assert np.abs(streamed - whole[: len(streamed)]).max() < 1e-5


def test_other_uses_of_the_number_of_a_step_are_refused() -> None:
    position = node("Cast", "steps", "f", to=1), node("Mul", "f half", "m"), node("Cast", "m", "index", to=7)
    with pytest.raises(UnsupportedModel, match=r"Mul .*numbers the steps of a sequence of T-2 steps"):
        read(unfolded(1, *position))


@pytest.mark.parametrize("index", [[0, 1, 3], [3, 2, 1, 0], [[0, 1], [1, 2], [3, 4]]])
def test_steps_that_are_gathered_unevenly_are_refused(index: list[Any]) -> None:
    with pytest.raises(UnsupportedModel, match=r"takes steps .*windows that move on evenly.*window=N"):
        read(gathered(np.array(index)))
