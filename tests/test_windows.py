"""Graphs that need the whole sequence, on windows: on each window the answers are those of the graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import bad, good
from conftest import COMPILED, stream_on
from covering import covering
from onnx_cases import GATES, graph, node, onnx_runtime, weights
from sequence_cases import FLAVOURS, HIDDEN, Sequences
from surroundings import ints, some
from window_cases import GRAPHS, N_IN
from windows import FRAMES, LIMIT, WINDOW, check, converted, ends, named, some_frames

import edgernn
from edgernn import importer
from edgernn.conversion.parity import parity
from edgernn.errors import UnsupportedModel
from edgernn.importer.readings.windowed import STREAMS
from edgernn.kernels.isas import REFERENCE
from edgernn.layers import RNN
from edgernn.layers.definition import run
from edgernn.quantiser import quantise


def _cases(kind: str) -> list[Sequences]:
    options = {"direction": ("reverse", "bidirectional"), "layout": (0, 1), "count": (1,), "steps": (None,)}
    flavours = {"flavour": range(len(FLAVOURS[kind])), "initial": (False, True)}
    return [Sequences(kind, **row) for row in covering(options | flavours)]


RECURRENT = [case for kind in GATES for case in _cases(kind)]


@pytest.mark.parametrize("case", RECURRENT, ids=lambda case: case.id)
def test_recurrent_layers_run_backwards_over_each_window(case: Sequences) -> None:
    model, x = converted(case.model(), hop=2), some_frames(FRAMES, 1, 3)
    answers, definition = model.stream().run(x[:, 0]), run(model, x[:, 0])
    for row, end in enumerate(ends(WINDOW, 2)):
        part = x[end - WINDOW : end]
        for name, y in case.expected(part).items():
            assert np.abs(answers[name][row] - y.reshape(-1)).max() < LIMIT, name
            assert np.abs(definition[name][row] - y.reshape(-1)).max() < LIMIT, name
        if not case.layout and row == 0:  # ONNX Runtime refuses layout=1
            given = onnx_runtime(case.model(), {"x": part})
            assert all(np.abs(y - case.expected(part)[name]).max() < LIMIT for name, y in given.items())


@pytest.mark.parametrize("hop", [1, 3, WINDOW])
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_over_the_whole_sequence(name: str, hop: int) -> None:
    source = GRAPHS[name]("batch", "time")
    check(source, converted(source, hop=hop), some_frames(1, FRAMES, N_IN))


@pytest.mark.parametrize("window", [100, 4096])
def test_loops_of_cells_are_one_layer_over_all_turns(window: int) -> None:
    model = converted(GRAPHS["looped"]("B", "T"), window)
    layers = [node.layer for node in model.nodes]
    assert len(layers) < 12 and sum(isinstance(layer, RNN) for layer in layers) == 2


def test_bands_run_backwards_within_a_step_that_keeps_its_past() -> None:
    """A step graph with a ring buffer of frames, of which a layer runs over the bands: its cells start anew."""
    nodes = [node("Concat", "past x", "all", axis=0), node("Slice", "all one three zero", "past_out")]
    nodes += [node("ReduceMax", "all", "m", axes=[0], keepdims=1), node("Transpose", "m", "t", perm=[1, 0, 2])]
    nodes += [node("GRU", "t W R B", "Y", hidden_size=HIDDEN, direction="bidirectional")]
    held = Sequences("GRU", "bidirectional").values() | {"one": ints(1), "three": ints(3), "zero": ints(0)}
    source = graph(nodes, {"x": (1, 4, 3), "past": (2, 4, 3)}, ["Y", "past_out"], held)
    report = importer.analyse(source.SerializeToString())
    assert report.states == (("past", "past_out"),) and report.model is not None, report.problems
    assert [port.size for port in report.model.inputs] == [12]


@pytest.mark.parametrize("format", ["none", "int8"])
def test_what_is_no_cell_stores_its_weights_once(format: str, tmp_path: Path) -> None:
    sizes = []
    for window in (2, 12):
        model = quantise(converted(GRAPHS["counted"](1, "T"), window), format)
        model.save(tmp_path / "m.edgernn")
        sizes.append((tmp_path / "m.edgernn").stat().st_size)
        x = some_frames(FRAMES, N_IN)
        loaded = edgernn.load(tmp_path / "m.edgernn")
        assert loaded.hash == model.hash
        assert all(np.array_equal(y, model.stream().run(x)[name]) for name, y in loaded.stream().run(x).items())
    described = 10 * 5 * 300  # of each turn, in the header
    assert sizes[1] - sizes[0] < described


def test_several_inputs_slide_together() -> None:
    case = Sequences("LSTM", "bidirectional")
    nodes = [node("Concat", "a b", "x", axis=2), case.node()]
    source = graph(nodes, {"a": ("T", 1, 2), "b": ("T", 1, 1)}, ["Y"], case.values())
    model, a, b = converted(source, hop=3), some_frames(FRAMES, 1, 2), some_frames(FRAMES, 1, 1)
    answers = model.stream().run({"a": a[:, 0], "b": b[:, 0]})
    for row, end in enumerate(ends(WINDOW, 3)):
        expected = onnx_runtime(source, {"a": a[end - WINDOW : end], "b": b[end - WINDOW : end]})["Y"]
        assert np.abs(answers[row] - expected.reshape(-1)).max() < LIMIT


def test_an_input_without_time_is_that_of_the_last_frame() -> None:
    nodes = [node("Mul", "x gain", "g"), Sequences("GRU", "reverse").node()]
    nodes[1].input[0] = "g"
    source = graph(nodes, {"x": ("T", 1, 3), "gain": (1, 3)}, ["Y"], Sequences("GRU", "reverse").values())
    model, x, gain = converted(source), some_frames(FRAMES, 1, 3), some_frames(FRAMES, 3)
    answers = model.stream().run({"x": x[:, 0], "gain": gain})
    for row, end in enumerate(ends(WINDOW, 1)):
        expected = onnx_runtime(source, {"x": x[end - WINDOW : end], "gain": gain[end - 1 : end]})["Y"]
        assert np.abs(answers[row] - expected.reshape(-1)).max() < LIMIT


@pytest.mark.parametrize("hop", [1, 3, 11])
@pytest.mark.parametrize("name", ["stacked", "heads", "counted"])
def test_any_chunks_and_saved_states_give_the_same_bits(name: str, hop: int) -> None:
    model, x = quantise(converted(GRAPHS[name](1, "T"), hop=hop)), some_frames(FRAMES, N_IN)
    port = model.outputs[0].name
    whole = named(model, model.stream().run(x))[port]
    stream, parts = model.stream(), []
    for start in range(0, FRAMES, 3):
        blob, stream = stream.save_state(), model.stream()
        stream.load_state(blob)
        parts.append(named(model, stream.run(x[start : start + 3]))[port])
    assert np.array_equal(np.concatenate(parts), whole)
    stream.reset()
    stepped = [stream.step(frame) for frame in x]
    assert [answer is not None for answer in stepped] == [t + 1 in ends(WINDOW, hop) for t in range(FRAMES)]
    assert np.array_equal([named(model, answer)[port] for answer in stepped if answer is not None], whole)


@pytest.mark.parametrize("name", ["attention", "stacked", "looped", "counted"])
def test_quantised_bits_are_those_of_the_reference(name: str) -> None:
    model, x = quantise(converted(GRAPHS[name](1, "T"))), some_frames(FRAMES, N_IN)
    expected = stream_on(REFERENCE, model).run(x)
    for isa in COMPILED:
        np.testing.assert_equal(stream_on(isa, model).run(x), expected, err_msg=isa)


def test_a_graph_that_could_stream_says_so() -> None:
    nodes = [node("GRU", "x W R B", "Y", hidden_size=5)]
    source = graph(nodes, {"x": ("T", 1, 3)}, ["Y"], weights("GRU", 3, 5))
    assert STREAMS in importer.analyse(source.SerializeToString(), window=4).notes
    assert STREAMS not in importer.analyse(GRAPHS["stacked"](1, "T").SerializeToString(), window=4).notes
    check(source, converted(source), some_frames(FRAMES, 1, 3), 0)


def test_a_kernel_that_reaches_far_beyond_the_window_costs_no_memory() -> None:
    """Of its two places the first one never leaves the padding."""
    start, kernel, answers = node("Transpose", "x", "t", perm=[1, 2, 0]), some(3, 3, 2), []
    after = [node("Transpose", "c", "s", perm=[2, 0, 1])]
    after += [node("GRU", "s W R B", "y", hidden_size=5, direction="reverse")]
    for held, given in ((kernel, {"dilations": [10**9], "pads": [10**9, 0]}), (kernel[:, :, 1:], {})):
        nodes = [start, node("Conv", "t K", "c", **given), *after]
        source = graph(nodes, {"x": ("T", 1, 3)}, ["y"], {**weights("GRU", 3, 5), "K": held})
        answers.append(converted(source).stream().run(some_frames(FRAMES, 3)))
    assert np.abs(answers[0] - answers[1]).max() < LIMIT


def test_a_sequence_is_turned_round_as_far_as_it_goes() -> None:
    """ReverseSequence of two sequences, of which one is shorter, beside a cell."""
    nodes = [node("ReverseSequence", "x lengths", "r", batch_axis=0, time_axis=1)]
    nodes += [node("ReduceMean", "x", "m", axes=[1], keepdims=1), node("Sub", "r m", "y")]
    for lengths in ((WINDOW, 4), (1, 0)):
        source = graph(nodes, {"x": (2, WINDOW, 3)}, ["y"], {"lengths": ints(*lengths)})
        check(source, converted(source), some_frames(2, FRAMES, 3))
    source = graph(nodes, {"x": (2, WINDOW, 3)}, ["y"], {"lengths": ints(4)})
    with pytest.raises(UnsupportedModel, match="2 lengths up to 7 expected"):
        converted(source)


def test_the_command_line_converts_verifies_and_runs_windows(tmp_path: Path) -> None:
    source, target = tmp_path / "m.onnx", tmp_path / "m.edgernn"
    onnx.save(GRAPHS["stacked"]("batch", "time"), source)
    assert "windows of 9 frames" in good("inspect", source, "--window", 9, "--hop", 4)
    good("convert", source, "-o", target, "--window", 9, "--hop", 4)
    model = edgernn.load(target)
    assert (model.window, model.hop, model.origin["window"]) == (9, 4, 9)
    assert "Within the limit" in good("verify", target, "--against", source, "--steps", 60)
    assert "hop" in good("inspect", target)
    np.save(tmp_path / "x.npy", some_frames(20, N_IN))
    rows = good("run", target, tmp_path / "x.npy").splitlines()
    assert len(rows) == 1 + 3  # after 9, 13 and 17 frames
    timed = good("bench", target, "--steps", 100, "--against", source)
    assert "4 steps, an answer" in timed and "times the median of edgernn" in timed
    assert "window=N" in bad("convert", source, "-o", target) and "window" in bad("inspect", source, "--hop", 2)
    onnx.save(GRAPHS["stacked"](1, 9), source)
    assert "window=9" in bad("convert", source, "-o", target, "--window", 5)


def test_parity_of_a_quantised_window_model(tmp_path: Path) -> None:
    source = tmp_path / "m.onnx"
    onnx.save(GRAPHS["stacked"]("batch", "time"), source)
    model = edgernn.convert(source, window=9, quantize="int8", calibration=some_frames(50, N_IN))
    assert min(found["snr"] for found in model.origin["parity"]["outputs"].values()) > 25
    other = replace(model, hop=2)
    assert parity(other, source, some_frames(50, N_IN)).keys() == {"y", "h"}
