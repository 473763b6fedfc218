"""From an ONNX file to a model and its figures: every kind of graph is compared with ONNX Runtime in its own way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import CLASSIFIER, EXPORTS, GOLDEN, SEQUENCE, STATEFUL, STEP
from conftest import COMPILED, instruction_set
from onnx_cases import graph, node, weights

import edgernn
from edgernn.conversion import analyse_again
from edgernn.conversion.certificate import figures_of, holds
from edgernn.conversion.formats import formatted
from edgernn.conversion.noise import noise
from edgernn.conversion.oracle import Oracle
from edgernn.conversion.parity import parity
from edgernn.errors import BackendUnavailable
from edgernn.layers import GRU
from edgernn.layers.summary import number_format, weight_bytes
from edgernn.quantiser import quantise
from edgernn.quantiser.drift import drift
from edgernn.quantiser.reach import ESTIMATORS

EXAMPLE = EXPORTS / "deep_gru_dynamo.onnx"  # its time axis is called free, but only its example's length works
CARRIED = EXPORTS / "lstm_state_dynamo.onnx"  # the same, with states as inputs and outputs
TOKENS = EXPORTS / "tagger_torchscript.onnx"

# file, frames a call takes, frames compared of 100
KINDS = [
    (SEQUENCE, None, 100),
    (STATEFUL, None, 100),
    (TOKENS, None, 100),
    (STEP, 1, 100),
    (EXAMPLE, 12, 12),
    (CARRIED, 12, 96),
]


@pytest.mark.parametrize(("source", "chunk", "compared"), KINDS, ids=lambda value: getattr(value, "stem", None))
def test_every_kind_of_graph_is_compared(source: Path, chunk: int | None, compared: int) -> None:
    model = edgernn.convert(source)
    assert Oracle(source, model).chunk == chunk
    for found in parity(model, source, steps=100).values():
        assert found.frames == compared and found.max_error < 1e-5


def test_a_classifier_is_compared_at_the_ends_of_sequences() -> None:
    model = edgernn.convert(CLASSIFIER)
    answers = Oracle(CLASSIFIER, model).answers(noise(model.inputs, 100))
    (places,) = [found.places for found in answers.values()]
    assert places[0] == 0 and places[-1] == 99 and len(places) > 10
    assert all(found.max_error < 1e-5 for found in parity(model, CLASSIFIER, steps=100).values())


def test_what_a_sequence_has_one_of_is_held_while_it_is_compared(tmp_path: Path) -> None:
    nodes = [node("Unsqueeze", "who one", "w1"), node("Add", "x w1", "a"), node("GRU", "a W R B", "Y", hidden_size=3)]
    model = graph(nodes, {"x": ["T", 1, 4], "who": [1, 4]}, ["Y"], {**weights("GRU", 4, 3), "one": np.array([0])})
    onnx.save(model, tmp_path / "speaker.onnx")
    (found,) = parity(edgernn.convert(tmp_path / "speaker.onnx"), tmp_path / "speaker.onnx", steps=50).values()
    assert found.frames == 50 and found.max_error < 1e-5


def test_a_graph_in_float16_is_compared(tmp_path: Path) -> None:
    """As torch writes it. ONNX Runtime, with all that it optimises, ends the process while it reads the product."""
    held = {**weights("GRU", 3, 5), "V": np.ones((5, 2))}
    cell = node("GRU", "t W R B", "Y", hidden_size=5, linear_before_reset=1)
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2]), cell, node("Squeeze", "Y axis", "s")]
    nodes += [node("Transpose", "s", "u", perm=[1, 0, 2]), node("MatMul", "u V", "y")]
    constants = {name: value.astype(np.float16) for name, value in held.items()} | {"axis": np.array([1])}
    source = graph(nodes, {"x": (1, "T", 3)}, ["y"], constants)
    for value in (*source.graph.input, *source.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(source, tmp_path / "m.onnx")
    (figures,) = parity(edgernn.convert(tmp_path / "m.onnx"), tmp_path / "m.onnx", steps=50).values()
    assert figures.frames == 50 and figures.snr > 50


def test_a_graph_of_fixed_length_is_compared_over_one_call_at_least() -> None:
    """EXAMPLE takes 12 frames a call."""
    model = edgernn.convert(EXAMPLE)
    (found,) = parity(model, EXAMPLE, steps=5).values()
    assert found.frames == 12
    with pytest.raises(BackendUnavailable, match="takes 12 frames a call; only 5 are given"):
        parity(model, EXAMPLE, np.zeros((5, model.inputs[0].size)))


@pytest.mark.parametrize(("direction", "window"), [("forward", None), ("bidirectional", 7)])
def test_lengths_of_sequences_are_the_number_of_frames(direction: str, window: int | None, tmp_path: Path) -> None:
    """As torch writes packed sequences: it sorts them by their lengths, of which one is left."""
    ways = 2 if direction == "bidirectional" else 1
    held = {name: np.repeat(value, ways, axis=0) for name, value in weights("GRU", 3, 5).items()}
    nodes = [node("TopK", "lengths k", "sorted order", axis=0), node("Cast", "sorted", "lens", to=6)]
    nodes += [node("Gather", "x order", "p", axis=0), node("Transpose", "p", "t", perm=[1, 0, 2])]
    nodes += [node("GRU", "t W R B lens", "y h", hidden_size=5, direction=direction)]
    ports = {"x": (1, "T", 3), "lengths": (1,)}
    onnx.save(graph(nodes, ports, ["y", "h"], held | {"k": np.array([1])}, integers=["lengths"]), tmp_path / "m.onnx")
    model = edgernn.convert(tmp_path / "m.onnx", window=window)
    assert [port.name for port in model.inputs] == ["x"]
    assert "'lengths' is taken as the number of frames" in str(analyse_again(tmp_path / "m.onnx", model).notes)
    for found in parity(model, tmp_path / "m.onnx", steps=40).values():
        assert found.frames > 15 and found.max_error < 1e-5


def test_a_wrong_model_is_found_out() -> None:
    model = edgernn.convert(SEQUENCE, quantize="int8")
    (found,) = parity(model, SEQUENCE, steps=100).values()
    assert 1e-5 < found.max_error < 0.1 and 30 < found.snr < 80
    with pytest.raises(edgernn.BadInput, match="did not come from"):
        parity(edgernn.load(GOLDEN / "small.edgernn"), SEQUENCE)


def test_calibration_figures_are_kept() -> None:
    frames = noise(edgernn.convert(SEQUENCE).inputs, 30)["x"]
    one = edgernn.convert(SEQUENCE, quantize="int8", calibration=frames)
    assert one.origin["parity"]["outputs"]["y"]["frames"] == 30
    several = edgernn.convert(SEQUENCE, quantize="int8", calibration=[frames, {"x": frames[:5]}])
    assert several.origin["parity"]["outputs"]["y"]["frames"] == 35
    assert one.hash == several.hash


@pytest.mark.parametrize("frames", [[], 3.0, np.zeros((4, 5), np.float32), [{"z": np.zeros((4, 6))}]])
def test_calibration_that_does_not_fit_is_refused(frames: object) -> None:
    with pytest.raises(edgernn.BadInput):
        edgernn.convert(SEQUENCE, calibration=frames)


def test_the_origin_says_where_a_model_came_from() -> None:
    origin = edgernn.convert(STATEFUL).origin
    assert origin["states"] == {"h0": "hn", "c0": "cn"} and "time" in origin["time"] and origin["notes"] == []
    assert origin["producer"].startswith("pytorch") and len(origin["sha256"]) == 64


def test_what_convert_refuses() -> None:
    with pytest.raises(ValueError, match="one of none, float16, int8, int8x16, int16, int4, auto expected"):
        edgernn.convert(SEQUENCE, quantize="int32")
    with pytest.raises(edgernn.UnsupportedModel, match="bidirectional"):
        edgernn.convert(EXPORTS / "keras_bidirectional.onnx")


def test_static_scales_come_from_calibration() -> None:
    frames = noise(edgernn.convert(SEQUENCE).inputs, 4000)["x"]
    frames[7, 0] = 100  # one number is far out
    snr, reach = {}, {}
    for how in ESTIMATORS:
        made = edgernn.convert(SEQUENCE, quantize="int8", static=how, calibration=frames)
        (cell,) = [node.layer for node in made.nodes if isinstance(node.layer, GRU)]
        reach[how] = [float(weight.reach[0]) for weight in (cell.W, cell.R)]
        snr[how] = made.origin["drift"]["outputs"]["y"]["snr"]
        assert any("saturates" in note and "W meets" in note for note in made.origin["notes"]) == (how == "percentile")
    assert reach["max"] == [np.abs(frames).max(), reach["max"][1]] and reach["max"][1] <= 1
    assert reach["percentile"][0] < 10 and reach["mse"][0] < 100
    dynamic = edgernn.convert(SEQUENCE, quantize="int8", calibration=frames).origin["drift"]["outputs"]["y"]["snr"]
    assert max(snr.values()) > 20 and dynamic > max(snr.values())
    for wrong in ({"static": "mse"}, {"static": "most", "calibration": frames}):
        with pytest.raises(edgernn.BadInput, match="static"):
            edgernn.convert(SEQUENCE, quantize="int8", **wrong)
    with pytest.raises(edgernn.BadInput, match="for quantised models"):
        edgernn.convert(SEQUENCE, static="mse", calibration=frames)


@pytest.mark.parametrize(("name", "least"), [("int8", 30), ("int8x16", 33), ("int16", 75), ("int4", 10)])
def test_a_quantised_model_brings_its_drift(name: str, least: float, tmp_path: Path) -> None:
    model = edgernn.convert(STATEFUL, quantize=name)
    model.save(tmp_path / "m.edgernn")
    loaded = edgernn.load(tmp_path / "m.edgernn")
    found, frames = figures_of(loaded)
    assert frames == "noise" and found["y"].frames == 5000 and found["y"].snr > least
    assert np.abs(found["y"].growth) < 0.1 * found["y"].rms_error
    for isa in COMPILED:
        with instruction_set(isa):
            assert holds(loaded)
    other = edgernn.convert(STATEFUL, quantize="int8" if name != "int8" else "int16")
    assert not holds(replace(other, origin=loaded.origin))


def test_a_float_model_has_no_certificate() -> None:
    assert "drift" not in edgernn.convert(STATEFUL).origin
    for check in (figures_of, holds):
        with pytest.raises(edgernn.BadInput, match="no drift certificate"):
            check(edgernn.convert(STATEFUL))


VAD = EXPORTS.parent.parent / "models" / "vad-raw"


def test_weights_are_rounded_for_what_they_meet() -> None:
    """On a trained model; what is held out is judged by, too."""
    frames = np.load(VAD / "io.npz")["x"]
    model = edgernn.convert(VAD / "model.onnx")
    for name, seen, heard, gain in (
        ("int4", frames, frames, 6),
        ("int4", frames[274:], frames[:274], 6),
        ("int8", frames, frames, 1),
        ("int8x16", frames, frames, 3),
    ):
        expected, made = model.stream().run(heard), formatted(model, name, calibration=seen)
        plain, fitted = (drift(m.stream().run(heard), expected).snr for m in (quantise(model, name), made))
        assert fitted - plain > gain, f"{name}: {plain:.1f} to {fitted:.1f} dB"
    few = formatted(model, "int4", calibration=frames[:99])
    assert few.hash == quantise(model, "int4").hash


@pytest.mark.parametrize(("least", "most"), [(20.0, 0.7), (45.0, 1.0), (80.0, 2.0), (150.0, 4.0)])
def test_auto_finds_the_smallest_that_keeps_the_ratio(least: float, most: float) -> None:
    frames = np.load(VAD / "io.npz")["x"]
    told: list[str] = []
    float_model = edgernn.convert(VAD / "model.onnx")
    made = formatted(float_model, "auto", min_snr=least, calibration=frames, progress=told.append)
    sizes = [weight_bytes(quantise(float_model, "int8")), weight_bytes(made)]
    assert sizes[1] <= most * sizes[0] and "layer 1 of 4, parts in int4" in told
    if least < 150:
        found, _ = figures_of(made)
        assert found["y"].snr >= least
    chosen = made.origin["auto"]
    stored = {node.name: number_format(node.layer).replace("float32", "none") for node in made.nodes}
    assert {name: one["format"] for name, one in chosen["layers"].items()}.items() <= stored.items()
    assert set(chosen["layers"]) == {"parts", "product", "Y", "score"} and stored["bands"] == "none"


def test_auto_leaves_what_is_fixed() -> None:
    model = edgernn.convert(STATEFUL, quantize="auto", min_snr=25, layers={"/lstm/*": "int16"})
    stored = {type(node.layer).__name__: number_format(node.layer) for node in model.nodes}
    assert stored["LSTM"] == "int16" and list(model.origin["auto"]["layers"]) == ["/out/MatMul_output_0"]
    for wrong in ({"quantize": "auto"}, {"quantize": "int8", "min_snr": 30}, {"quantize": "auto", "min_snr": np.nan}):
        with pytest.raises(edgernn.BadInput, match="min_snr"):
            edgernn.convert(STATEFUL, **wrong)


def test_noise_fits_the_ports() -> None:
    (port,) = edgernn.convert(TOKENS).inputs
    tokens = noise([port], 1000)[port.name]
    assert tokens.dtype == np.int64 and port.low <= tokens.min() and tokens.max() <= port.high
    ports = edgernn.load(GOLDEN / "small.edgernn").inputs
    first, again = noise(ports, 9), noise(ports, 9)
    assert [array.shape for array in first.values()] == [(9, 3), (9, 1)]
    assert all((first[name] == again[name]).all() and first[name].dtype == np.float32 for name in first)


def test_what_runs_on_windows_is_judged_by_so_many_windows() -> None:
    """Nothing goes on from one to the next: more frames would tell nothing, and each costs a whole window."""
    nodes = [node("GRU", "x W R B", "Y", hidden_size=8, direction="bidirectional"), node("ReduceSum", "Y", "y")]
    held = {name: np.concatenate([part, -part]) for name, part in weights("GRU", 3, 8).items()}
    source = graph(nodes, {"x": ["T", 1, 3]}, ["y"], held).SerializeToString()
    model = edgernn.convert(source, window=6, hop=2, quantize="int8")
    assert model.origin["drift"]["check"]["steps"] == 6 + 199 * 2


def test_a_model_of_many_outputs_is_looked_at_over_fewer_steps(tmp_path: Path) -> None:
    """A language model of 40,000 words: its answers over 5,000 steps would be 800 MB, and as much again beside them."""
    words = 40_000
    rng = np.random.default_rng(0)
    held = weights("LSTM", 2, 3) | {
        "table": rng.standard_normal((words, 2)).astype(np.float32),
        "out": rng.standard_normal((3, words)).astype(np.float32),
        "one": np.array([1]),
    }
    nodes = [node("Gather", "table x", "e"), node("Transpose", "e", "t", perm=[1, 0, 2])]
    nodes += [node("LSTM", "t W R B", "h", hidden_size=3), node("Squeeze", "h one", "s"), node("MatMul", "s out", "y")]
    onnx.save(graph(nodes, {"x": (1, "T")}, ["y"], held, integers=["x"]), tmp_path / "m.onnx")
    made = edgernn.convert(tmp_path / "m.onnx", quantize="int8")
    assert made.origin["drift"]["check"]["steps"] * words < 2**23 and holds(made)
    assert parity(made, tmp_path / "m.onnx")["y"].frames * words < 2**23
    assert edgernn.convert(SEQUENCE, quantize="int8").origin["drift"]["check"]["steps"] == 5000
