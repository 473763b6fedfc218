"""More trained models of other projects: chains of networks, windows, and weights that came in 8 bits."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from dequantised import dequantised
from test_real_models import RATE, TOLERANCE, bands, by_frame, model_file, session, speech

import edgernn
from edgernn.layers.base import Array
from edgernn.quantiser import quantise

__all__ = ["speech"]  # a fixture
STATES = {"enc": (1, 1, 256), "erb_dec": (1, 1, 256), "df_dec": (3, 1, 256)}


def close(found: Array, expected: Array) -> bool:
    return bool(np.abs(found - expected).max() < TOLERANCE * max(1, np.abs(expected).max()))


def test_hush_carries_the_states_that_it_names(speech: Array) -> None:
    """A denoiser of three networks over time, whose states are inputs and outputs."""
    z = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(speech, 320)[::160] * np.hanning(320))[:, :64]
    spec = (np.stack([z.real, z.imag], axis=1) / np.abs(z).mean()).astype(np.float32)  # (T, 2, 64)
    held = {"feat_erb": bands(speech, 32)[None, None, : len(spec)], "feat_spec": spec.swapaxes(0, 1)[None]}
    held = {name: x[:, :, : held["feat_erb"].shape[2]] for name, x in held.items()}
    count = held["feat_erb"].shape[2]
    for name, shape in STATES.items():
        path = model_file(f"hush_{name}")
        runtime, model = session(path), edgernn.convert(path)
        assert model.origin["states"] == {f"h_{name}_in": f"h_{name}_out"}
        given = {i.name: held[i.name] for i in runtime.get_inputs() if i.name in held}
        start = {f"h_{name}_in": np.zeros(shape, np.float32)}
        made = dict(zip((o.name for o in runtime.get_outputs()), runtime.run(None, given | start), strict=True))
        answers = model.stream().run({port: by_frame(x, count) for port, x in given.items()})
        for output, y in (answers if isinstance(answers, dict) else {model.outputs[0].name: answers}).items():
            assert close(y, by_frame(made[output], count)), (name, output)
        held |= made


@pytest.mark.parametrize("name", ["gtcrn", "fastenhancer", "deepfilter_frame"])
def test_denoisers_of_a_frame_a_call_carry_their_caches(name: str, speech: Array) -> None:
    """Two to twelve states, some of which only keep what came; transforms and overlaps inside the graph, or outside."""
    path = model_file(name)
    runtime, model = session(path), edgernn.convert(path)
    frame, *states = runtime.get_inputs()
    assert model.origin["states"].keys() == {given.name for given in states}
    x = np.lib.stride_tricks.sliding_window_view(speech, 512)[:: 512 if name == "deepfilter_frame" else 256][:120]
    if name == "gtcrn":
        z = np.fft.rfft(x * np.hanning(512) ** 0.5)
        x = np.stack([z.real, z.imag], axis=-1).astype(np.float32)
    held = {given.name: np.zeros(given.shape, np.float32) for given in states}
    names, expected = [made.name for made in runtime.get_outputs()], []
    for row in x:
        made = dict(zip(names, runtime.run(None, {frame.name: row.reshape(frame.shape), **held}), strict=True))
        held = {before: made[after].reshape(held[before].shape) for before, after in model.origin["states"].items()}
        expected.append(made[names[0]].reshape(-1))
    found = model.stream().run(x.reshape(len(x), -1))
    assert close(found, np.array(expected)) and np.abs(expected[-1]).max() > 0


def test_the_front_end_of_a_wake_word_runs_on_windows(speech: Array) -> None:
    """Sound becomes bands, 8 frames at a time, and 76 of these an embedding: both by convolutions."""
    mel, embedding = model_file("wakeword_mel"), model_file("wakeword_embedding")
    samples = 32768 * speech[: 3 * RATE, None]
    found = edgernn.convert(mel, window=1760, hop=1280).stream().run(samples).reshape(-1, 32)
    runtime = session(mel)
    parts = [runtime.run(None, {"input": samples[at : at + 1760].T})[0] for at in range(0, len(samples) - 1759, 1280)]
    expected = np.concatenate(parts, axis=2).reshape(-1, 32)
    assert close(found, expected) and np.ptp(expected) > 10
    frames = (expected / 10 + 2).astype(np.float32)
    vectors = edgernn.convert(embedding, window=76, hop=8).stream().run(frames)
    windows = np.stack([frames[at : at + 76, :, None] for at in range(0, len(frames) - 75, 8)])
    assert close(vectors, session(embedding).run(None, {"input_1": windows})[0].reshape(len(windows), -1))


def test_a_tagger_in_8_bits_is_the_float_graph_with_its_weights() -> None:
    """An LSTM in both directions that quantize_dynamic wrote, on windows of 20 letters."""
    path, tokens = model_file("rawi_int8"), np.random.default_rng(0).integers(1, 30, 60)
    model = edgernn.convert(path, window=20, hop=10)
    assert any("quantised at run time" in note for note in model.origin["notes"])
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    runtime = onnxruntime.InferenceSession(dequantised(onnx.load(path)).SerializeToString(), options)
    windows = np.stack([tokens[at : at + 20] for at in range(0, 41, 10)])
    expected = runtime.run(None, {"input": windows})[0].reshape(5, -1)
    assert close(model.stream().run(tokens), expected)
    error = quantise(model, "int8").stream().run(tokens) - expected
    assert 10 * np.log10((expected**2).sum() / (error**2).sum()) > 25
