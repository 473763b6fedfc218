"""Models that answer every `hop` frames and see `window` of them: the definition's answers, in chunks of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import call

import edgernn
from edgernn.errors import BadInput
from edgernn.layers.definition import run
from edgernn.layers.embedding import Embedding
from edgernn.layers.gru import GRU
from edgernn.layers.model import Model, Node, Port, State
from edgernn.quantiser import quantise
from edgernn.stream import Stream
from edgernn.stream.state import pack_state

RHYTHMS = [(2, 2), (3, 5), (4, 2), (1, 7)]  # hop, window
FRAMES = 23


def uniform(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(-0.5, 0.5, shape).astype(np.float32)


def model_of(hop: int, window: int, tokens: bool = False) -> Model:
    """A GRU that sees all frames of the window at once."""
    cell = Node("gru", GRU(uniform(12, 3 * window), uniform(12, 4), uniform(16)), ("frames", "h"), ("y",))
    first = Port("x", "frames", 3)
    nodes: tuple[Node, ...] = (cell,)
    if tokens:
        first = Port("x", "tokens", 1, "int64", -10, 9)
        nodes = (Node("rows", Embedding(uniform(10, 3)), ("tokens",), ("frames",)), cell)
    state = State("h", "y", np.zeros(4, np.float32))
    return Model((first,), (Port("y", "y", 4),), (state,), nodes, hop=hop, window=window)


def frames_of(tokens: bool) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.integers(-10, 10, FRAMES) if tokens else rng.standard_normal((FRAMES, 3)).astype(np.float32)


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize(("hop", "window"), RHYTHMS)
def test_answers_come_every_hop_once_the_window_is_full(hop: int, window: int, tokens: bool, tmp_path: Path) -> None:
    made = model_of(hop, window, tokens)
    made.save(tmp_path / "m.edgernn")
    model, x = edgernn.load(tmp_path / "m.edgernn"), frames_of(tokens)
    stream, expected = Stream(model), run(made, x)
    whole = stream.run(x)
    assert whole.shape == expected.shape == (1 + (FRAMES - window) // hop, 4)
    assert np.abs(whole - expected).max() < 1e-6
    stream.reset()
    stepped = [stream.step(frame) for frame in x]
    due = [t >= window - 1 and (t - window + 1) % hop == 0 for t in range(FRAMES)]
    assert [answer is not None for answer in stepped] == due
    assert np.array_equal(np.array([answer for answer in stepped if answer is not None]), whole)


@pytest.mark.parametrize(("hop", "window"), RHYTHMS)
def test_a_state_saved_between_answers_goes_on_with_the_same_bits(hop: int, window: int) -> None:
    model, x = quantise(model_of(hop, window)), frames_of(False)
    whole, parts, stream = Stream(model).run(x), [], Stream(model)
    for start in range(0, FRAMES, 3):
        blob = stream.save_state()
        stream = Stream(model)
        stream.load_state(blob)
        parts.append(stream.run(x[start : start + 3]))
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(("hop", "window"), RHYTHMS)
def test_a_quantised_model_has_the_bits_of_the_reference(
    hop: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = quantise(model_of(hop, window)), frames_of(False)
    compiled = Stream(model).run(x)
    monkeypatch.setenv("EDGERNN_ISA", "reference")
    assert np.array_equal(Stream(model).run(x), compiled)


@pytest.mark.parametrize("wait", [0.0, -1.0, 2.5, 6.0, 1e30, np.nan, np.inf])
def test_a_state_that_no_stream_can_be_in_is_refused(wait: float) -> None:
    stream = Stream(model_of(3, 5))
    before = stream.save_state()
    values = np.append(np.zeros(4 + 5 * 3, np.float32), np.float32(wait))
    with pytest.raises(BadInput, match="waits for"):
        stream.load_state(pack_state(stream.model.hash, values))
    assert stream.save_state() == before


def test_the_command_line_says_when_there_are_too_few_frames(tmp_path: Path) -> None:
    model_of(2, 5).save(tmp_path / "m.edgernn")
    for count, answers in ((4, 0), (9, 3)):
        np.save(tmp_path / "x.npy", frames_of(False)[:count])
        result = call("run", tmp_path / "m.edgernn", tmp_path / "x.npy")
        assert result.exit_code == 0 and len(result.stdout.splitlines()) == 1 + answers
        assert ("holds 4 frames; the first answer comes after 5" in result.stderr) == (answers == 0)
