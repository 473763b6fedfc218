"""Files of a fixed length that is no whole number of answers: strides leave frames over, or need some more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx_cases import graph, node, onnx_runtime, weights

import edgernn
from edgernn.conversion.parity import parity
from edgernn.errors import BackendUnavailable, UnsupportedModel
from edgernn.importer import analyse, read
from edgernn.layers.rhythm import after_whole
from edgernn.stream import Stream

CHANNELS, HIDDEN = 3, 4
Layer = tuple[str, int, int, int, int]  # kind, kernel, stride, padding in front and behind
ENDS = {
    "last step": [node("Gather", "Y minus_one", "y", axis=0)],
    "last state": [node("Identity", "Y_h", "y")],
    "mean": [node("ReduceMean", "Y", "y", axes=[0], keepdims=0)],
    "maximum": [node("ReduceMax", "Y", "y", axes=[0], keepdims=0)],
    "last three": [node("Slice", "Y minus_three end time", "l"), node("ReduceMean", "l", "y", axes=[0])],
}
PLACES = {"minus_one": np.array(-1), "minus_three": [-3], "end": [2**31 - 1], "time": [0]}


def classifier(length: int, layers: list[Layer], end: str) -> onnx.ModelProto:
    """x (1, CHANNELS, length) through convolutions and pools, a GRU, and one answer for the whole."""
    rng, nodes = np.random.default_rng(0), []
    held = {**weights("GRU", CHANNELS, HIDDEN), **{name: np.array(value) for name, value in PLACES.items()}}
    for k, (kind, kernel, stride, before, after) in enumerate(layers):
        into, out = f"v{k}" if k else "x", f"v{k + 1}"
        given = {"kernel_shape": [kernel], "strides": [stride], "pads": [before, after]}
        held[f"w{k}"] = rng.uniform(-0.6, 0.6, (CHANNELS, CHANNELS, kernel)).astype(np.float32)
        nodes.append(node(kind, f"{into} w{k}" if kind == "Conv" else into, out, **given))
    nodes += [node("Transpose", f"v{len(layers)}", "turned", perm=[2, 0, 1])]
    nodes += [node("GRU", "turned W R B", "Y Y_h", hidden_size=HIDDEN), *ENDS[end]]
    used = {name for made in nodes for name in made.input}
    return graph(nodes, {"x": (1, CHANNELS, length)}, ["y"], {k: v for k, v in held.items() if k in used})


def frames(length: int) -> np.ndarray:
    return np.random.default_rng(length).standard_normal((length, CHANNELS)).astype(np.float32)


def whole(source: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return onnx_runtime(source, {"x": np.ascontiguousarray(x.T[None])})["y"].reshape(HIDDEN)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    ("length", "layer", "ended"),
    [
        (49, ("Conv", 20, 8, 0, 0), 48),  # one frame that no answer sees
        (101, ("Conv", 20, 8, 0, 0), 104),  # the last answer is known after 100, and given with the 13th
        (25, ("Conv", 5, 2, 0, 0), 26),
        (31, ("MaxPool", 3, 3, 0, 0), 30),
        (31, ("Conv", 7, 3, 6, 0), 33),
    ],
)
def test_the_answer_to_all_frames_comes_where_the_note_says(length: int, layer: Layer, ended: int, end: str) -> None:
    source = classifier(length, [layer], end)
    report = analyse(source.SerializeToString())
    assert report.model is not None
    x, told = frames(length), f"that to the {length} frames of the file comes after {ended}"
    assert any(told in note for note in report.notes) == (ended > length)
    more = np.concatenate([x, 9 * frames(8)])[:ended]  # what comes behind the end is not heard
    assert np.abs(Stream(report.model).run(more)[-1] - whole(source, x)).max() < 1e-6


@pytest.mark.parametrize("end", ENDS)
def test_an_end_that_sees_padding_is_refused_at_any_length(end: str) -> None:
    for length in range(20, 28):
        with pytest.raises(UnsupportedModel, match="the sequence ends with padding that a stream never sees"):
            read(classifier(length, [("Conv", 7, 3, 0, 6)], end).SerializeToString())


@given(
    st.integers(8, 40),
    st.lists(
        st.tuples(
            st.sampled_from(["Conv", "MaxPool", "AveragePool"]),
            st.integers(1, 6), st.integers(1, 4), st.integers(0, 5), st.sampled_from([0, 0, 0, 1, 2]),
        ).filter(lambda layer: layer[1] > max(layer[3:])),
        min_size=1, max_size=3,
    ),
    st.sampled_from(sorted(ENDS)),
)  # fmt: skip
@settings(max_examples=60)
def test_what_is_not_refused_answers_as_the_file_does(length: int, layers: list[Layer], end: str) -> None:
    steps = length
    for _, kernel, stride, before, after in layers:
        assume(kernel <= steps + before + after)
        steps = (steps + before + after - kernel) // stride + 1
    assume(steps > 2)  # a cell that makes a single step hears all frames at once
    source, x = classifier(length, layers, end), frames(length)
    report = analyse(source.SerializeToString())
    if model := report.model:
        ended = -(-length // model.hop) if after_whole(length, model.hop) in report.notes else length // model.hop
        answers = Stream(model).run(np.concatenate([x, 9 * x[: model.hop]]))
        assert np.abs(answers[ended - 1] - whole(source, x)).max() < 1e-5


def test_sequences_that_end_apart_do_not_meet() -> None:
    """One ends with the last whole answer, the other with the next one, when the first has gone on."""
    nodes = [node("Conv", "x w", "c", strides=[2]), node("MaxPool", "x", "p", kernel_shape=[2], strides=[2])]
    nodes += [node("ReduceMean", name, f"{name}_m", axes=[2]) for name in "cp"]
    nodes += [node("Add", "c_m p_m", "m"), node("Transpose", "c", "turned", perm=[2, 0, 1])]
    nodes += [node("GRU", "turned W R B", "Y Y_h", hidden_size=HIDDEN)]
    held = weights("GRU", CHANNELS, HIDDEN) | {"w": np.ones((CHANNELS, CHANNELS, 5), np.float32)}
    with pytest.raises(UnsupportedModel, match="the sequence ends with padding that a stream never sees"):
        read(graph(nodes, {"x": (1, CHANNELS, 25)}, ["m", "Y_h"], held).SerializeToString())


def test_such_a_file_is_compared_with_onnx_runtime_and_with_a_reference(tmp_path: Path) -> None:
    source, x = classifier(25, [("Conv", 5, 2, 0, 0)], "last step"), frames(25)
    path, reference = tmp_path / "m.onnx", tmp_path / "io.npz"
    path.write_bytes(source.SerializeToString())
    np.savez(reference, x=x, y=whole(source, x))
    model = edgernn.convert(path, reference=reference)
    for given_frames in (None, x, np.concatenate([x, x[:7]])):
        assert parity(model, path, given_frames)["y"].max_error < 1e-6
    with pytest.raises(BackendUnavailable, match="takes 25 frames a call; only 24 are given"):
        parity(model, path, x[:24])
