"""Which axis a window runs over: what is found, what is asked, and what is none."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_cases import graph, node, weights
from sequence_cases import HIDDEN, OUTPUTS, Sequences
from surroundings import some
from window_cases import GRAPHS, N_IN, Dim, a_line, channels_first, over_bands
from windows import FRAMES, WINDOW, check, converted, some_frames

from edgernn import importer
from edgernn.errors import UnsupportedModel


@pytest.mark.parametrize("dims", [(1, "T"), (None, None), ("B", "T"), ("N", "seq"), ("unk__1", "unk__2"), (1, WINDOW)])
@pytest.mark.parametrize("name", ["attention", "mean subtracted", "positions", "stacked", "looped", "counted"])
def test_the_axis_whose_steps_meet_is_the_window(name: str, dims: tuple[Dim, Dim]) -> None:
    source = GRAPHS[name](*dims)
    model = converted(source)
    assert [port.size for port in model.inputs] == [N_IN]
    check(source, model, some_frames(1, FRAMES, N_IN))


@pytest.mark.parametrize("dims", [("T", 1, 3), ("time", "batch", 3), (None, None, 3), ("T", "N", 3), (WINDOW, 1, 3)])
def test_time_may_stand_first(dims: tuple[Dim, ...]) -> None:
    case = Sequences("GRU", "bidirectional")
    source = graph([case.node()], {"x": dims}, OUTPUTS["GRU"], case.values())
    check(source, converted(source), some_frames(FRAMES, 1, 3), 0)


def test_a_layer_that_runs_backwards_shows_its_axis_behind_strides() -> None:
    """A line of text, (1, 1, height, width): the window is the width that is free, not the height of its length."""
    rng = np.random.default_rng(0)
    cell = {"W": (2, 9, 8), "R": (2, 9, 3), "K": (2, 1, 3, 3)}
    held = {name: rng.uniform(-0.5, 0.5, shape).astype(np.float32) for name, shape in cell.items()}
    nodes = [
        node("Conv", "x K", "a", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Transpose", "a", "t", perm=[3, 0, 1, 2]),
        node("Reshape", "t columns", "X"),
        node("GRU", "X W R", "Y", direction="bidirectional", hidden_size=3),
    ]
    held["columns"] = np.array([-1, 1, 8])
    source = graph(nodes, {"x": (1, 1, 8, "width")}, ["Y"], held)
    check(source, converted(source, 8, 4), some_frames(1, 1, 8, FRAMES), 3)


def test_a_batch_is_no_window() -> None:
    """Keras fixes the length where it is told one, and leaves the batch free."""
    source = GRAPHS["attention"]("unk__1", 9)
    assert converted(source, 9).window == 9
    with pytest.raises(UnsupportedModel, match=r"sequences of 9 steps, so a window of 5 .*window=9"):
        converted(source, 5)


@pytest.mark.parametrize("name", ["attention", "stacked", "looped"])
def test_a_window_of_another_length_than_the_graph_is_refused_with_that(name: str) -> None:
    for window in (5, N_IN, 10):
        with pytest.raises(UnsupportedModel, match=rf"sequences of 9 steps, so a window of {window} .*window=9"):
            converted(GRAPHS[name](1, 9), window)


def test_a_fixed_length_is_the_window_though_a_stream_over_the_batch_fails_too() -> None:
    """The loop over 9 steps runs 9 turns however long the batch is."""
    source = GRAPHS["looped"]("unk__1", 9)
    model = converted(source, 9)
    assert [port.size for port in model.inputs] == [N_IN]
    check(source, model, some_frames(1, FRAMES, N_IN))
    with pytest.raises(UnsupportedModel, match=r"sequences of 9 steps, so a window of 5 .*window=9"):
        converted(source, 5)


def test_where_two_axes_may_be_the_window_the_user_is_asked() -> None:
    both = r"axis 2 of 'x': frames of 3 of 'x'; or .*'unk__1', axis 1 of 'x': frames of 48 .*--set unk__1=1;.*'time'"
    with pytest.raises(UnsupportedModel, match=both):
        converted(over_bands("unk__1"), 16)
    (port,) = converted(over_bands("unk__1"), 16, constants={"unk__1": 1}).inputs
    assert port.size == 3
    for name, window in (("time", 16), ("unk__1", WINDOW)):
        source = over_bands(name)
        check(source, converted(source, window), some_frames(1, FRAMES, 16, 3))


def test_what_weights_sum_over_is_no_window_though_it_is_as_long() -> None:
    signal, line = channels_first(8, 8), a_line(8, 8)
    check(signal, converted(signal, 8), some_frames(1, 8, FRAMES), 2)
    check(line, converted(line, 8), some_frames(1, 1, 8, FRAMES), 3)
    for source in (channels_first(8, 12), a_line(8, 12)):
        with pytest.raises(UnsupportedModel, match=r"sequences of 12 steps, so a window of 8 .*window=12"):
            converted(source, 8)


def test_the_axis_that_was_taken_is_said_with_the_size_of_a_frame() -> None:
    report = importer.analyse(GRAPHS["stacked"](1, "T").SerializeToString(), window=WINDOW)
    assert f"windows of {WINDOW} frames, 'T', axis 1 of 'x': frames of {N_IN} of 'x'" in report.notes


@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
@pytest.mark.parametrize("batch", ["B", "N", "batch_size"])
def test_a_free_batch_is_not_taken_for_the_time_of_a_fixed_length(batch: str, direction: str) -> None:
    case = Sequences("GRU", direction)
    source = graph([case.node()], {"x": (WINDOW, batch, 3)}, OUTPUTS["GRU"], case.values())
    check(source, converted(source), some_frames(FRAMES, 1, 3), 0)
    with pytest.raises(UnsupportedModel, match="needs the end of the sequence before its start -> convert with window"):
        importer.read(source.SerializeToString())


def test_an_axis_that_a_layer_runs_along_is_the_window_though_it_cannot_be_had() -> None:
    """Not the two directions of h0, which are as many steps as the file has fixed ones."""
    nodes = [node("GRU", "x W R B - h0", "Y", hidden_size=5, direction="bidirectional")]
    source = graph(nodes, {"x": ("T", 1, 3), "h0": (2, 1, 5)}, ["Y"], Sequences("GRU", "bidirectional").values())
    for window in (2, 5):
        with pytest.raises(UnsupportedModel, match="'h0': is a state, but on windows nothing is carried"):
            converted(source, window)


@pytest.mark.parametrize(
    ("steps", "hidden", "direction"), [(4, 4, "reverse"), (2, 5, "bidirectional"), (5, 5, "forward")]
)
def test_no_axis_of_a_state_is_the_window_though_it_is_as_long(steps: int, hidden: int, direction: str) -> None:
    nodes = [node("GRU", "x W R B - h0", "Y", hidden_size=hidden, direction=direction)]
    ways = 1 + (direction == "bidirectional")
    held = {"W": some(ways, 3 * hidden, 3), "R": some(ways, 3 * hidden, hidden), "B": some(ways, 6 * hidden)}
    source = graph(nodes, {"x": (steps, 1, 3), "h0": (ways, 1, hidden)}, ["Y"], held)
    with pytest.raises(UnsupportedModel, match="'h0': is a state, but on windows nothing is carried"):
        converted(source, steps)


@pytest.mark.parametrize("batch", [1, 2, "B"])
@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_a_whole_sequence_is_no_frame_though_its_state_is_handed_on(direction: str, batch: Dim) -> None:
    case = Sequences("GRU", direction)
    nodes, ways = (
        [node("GRU", "x W R B - h0", "Y hn", hidden_size=HIDDEN, direction=direction)],
        len(case.values()["W"]),
    )
    source = graph(nodes, {"x": (6, batch, 3), "h0": (ways, batch, HIDDEN)}, ["Y", "hn"], case.values())
    with pytest.raises(UnsupportedModel, match=r"'GRU_Y': direction=.* window=N .*, with what it starts from .*--set"):
        importer.read(source.SerializeToString())
    assert importer.read(source.SerializeToString(), state={"h0": "hn"}).inputs[0].size % 18 == 0
    model = converted(source, 6, constants={"h0": 0})
    assert model.window == 6 and model.inputs[0].size in (3, 6)


def test_a_whole_sequence_that_ends_early_is_no_frame_though_its_state_is_handed_on() -> None:
    nodes = [node("RNN", "x W R B lengths h0", "Y hn", hidden_size=5)]
    early, whole = (
        graph(nodes, {"x": (6, 1, 3), "h0": (1, 1, 5)}, ["Y", "hn"], {**weights("RNN", 3, 5), "lengths": lengths})
        for lengths in (np.array([4], np.int32), np.array([6], np.int32))
    )
    with pytest.raises(UnsupportedModel, match=r"sequence_lens=\[4\], of 6 steps: a stream goes on .* window=N"):
        importer.read(early.SerializeToString())
    assert importer.analyse(whole.SerializeToString()).states == (("h0", "hn"),)


@pytest.mark.parametrize("batch", [1, "N"])
def test_a_sequence_that_ends_early_shows_its_axis(batch: Dim) -> None:
    """Its features are as many as its steps."""
    held = {**weights("RNN", 5, 4), "lengths": np.array([3], np.int32)}
    source = graph([node("RNN", "x W R B lengths", "Y", hidden_size=4)], {"x": (5, batch, 5)}, ["Y"], held)
    check(source, converted(source, 5), some_frames(FRAMES, 1, 5), 0)
    with pytest.raises(UnsupportedModel, match=r"sequence_lens=\[3\], of 5 steps: a stream goes on"):
        importer.read(source.SerializeToString())


def test_no_batch_of_lengths_is_the_window() -> None:
    """As PyTorch writes packed sequences of a free batch and a fixed number of steps."""
    nodes = [node("GRU", "x W R B lengths", "Y", hidden_size=5, direction="bidirectional")]
    source = graph(nodes, {"x": (6, "N", 3)}, ["Y"], Sequences("GRU", "bidirectional").values())
    source.graph.input.append(onnx.helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, ["N"]))
    report = importer.analyse(source.SerializeToString(), window=6)
    assert report.model is not None and [port.size for port in report.model.inputs] == [3], report
    assert "axis 0 of 'x'" in report.time


@pytest.mark.parametrize("dims", [("T", N_IN), (1, "T", N_IN), (5, N_IN)])
def test_steps_that_never_meet_make_no_window(dims: tuple[Dim, ...]) -> None:
    source = graph([node("MatMul", "x W", "y")], {"x": dims}, ["y"], {"W": some(N_IN, 2)})
    with pytest.raises(UnsupportedModel):
        converted(source, 5)


@pytest.mark.parametrize("bias", [0, -40, 40])
def test_steps_meet_though_noise_saturates_the_answer(bias: float) -> None:
    """A detector that says nothing, or always the same, of noise; its features are no window."""
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f W b", "g"), node("Sigmoid", "g", "y")]
    held = {"W": some(WINDOW * 6, 1), "b": np.float32([bias])}
    source = graph(nodes, {"x": (1, WINDOW, 6)}, ["y"], held)
    check(source, converted(source), some_frames(1, FRAMES, 6))
    with pytest.raises(UnsupportedModel, match=r"windows of 7 frames.* or windows of 6 frames"):
        converted(source, 6)


def test_the_length_that_is_asked_for_tells_which_axis_of_an_image_is_time() -> None:
    """A picture of 6 rows and 8 columns, in 3 colours: columns are read one after the other."""
    nodes = [
        node("Conv", "x K", "a", pads=[1, 1, 1, 1]),
        node("Transpose", "a", "t", perm=[3, 0, 1, 2]),
        node("Reshape", "t columns", "X"),
        node("RNN", "X W R", "Y", direction="bidirectional", hidden_size=2),
    ]
    held = {"K": some(2, 3, 3, 3), "W": some(2, 2, 12), "R": some(2, 2, 2), "columns": np.array([8, 1, 12])}
    source = graph(nodes, {"x": (1, 3, 6, 8)}, ["Y"], held)
    model = converted(source, 8, 2)
    check(source, model, some_frames(1, 3, 6, FRAMES), 3)
    with pytest.raises(UnsupportedModel, match="a window of 7 cannot run over it -> convert with window=8"):
        converted(source, 7)


def test_steps_meet_in_blocks_that_stand_alone() -> None:
    nodes = [node("Conv", "x K", "y", strides=[2])]
    source = graph(nodes, {"x": (1, 6, "T")}, ["y"], {"K": some(3, 6, 2)})
    check(source, converted(source, 8, 3), some_frames(1, 6, FRAMES), 2)
