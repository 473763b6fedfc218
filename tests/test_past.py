"""Convolutions that look back over time: the stream's answers are those of the whole sequence, for any chunking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_cases import graph, node, onnx_runtime, weights

import edgernn
from edgernn.errors import UnsupportedModel
from edgernn.importer import analyse, read
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
    (whole,) = onnx_runtime(onnx.load_from_string(model), {"x": np.ascontiguousarray(x.T[None])}).values()
    stream, at, parts = Stream(read(model)), 0, []
    for size in chunks:
        parts.append(stream.run(x[at : at + size]))
        at += size
    assert np.abs(np.concatenate(parts) - whole.reshape(-1, 3)).max() < 1e-5


# how a convolution over time pads, its kernel of 3, and what comes of it: hop, delay, receptive field
@pytest.mark.parametrize(
    ("attributes", "rhythm"),
    [
        ({"pads": [2, 0]}, (1, 0, 3)),
        ({"pads": [1, 1]}, (1, 1, 3)),
        ({}, (1, 2, 3)),
        ({"auto_pad": "SAME_UPPER", "dilations": [2]}, (1, 2, 5)),
        ({"pads": [2, 0], "strides": [2]}, (2, 0, 3)),
        ({"pads": [1, 1], "strides": [2]}, (2, 0, 3)),
        ({"strides": [2]}, (2, 2, 3)),
        ({"strides": [4], "pads": [1, 1]}, (4, 0, 3)),
        ({"pads": [4, 0]}, (1, 0, 3)),
    ],
)
def test_the_rhythm_follows_from_the_padding(
    attributes: dict[str, object], rhythm: tuple[int, int, int], tmp_path: Path
) -> None:
    held = {**weights("GRU", CHANNELS, 3), "w": np.ones((CHANNELS, CHANNELS, 3), np.float32)}
    tail = [node("Transpose", "c", "turned", perm=[2, 0, 1]), node("GRU", "turned W R B", "Y", hidden_size=3)]
    nodes = [node("Conv", "x w", "c", **attributes), *tail]
    model = read(graph(nodes, {"x": (1, CHANNELS, "T")}, ["Y"], held).SerializeToString())
    model.save(tmp_path / "m.edgernn")
    for held_model in (model, edgernn.load(tmp_path / "m.edgernn")):
        assert (held_model.hop, held_model.delay, held_model.receptive_field) == rhythm


def refused(*nodes: object, **constants: object) -> str:
    held = {**weights("GRU", CHANNELS, 3), "w": np.ones((CHANNELS, CHANNELS, 3), np.float32), **constants}
    tail = [node("Transpose", "c", "turned", perm=[2, 0, 1]), node("GRU", "turned W R B", "- Y", hidden_size=3)]
    with pytest.raises(UnsupportedModel) as caught:
        read(graph([*nodes, *tail], {"x": (1, CHANNELS, "T")}, ["Y"], held).SerializeToString())  # type: ignore[list-item]
    return str(caught.value)


@pytest.mark.parametrize(("stride", "noted"), [(1, False), (3, True)])
def test_padding_that_follows_from_the_length_is_noted(stride: int, noted: bool) -> None:
    held = {**weights("GRU", CHANNELS, 3), "w": np.ones((CHANNELS, CHANNELS, 4), np.float32)}
    nodes = [node("Conv", "x w", "c", auto_pad="SAME_UPPER", strides=[stride])]
    nodes += [node("Transpose", "c", "turned", perm=[2, 0, 1]), node("GRU", "turned W R B", "Y", hidden_size=3)]
    report = analyse(graph(nodes, {"x": (1, CHANNELS, "T")}, ["Y"], held).SerializeToString())
    assert report.model is not None and any("a multiple of hop" in note for note in report.notes) == noted


def test_the_end_of_a_padded_sequence_is_no_last_step() -> None:
    assert "ends with padding that a stream never sees" in refused(node("Conv", "x w", "c", pads=[1, 1]))


# what puts two steps before the first, and how late a convolution over three answers then
BEGUN: dict[str, tuple[list[onnx.NodeProto], int]] = {
    "a number": ([node("Pad", "x ends number", "p")], 0),
    "the first step": ([node("Pad", "x ends", "p", mode="edge")], 0),
    "the next steps": ([node("Pad", "x ends", "p", mode="reflect")], 2),
    "the first step, turned": (
        [
            node("Transpose", "x", "t", perm=[0, 2, 1]),
            node("Pad", "t turned_ends", "e", mode="edge"),
            node("Transpose", "e", "p", perm=[0, 2, 1]),
        ],
        0,
    ),
    "copies": ([node("Slice", "x zero one axis", "f"), node("Concat", "f f x", "p", axis=2)], 0),
    "an expanded copy": (
        [
            node("Slice", "x zero one axis", "f"),
            node("Expand", "f twice", "e"),
            node("Concat", "e x", "p", axis=2),
        ],
        0,
    ),
    "a tiled copy, and the last step behind": (
        [
            node("Slice", "x zero one axis", "f"),
            node("Tile", "f tiles", "e"),
            node("Slice", "x minus end axis", "l"),
            node("Concat", "e x l", "q", axis=2),
            node("Slice", "q zero minus axis", "p"),
        ],
        0,
    ),
    "a delayed first step": (
        [
            node("Conv", "x w", "late", pads=[1, 1]),
            node("Pad", "late ends", "p", mode="edge"),
        ],
        1,
    ),
    "features, too": (
        [
            node("Pad", "x ends", "e", mode="edge"),
            node("Pad", "e around number", "f"),
            node("Slice", "f one five one", "p"),
        ],
        0,
    ),
    "the first step, then zeros": (
        [
            node("Pad", "x first", "e", mode="edge"),
            node("Pad", "e first", "p"),
        ],
        1,
    ),
}  # fmt: skip
HELD = {
    **{"zero": [0], "one": [1], "five": [5], "axis": [2], "minus": [-1], "end": [2**62], "twice": [1, 1, 2]},
    **{"tiles": [1, 1, 2], "ends": [0, 0, 2, 0, 0, 0], "first": [0, 0, 1, 0, 0, 0], "around": [0, 1, 0, 0, 1, 0]},
    **{"turned_ends": [0, 2, 0, 0, 0, 0], "number": np.float32(0.7)},
}


@pytest.mark.parametrize("length", ["T", 20])
@pytest.mark.parametrize("how", BEGUN)
def test_a_sequence_begins_with_numbers_or_with_its_own_steps(how: str, length: int | str) -> None:
    nodes, delay = BEGUN[how]
    held = {**weights("GRU", CHANNELS, 3), "w": np.random.default_rng(2).normal(size=(4, 4, 3)).astype(np.float32)}
    tail = [node("Transpose", "c", "turned", perm=[2, 0, 1]), node("GRU", "turned W R B", "Y", hidden_size=3)]
    source = graph([*nodes, node("Conv", "p w", "c"), *tail], {"x": (1, CHANNELS, length)}, ["Y"], {**HELD, **held})
    model = read(source.SerializeToString())
    x = np.random.default_rng(1).standard_normal((20, CHANNELS)).astype(np.float32)
    (whole,) = onnx_runtime(source, {"x": np.ascontiguousarray(x.T[None])}).values()
    stream = Stream(model)
    for _ in range(2):
        answers = np.concatenate([stream.run(x[:1]), stream.run(x[1:6]), stream.run(x[6:])])
        assert (model.hop, model.delay, len(answers)) == (1, delay, 20) and not answers[:delay].any()
        assert np.abs(answers[delay:] - whole.reshape(-1, 3)[: 20 - delay]).max() < 1e-5
        stream.reset()


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(("mode", "fill"), [("constant", 0.0), ("constant", 0.7), ("edge", 0.0)])
def test_a_constant_of_every_step_begins_with_others_where_it_is_padded(mode: str, fill: float, strides: int) -> None:
    nodes = [
        node("Conv", "x w", "c", strides=[strides], pads=[2, 0]),
        node("Shape", "c", "shape"),
        node("Expand", "number shape", "n"),
        node("Pad", "n shift fill", "p", mode=mode),
        node("Mul", "c p", "m"),
        node("Transpose", "m", "turned", perm=[2, 0, 1]),
        node("GRU", "turned W R B", "Y", hidden_size=3),
    ]
    held = {**weights("GRU", CHANNELS, 3), "number": np.float32(0.4), "shift": [0, 0, 2, 0, 0, -2]}
    held |= {"fill": np.float32(fill), "w": np.random.default_rng(2).normal(size=(4, 4, 3)).astype(np.float32)}
    source = graph(nodes, {"x": (1, CHANNELS, "T")}, ["Y"], held)
    model = read(source.SerializeToString())
    x = np.random.default_rng(1).standard_normal((20, CHANNELS)).astype(np.float32)
    (whole,) = onnx_runtime(source, {"x": np.ascontiguousarray(x.T[None])}).values()
    answers = Stream(model).run(x)
    assert (model.hop, model.delay) == (strides, 0)
    assert np.abs(answers - whole.reshape(-1, 3)[: len(answers)]).max() < 1e-5


def test_a_file_of_fixed_length_must_answer_within_it() -> None:
    """The last two steps go before all others, as circular padding is written out: they come after ten frames."""
    nodes = [node("Slice", "x ten end axis", "l"), node("Concat", "l x", "p", axis=2), node("Conv", "p w", "c")]
    held = {**weights("GRU", CHANNELS, 3), **HELD, "w": np.ones((CHANNELS, CHANNELS, 3), np.float32), "ten": [10]}
    nodes += [node("Transpose", "c", "turned", perm=[2, 0, 1]), node("GRU", "turned W R B", "Y", hidden_size=3)]
    with pytest.raises(UnsupportedModel, match=r"comes with frame 13, after the 12 that the file is for.*win"):
        read(graph(nodes, {"x": (1, CHANNELS, 12)}, ["Y"], held).SerializeToString())


def test_a_sequence_cannot_begin_with_its_end() -> None:
    nodes = [node("Pad", "x ends", "p", mode="wrap"), node("Conv", "p w", "c")]
    held = {**weights("GRU", CHANNELS, 3), "w": np.ones((CHANNELS, CHANNELS, 3), np.float32), "ends": HELD["ends"]}
    nodes += [node("Transpose", "c", "turned", perm=[2, 0, 1]), node("GRU", "turned W R B", "Y", hidden_size=3)]
    with pytest.raises(UnsupportedModel, match=r"begins the sequence with its end.*pad with zeros, or .*window=N"):
        read(graph(nodes, {"x": (1, CHANNELS, "T")}, ["Y"], held, opset=19).SerializeToString())
