"""One stream of answers however the frames come: step, chunks of any size, saved and restored, forked."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import replace

import numpy as np
import pytest
from cases import CASES, SIZES, frames
from conftest import stream_on
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.errors import BadInput
from edgernn.kernels.isas import REFERENCE
from edgernn.layers.model import Model
from edgernn.quantiser import FORMATS, quantise
from edgernn.stream import Stream

MODELS = {
    f"{case}-{precision}": quantise(CASES[case](), precision)
    for case in ("LSTM-33-47", "GRU-3-5", "RNN-7-64", "tokens", "residual", "shift-register", "lstm-peepholes")
    for precision in ("none", "int8", "int16", "int4")
}


def same(a: object, b: object) -> None:
    np.testing.assert_equal(a, b)


def part(answers: object, start: int, stop: int) -> object:
    if isinstance(answers, dict):
        return {name: array[start:stop] for name, array in answers.items()}
    return answers[start:stop]  # type: ignore[index]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(MODELS)), st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 2**31))
def test_chunks_of_any_size_give_the_same_bits(name: str, chunks: list[int], seed: int) -> None:
    model = MODELS[name]
    x = frames(model, sum(chunks), seed)
    whole, stream, at = Stream(model).run(x), Stream(model), 0
    for size in chunks:
        same(stream.run(x[at : at + size]), part(whole, at, at + size))
        at += size


@pytest.mark.parametrize("name", sorted(MODELS))
def test_step_reset_save_load_and_fork(name: str) -> None:
    model = MODELS[name]
    x = frames(model, 30)
    stream = Stream(model)
    whole = stream.run(x)
    stream.reset()
    for t in range(10):
        y = stream.step(x[t])
        same(y, {k: v[t] for k, v in whole.items()} if isinstance(whole, dict) else whole[t])
    blob, twin = stream.save_state(), stream.fork()
    for other in (stream, twin):
        same(other.run(x[10:]), part(whole, 10, 30))
    late = Stream(model)
    late.load_state(blob)
    same(late.run(x[10:]), part(whole, 10, 30))
    late.load_state(blob)
    assert late.save_state() == blob


def test_copies_go_on_by_themselves() -> None:
    model = MODELS["LSTM-33-47-int8"]
    x = frames(model, 12)
    stream = Stream(model)
    stream.run(x[:6])
    expected, copies = stream.fork().run(x[6:]), [copy.copy(stream), copy.deepcopy(stream)]
    copies.append(pickle.loads(pickle.dumps(stream)))
    stream.run(x)
    for other in copies:
        same(other.run(x[6:]), expected)


def test_state_moves_between_instruction_sets(isa: str) -> None:
    model = MODELS["LSTM-33-47-int8"]
    x = frames(model, 20)
    here, there = stream_on(isa, model), stream_on(REFERENCE, model)
    here.run(x[:9])
    there.load_state(here.save_state())
    same(here.run(x[9:]), there.run(x[9:]))


def _bad_states(model: Model) -> dict[str, tuple[object, str]]:
    """Saved states, and what is said of them."""
    blob = Stream(model).save_state()
    other = Stream(SIZES["G"]()).save_state()
    flipped = bytearray(blob)
    flipped[60] ^= 1
    newer = bytearray(blob)
    newer[8] = 9
    return {
        "other": (other, "belongs to another model"),
        "flipped": (bytes(flipped), "damaged: its checksum"),
        "newer": (bytes(newer), "has format 9, this edgernn knows 1"),
        "short": (blob[:-1], "damaged: its checksum"),
        "empty": (b"", "these 0 bytes are not a saved state"),
        "text": ("x", "is bytes, not str"),
    }


@pytest.mark.parametrize("kind", ["other", "flipped", "newer", "short", "empty", "text"])
def test_a_bad_saved_state_is_refused_and_changes_nothing(kind: str) -> None:
    model = MODELS["GRU-3-5-int8"]
    stream = Stream(model)
    stream.run(frames(model, 5))
    before = stream.save_state()
    blob, said = _bad_states(model)[kind]
    with pytest.raises(BadInput, match=said):
        stream.load_state(blob)  # type: ignore[arg-type]
    assert stream.save_state() == before


def test_a_masked_array_is_refused_and_changes_nothing() -> None:
    model = MODELS["GRU-3-5-int8"]
    stream = Stream(model)
    before = stream.save_state()
    masked = np.ma.masked_array(frames(model, 5), mask=True)
    for call, masked_frames in (
        (stream.run, masked),
        (stream.step, masked[0]),
        (stream.run, {model.inputs[0].name: masked}),
    ):
        with pytest.raises(BadInput, match=f"'{model.inputs[0].name}' is a masked array"):
            call(masked_frames)
    assert stream.save_state() == before


NAN, INF = float("nan"), float("inf")
BAD_FRAMES = {
    "short": (np.zeros(2, np.float32), r"shape \(2,\), expected \(3,\)"),
    "matrix": (np.zeros((1, 3), np.float32), r"shape \(1, 3\), expected \(3,\)"),
    "scalar": (1.0, r"shape \(\), expected \(3,\)"),
    "text": (np.array(["a", "b", "c"]), "takes float32, got text"),
    "complex": (np.zeros(3, np.complex64), "takes float32, got complex64"),
    "nan": (np.array([0, NAN, 0], np.float32), "element 1 is nan; all numbers must be finite"),
    "infinity": (np.array([0, 0, -INF], np.float32), "element 2 is -inf; all numbers must be finite"),
    "nan64": (np.array([0, NAN, 0]), "element 1 is nan; all numbers must be finite"),
    "huge64": (np.array([0, 1e300, 0]), "element 1 is inf; all numbers must be finite in float32"),
    "nothing": (None, r"shape \(\), expected \(3,\)"),
    "names": ({"y": np.zeros(3, np.float32)}, "inputs are x; given: y"),
    "object": (object(), r"shape \(\), expected \(3,\)"),
    "ragged": ([[1.0], [2.0, 3.0]], "no array of numbers"),
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_bad_frames_are_refused_and_leave_the_state(kind: str) -> None:
    model = MODELS["GRU-3-5-none"]
    stream = Stream(model)
    stream.run(frames(model, 4))
    before = stream.save_state()
    given, said = BAD_FRAMES[kind]
    with pytest.raises(BadInput, match=said):
        stream.step(given)
    late = frames(model, 6)
    late[5, 1] = NAN
    with pytest.raises(BadInput, match="frame 5, element 1"):
        stream.run(late)
    assert stream.save_state() == before


def test_a_mapping_of_other_inputs_is_told_what_came() -> None:
    model = MODELS["GRU-3-5-none"]
    for names, told in (("y", "y"), ("xz", "x, z"), ("", "none")):
        with pytest.raises(BadInput, match=f"the model's inputs are x; given: {told}$"):
            Stream(model).step(dict.fromkeys(names, np.zeros(3)))


BEYOND = r"outside -50\.\.49"


@pytest.mark.parametrize(
    ("token", "said"),
    [(50, f"token 50 is {BEYOND}"), (np.uint64(2**64 - 1), BEYOND), (np.float32(0.5), "whole numbers: 0.5 came"),
     (-51, f"token -51 is {BEYOND}"), (2**40, BEYOND), (-(2**63), r"within -50\.\.49 expected"), (2**70, "got object"),
     (1.5, "whole numbers: 1.5 came"), ("a", "got text"), (None, "got object")],
)  # fmt: skip
def test_bad_tokens_are_refused(token: object, said: str) -> None:
    stream = Stream(MODELS["tokens-none"])
    before = stream.save_state()
    with pytest.raises(BadInput, match=said):
        stream.step(token)
    assert stream.save_state() == before


def test_tokens_come_as_any_integer() -> None:
    model = MODELS["tokens-int8"]
    forms = (7, np.int64(7), np.int32(7), np.array([7]), np.array(7, np.uint8), True + 6)
    answers = [Stream(model).step(form) for form in forms]
    for answer in answers[1:]:
        same(answer, answers[0])
    same(Stream(model).step(-1), Stream(model).step(49))


def test_frames_come_in_any_layout_and_number_type() -> None:
    model = MODELS["LSTM-33-47-none"]
    x = np.round(frames(model, 1)[0] * 4)
    expected = Stream(model).step(x)
    strided = np.zeros(66, np.float32)
    strided[::2] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(b"x" + x.tobytes(), np.uint8)[1:].view(np.float32)
    for form in (x.astype(np.float64), x.astype(np.int32), strided[::2], read_only, list(x), x[::-1][::-1], unaligned):
        same(Stream(model).step(form), expected)


@pytest.mark.parametrize("precision", FORMATS)
@pytest.mark.parametrize("case", ["LSTM-3-5", "GRU-3-5", "RNN-3-5", "rnn-relu", "gru-clip", "lstm-peepholes"])
def test_states_stay_finite_whatever_comes(case: str, precision: str) -> None:
    model = quantise(CASES[case](), precision)
    rng = np.random.default_rng(2)
    x = (frames(model, 300) * 10.0 ** rng.uniform(-30, 38, (300, 1))).clip(-3e38, 3e38).astype(np.float32)
    stream = Stream(model)
    stream.run(x)
    assert np.isfinite(stream._runner.states()).all()


def test_out_receives_the_answer() -> None:
    model = MODELS["GRU-3-5-none"]
    x = frames(model, 8)
    expected, stream = Stream(model).run(x), Stream(model)
    out = np.empty(3, np.float32)
    assert stream.step(x[0], out) is out
    same(out, expected[0])
    assert stream.step(x[1], out=out) is out
    rest = np.empty((6, 3), np.float32)
    assert stream.run(x[2:], out=rest) is rest
    same(rest, expected[2:])
    for bad in (np.empty(4, np.float32), np.empty(3), np.empty(6, np.float32)[::2], "out", {"z": np.empty(3)}):
        with pytest.raises(BadInput, match=r"out for 'y' must be .* of shape \(3,\)|out names \['z'\]"):
            stream.step(x[0], bad)


def test_no_frames_give_no_answers() -> None:
    model = MODELS["GRU-3-5-none"]
    stream = Stream(model)
    before = stream.save_state()
    assert stream.run(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert stream.save_state() == before


def test_several_ports_take_and_give_mappings() -> None:
    model = MODELS["residual-none"]
    x = frames(model, 3)
    by_name = Stream(model).run({"x": x})
    assert set(by_name) == {"y", "old"}
    same(by_name, Stream(model).run(x))
    out = {"y": np.empty((3, 24), np.float32)}
    assert Stream(model).run(x, out=out)["y"] is out["y"]


def test_answers_written_over_frames_are_right() -> None:
    model = CASES["GRU-16-16"]()
    model = replace(model, outputs=(replace(model.outputs[0], value="v1", size=16),))
    memory = frames(model, 21)
    expected = Stream(model).run(memory[:20])
    Stream(model).run(memory[:20], out=memory[1:])
    same(memory[1:], expected)


def test_a_step_outlives_its_stream() -> None:
    model = MODELS["LSTM-33-47-none"]
    x = frames(model, 2)
    expected = Stream(model).run(x)
    step = Stream(model).step
    import gc

    gc.collect()
    same(step(x[0]), expected[0])
    same(step(x[1]), expected[1])
    with pytest.raises(BadInput, match=r"shape \(1,\), expected \(33,\)"):
        step(np.zeros(1, np.float32))


def test_the_compiled_step_and_run_have_the_signatures_of_the_methods() -> None:
    model = SIZES["B"]()
    stream, x = Stream(model), frames(model, 2)
    for name in ("step", "run"):
        compiled, method = getattr(stream, name), getattr(Stream, name)
        assert [*inspect.signature(compiled).parameters] == [*inspect.signature(method).parameters][1:]
        assert compiled.__doc__
    same(stream.run(X=x), Stream(model).run(x))
    twin = stream.fork()
    same(stream.step(x=x[0]), twin.step(x[0]))
