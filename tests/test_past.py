"""Convolutions that look back over time: the stream's answers are those of the whole sequence, for any chunking."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_cases import graph, node, weights

from edgernn.errors import UnsupportedModel
from edgernn.importer import read
from edgernn.stream import Stream

Layer = tuple[str, int, int, int]  # how it is padded, kernel, dilation, groups
LAYERS = st.tuples(
    st.sampled_from(["pad", "chomp", "pads"]), st.integers(1, 4), st.integers(1, 3), st.sampled_from([1, 2, 4])
)
CHANNELS = 4


def causal(layers: list[Layer], seed: int) -> bytes:
    """x (1, 4, T) -> causal convolutions, a GRU -> Y (T, 1, 1, 3)."""
    rng = np.random.default_rng(seed)
    held = {**weights("GRU", CHANNELS, 3, seed=seed), "zero": np.array([0]), "axis": np.array([2])}
    nodes, value = [], "x"
    for i, (how, kernel, dilation, groups) in enumerate(layers):
        reach = dilation * (kernel - 1)
        held[f"w{i}"] = rng.uniform(-0.6, 0.6, (CHANNELS, CHANNELS // groups, kernel)).astype(np.float32)
        held[f"b{i}"] = rng.uniform(-0.6, 0.6, CHANNELS).astype(np.float32)
        options = {"dilations": [dilation], "group": groups}
        if how == "pad":
            held[f"pads{i}"] = np.array([0, 0, reach, 0, 0, 0])
            nodes += [node("Pad", f"{value} pads{i}", f"p{i}"), node("Conv", f"p{i} w{i} b{i}", f"c{i}", **options)]
        elif how == "chomp" and reach:
            held[f"end{i}"] = np.array([-reach])
            nodes += [
                node("Conv", f"{value} w{i} b{i}", f"long{i}", pads=[reach, reach], **options),
                node("Slice", f"long{i} zero end{i} axis", f"c{i}"),
            ]
        else:
            nodes.append(node("Conv", f"{value} w{i} b{i}", f"c{i}", pads=[reach, 0], **options))
        nodes += [node("Tanh", f"c{i}", f"t{i}"), node("Add", f"t{i} {value}", f"v{i}")]
        value = f"v{i}"
    nodes += [node("Transpose", value, "turned", perm=[2, 0, 1])]
    nodes += [node("GRU", "turned W R B", "Y", hidden_size=3, linear_before_reset=1)]
    return graph(nodes, {"x": (1, CHANNELS, "T")}, ["Y"], held).SerializeToString()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(LAYERS, min_size=1, max_size=4), st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 99)
)
def test_a_stream_equals_the_whole_sequence(layers: list[Layer], chunks: list[int], seed: int) -> None:
    model = causal(layers, seed)
    x = np.random.default_rng(seed).standard_normal((sum(chunks), CHANNELS)).astype(np.float32)
    whole = onnxruntime.InferenceSession(model).run(None, {"x": np.ascontiguousarray(x.T[None])})[0]
    stream, at, parts = Stream(read(model)), 0, []
    for size in chunks:
        parts.append(stream.run(x[at : at + size]))
        at += size
    assert np.abs(np.concatenate(parts) - whole.reshape(-1, 3)).max() < 1e-5


def refused(*nodes: object, **constants: object) -> str:
    held = {**weights("GRU", CHANNELS, 3), "w": np.ones((CHANNELS, CHANNELS, 3), np.float32), **constants}
    tail = [node("Transpose", "c", "turned", perm=[2, 0, 1]), node("GRU", "turned W R B", "Y", hidden_size=3)]
    with pytest.raises(UnsupportedModel) as caught:
        read(graph([*nodes, *tail], {"x": (1, CHANNELS, "T")}, ["Y"], held).SerializeToString())  # type: ignore[list-item]
    return str(caught.value)


def test_what_looks_ahead_or_skips_is_refused_with_a_reason() -> None:
    assert "1 steps of padding before the first -> pad 2 steps" in refused(node("Conv", "x w", "c", pads=[1, 1]))
    assert "0 steps of padding" in refused(node("Conv", "x w", "c"))
    assert "several steps for one" in refused(node("Conv", "x w", "c", pads=[2, 0], strides=[2]))
    assert "looks ahead" in refused(node("Conv", "x w", "c", auto_pad="SAME_UPPER"))
    long = node("Conv", "x w", "long", pads=[2, 2])
    assert "padded over time" in refused(long, node("Relu", "long", "c"))
    ends = {"zero": np.array([0]), "end": np.array([-1]), "axis": np.array([2])}
    assert "cut off the 2 steps" in refused(long, node("Slice", "long zero end axis", "c"), **ends)


@pytest.mark.parametrize("pads", [[0, 0, 0, 0, 0, 2], [0, 0, -1, 0, 0, 0], [0, 0, 2, 0, 0, 1]])
def test_padding_that_shifts_the_sequence_is_refused(pads: list[int]) -> None:
    said = refused(node("Pad", "x pads", "p"), node("Conv", "p w", "c"), pads=np.array(pads))
    assert "by more than zeros before its first step" in said
