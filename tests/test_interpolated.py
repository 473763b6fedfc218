"""Straight lines between steps that PyTorch's newer exporter writes out: linear interpolation over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_cases import graph, node
from test_upsampled import CELL, GRU, T

from edgernn import importer
from edgernn.errors import UnsupportedModel
from edgernn.stream import Stream

COUNTS: dict[str, Any] = {
    **{"at2": np.array(2), "nought": np.array(0), "one": np.array(1), "end": [-1]},
    **{"half": np.float32(0.5), "floor": np.float32(0), "unit": np.float32(1)},
}


def counted() -> list[onnx.NodeProto]:
    """low, high and share by the number of steps, for n places a step; r is 1 / n."""
    return [
        *(node("Shape", "x", "sizes"), node("Gather", "sizes at2", "T"), node("Mul", "T n", "count")),
        *(node("Range", "nought count one", "k"), node("Cast", "k", "kf", to=1), node("Add", "kf half", "k1")),
        *(node("Mul", "k1 r", "k2"), node("Sub", "k2 half", "k3"), node("Clip", "k3 floor", "place")),
        *(node("Cast", "place", "l", to=7), node("Add", "l one", "l1"), node("Sub", "T one", "last")),
        *(node("Clip", "l1 - last", "u"), node("Unsqueeze", "l end", "low"), node("Unsqueeze", "u end", "high")),
        *(node("Cast", "l", "lf", to=1), node("Sub", "place lf", "p"), node("Clip", "p floor unit", "share")),
    ]


def interpolated(times: int, length: int | str = T) -> onnx.ModelProto:
    """F.interpolate(x, scale_factor=times, mode="linear") as PyTorch's newer exporter writes it."""
    nodes = [node("Transpose", "x", "turned", perm=[2, 0, 1])]
    for side in ("low", "high"):
        gathered = node("GatherND", f"turned {side}", f"g{side}")
        nodes += [gathered, node("Transpose", f"g{side}", f"x{side}", perm=[1, 2, 0])]
    nodes += [node("Sub", "xhigh xlow", "d"), node("Mul", "d share", "m"), node("Add", "xlow m", "h"), *CELL[:-1]]
    if isinstance(length, str):
        held = {**GRU, **COUNTS, "n": np.array(times), "r": np.float32(1 / times)}
        return graph([*counted(), *nodes], {"x": [1, 6, length]}, ["s"], held)
    places = np.maximum((np.arange(length * times, dtype=np.float32) + np.float32(0.5)) / np.float32(times) - 0.5, 0)
    low = places.astype(np.int64)
    held = {"low": low[:, None], "high": np.minimum(low + 1, length - 1)[:, None], "share": (places - low).astype("f4")}
    return graph(nodes, {"x": [1, 6, length]}, ["s"], {**GRU, **held})


@pytest.mark.parametrize("length", ["T", T])
@pytest.mark.parametrize("times", [2, 3, 4])
def test_straight_lines_that_are_written_out_stream(times: int, length: int | str) -> None:
    source = interpolated(times, length).SerializeToString()
    x = np.random.default_rng(1).normal(size=(1, 6, T)).astype(np.float32)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})[0].reshape(-1, 6)
    read = importer.read(source)
    assert (read.hop, read.delay, read.outputs[0].size) == (1, 1, 6 * times)
    stream = Stream(read)
    made = np.concatenate([stream.run(part) for part in np.split(x[0].T, [1, 6, 31])]).reshape(-1, 6)[times:]
    np.testing.assert_allclose(made, expected[: len(made)], rtol=1e-5, atol=1e-5)


def test_places_of_an_example_are_not_those_of_any_length() -> None:
    """Exporters may leave them in a file whose length is declared free: as many for any length."""
    model = interpolated(2)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "time"
    with pytest.raises(
        UnsupportedModel, match=r"takes steps 0, 0, 0, 1, \.\.\. of the sequence -> say .*--set NAME=STEPS"
    ):
        importer.read(model.SerializeToString())
    assert importer.read(model.SerializeToString(), constants={"time": T}).outputs[0].size == 12


def test_lines_between_other_places_are_refused() -> None:
    model = interpolated(2)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "share")
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.linspace(0, 1, 2 * T, dtype=np.float32), "share"))
    with pytest.raises(UnsupportedModel, match="reads a constant that differs from step to step"):
        importer.read(model.SerializeToString())
