"""CumSum over time: a stream's sums are those of the whole sequence, behind strides and delays too."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper
from onnx_cases import graph, node, onnx_runtime, weights

from edgernn import importer
from edgernn.errors import UnsupportedModel

T = 40
ONE = numpy_helper.from_array(np.ones(1, np.float32))
CELL = node("GRU", "z W R B", "Y", hidden_size=3)


def held(step: int) -> dict[str, np.ndarray]:
    """Weights and numbers of the graphs below."""
    kernel = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 4, 2)).astype(np.float32)
    ends = {"zero": np.array([0]), "end": np.array([2**31]), "step": np.array([step]), "axis": np.array(0)}
    return {**weights("GRU", 4, 3), **ends, "K": kernel}


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize(("pads", "step"), [([1, 0], 1), ([1, 0], 2), ([0, 1], 1)])
def test_sums_over_time_go_on(pads: list[int], step: int, exclusive: int) -> None:
    nodes = [
        node("Transpose", "x", "c", perm=[1, 2, 0]),
        node("Conv", "c K", "a", pads=pads),
        node("Transpose", "a", "t", perm=[2, 0, 1]),
        node("CumSum", "t axis", "s", exclusive=exclusive),
        node("Slice", "s zero end zero step", "z"),
        CELL,
    ]
    source = graph(nodes, {"x": ["T", 1, 4]}, ["Y"], held(step))
    model = importer.read(source.SerializeToString())
    x = np.random.default_rng(1).standard_normal((T, 1, 4)).astype(np.float32)
    expected = onnx_runtime(source, {"x": x})["Y"].reshape(-1, 3)
    found, late = model.stream().run(x[:, 0]), model.delay // model.hop
    assert (model.hop, late) == (step, pads[1])
    assert np.abs(found[late:] - expected[: len(found) - late]).max() < 1e-5


def test_sums_from_the_end_need_a_window() -> None:
    source = graph([node("CumSum", "x axis", "z", reverse=1), CELL], {"x": ["T", 1, 4]}, ["Y"], held(1))
    with pytest.raises(UnsupportedModel, match=r"reverse=1 over time.*window=N"):
        importer.read(source.SerializeToString())
    model = importer.read(source.SerializeToString(), window=6)
    x = np.random.default_rng(1).standard_normal((6, 1, 4)).astype(np.float32)
    expected = onnx_runtime(source, {"x": x})["Y"].reshape(-1)
    assert np.abs(model.stream().run(x[:, 0])[0] - expected).max() < 1e-5


COUNTS = {  # how the steps so far are numbered, of which `n` there are
    "ones": [node("Shape", "t", "shape"), node("ConstantOfShape", "shape", "ones", value=ONE),
             node("CumSum", "ones axis", "count")],
    "integers": [node("Range", "one after one", "k"), node("Cast", "k", "f", to=1),
                 node("Reshape", "f column", "count")],
    "floats": [node("Cast", "after", "end_f", to=1), node("Range", "one_f end_f one_f", "f"),
               node("Reshape", "f column", "count")],
    "doubled": [node("Range", "one after one", "k"), node("Cast", "k", "f", to=1), node("Reshape", "f column", "r"),
                node("Mul", "r two_f", "count")],
}  # fmt: skip


@pytest.mark.parametrize("length", ["T", T])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("pads", "step"), [([1, 0], 1), ([0, 1], 1), ([1, 0], 2), ([0, 0], 1)])
def test_an_average_of_all_steps_so_far_goes_on(count: str, pads: list[int], step: int, length: str | int) -> None:
    """As cumulative layer normalisation has it."""
    nodes = [
        node("Transpose", "x", "c", perm=[1, 2, 0]),
        node("Conv", "c K", "a", pads=pads, strides=[step]),
        node("Transpose", "a", "t", perm=[2, 0, 1]),
        node("Shape", "t", "sizes"),
        node("Gather", "sizes first", "n"),
        node("Add", "n one", "after"),
        *COUNTS[count],
        node("CumSum", "t axis", "total"),
        node("Div", "total count", "mean"),
        node("Sub", "t mean", "z"),
        CELL,
    ]
    scalars = {"one": np.array(1), "first": np.array(0), "one_f": np.float32(1), "two_f": np.float32(2)}
    numbers = {**held(1), **scalars, "column": np.array([-1, 1, 1])}
    source = graph(nodes, {"x": [length, 1, 4]}, ["Y"], numbers)
    model = importer.read(source.SerializeToString())
    x = np.random.default_rng(1).standard_normal((T, 1, 4)).astype(np.float32)
    expected = onnx_runtime(source, {"x": x})["Y"].reshape(-1, 3)
    found, late = model.stream().run(x[:, 0]), model.delay // model.hop
    assert np.abs(found[late:] - expected[: len(found) - late]).max() < 1e-5


def test_whole_numbers_of_steps_are_not_divided_as_floats() -> None:
    """ONNX cuts the quotient of integers towards zero."""
    nodes = [
        node("Shape", "x", "sizes"),
        node("Gather", "sizes first", "n"),
        node("Range", "first n one", "k"),
        node("Div", "k two", "half"),
        node("Cast", "half", "f", to=1),
        node("Reshape", "f column", "count"),
        node("Mul", "x count", "z"),
        CELL,
    ]
    numbers = {"first": np.array(0), "one": np.array(1), "two": np.array(2), "column": np.array([-1, 1, 1])}
    source = graph(nodes, {"x": ["T", 1, 4]}, ["Y"], {**held(1), **numbers})
    with pytest.raises(UnsupportedModel, match=r"Div .*numbers the steps"):
        importer.read(source.SerializeToString())
