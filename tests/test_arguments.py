"""What Python users hand over: a wrong value is a BadInput that says so, a wrong type a TypeError; nothing changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import SEQUENCE

import edgernn
from edgernn.errors import BadInput, BadModelFile, EdgernnError

N = 6  # numbers in a frame of SEQUENCE


@pytest.fixture(scope="module")
def model() -> edgernn.Model:
    return edgernn.convert(SEQUENCE)


VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "format": ({"quantize": "int3"}, "quantize='int3': one of none, .*, auto expected"),
    "format, a number": ({"quantize": 8}, "quantize=8: one of none, .*, auto expected"),
    "format of a layer": ({"layers": {"gru*": "int3"}}, "no number format 'int3'"),
    "layer": ({"layers": {"nobody": "int8"}}, "named 'nobody': there are"),
    "static": ({"quantize": "int8", "static": "most"}, "static='most': one of"),
    "static alone": ({"quantize": "int8", "static": "mse"}, "need calibration"),
    "auto alone": ({"quantize": "auto"}, "needs min_snr"),
    "min_snr alone": ({"min_snr": 40}, "needs min_snr"),
    "min_snr, text": ({"quantize": "auto", "min_snr": "40"}, "min_snr='40': a finite number of dB expected"),
    "min_snr, NaN": ({"quantize": "auto", "min_snr": float("nan")}, "min_snr=nan: a finite number of dB expected"),
    "calibration, a number": ({"calibration": 3}, "an array"),
    "calibration, numbers by port": ({"calibration": {"x": 1}}, "not one frame"),
    "calibration, ragged": ({"calibration": {"x": [[1], [1, 2]]}}, "no array of numbers"),
    "calibration, empty": ({"calibration": np.zeros((0, N))}, "not one frame"),
    "calibration, wide": ({"calibration": np.zeros((5, N + 1))}, "expected"),
    "constant": ({"constants": {"nobody": 1}}, "no input and no free dimension 'nobody'"),
    "window": ({"window": 10**9}, "window=1000000000: a number of frames from 1 to 4096"),
    "window, text": ({"window": "3"}, "window='3'"),
    "hop": ({"window": 5, "hop": 10**9}, "hop=1000000000"),
    "hop alone": ({"hop": 3}, "set window, too"),
}


@pytest.mark.parametrize("what", VALUES)
def test_a_value_that_cannot_be(what: str) -> None:
    given, says = VALUES[what]
    with pytest.raises(BadInput, match=says):
        edgernn.convert(SEQUENCE, **given)


@pytest.mark.parametrize("name", ["layers", "state", "constants"])
@pytest.mark.parametrize("given", [3, "x", [("a", "b")], {3: "int8"}])
def test_what_is_no_mapping_by_name(name: str, given: Any) -> None:
    with pytest.raises(TypeError, match=f"{name}=.*: a mapping by name expected"):
        edgernn.convert(SEQUENCE, **{name: given})


@pytest.mark.parametrize("path", [3, None, ["x"]])
def test_what_is_no_path(path: Any, model: edgernn.Model) -> None:
    for act in (edgernn.convert, edgernn.load, model.save):
        with pytest.raises(TypeError):
            act(path)


def test_a_path_where_nothing_can_be(tmp_path: Path, model: edgernn.Model) -> None:
    for path in ("", "/", "a\0b", "x" * 5000, tmp_path / "none"):
        with pytest.raises(BadModelFile):
            edgernn.convert(path)
    for path, error in ((tmp_path, IsADirectoryError), ("", IsADirectoryError), ("x" * 5000, OSError)):
        with pytest.raises(error):
            model.save(path)
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "none")):
        model.save(tmp_path / "none" / "m.edgernn")
    assert not list(tmp_path.iterdir())


def test_a_stream_of_what_is_no_model() -> None:
    with pytest.raises(TypeError, match="a Model expected"):
        edgernn.Stream(3)  # type: ignore[arg-type]


class Sub(np.ndarray):
    """A subclass of arrays."""


def aside(frame: np.ndarray) -> np.ndarray:
    """The same frame, not aligned."""
    held = np.frombuffer(b"\0" + frame.tobytes(), np.uint8)[1:]
    return held.view(np.float32)


FRAME = np.linspace(-1, 1, N, dtype=np.float32)
READ_ONLY = FRAME.copy()
READ_ONLY.flags.writeable = False
GOOD: dict[str, Any] = {
    "list": FRAME.tolist(),
    "tuple": tuple(FRAME.tolist()),
    "float64": FRAME.astype(np.float64),
    "big endian": FRAME.astype(">f4"),
    "long double": FRAME.astype(np.longdouble),
    "every second": np.repeat(FRAME, 2)[::2],
    "backwards": FRAME[::-1].copy()[::-1],
    "read-only": READ_ONLY,
    "subclass": FRAME.view(Sub),
    "not aligned": aside(FRAME),
    "memory": memoryview(FRAME),
    "by name": {"x": FRAME},
}
BAD: dict[str, Any] = {
    "nothing": None,
    "text": "abc",
    "number": 3,
    "0-d": np.array(0.0),
    "list of lists": [FRAME.tolist()],
    "ragged": [[1], [1, 2]],
    "objects": np.array([object()] * N),
    "numbers as objects": FRAME.astype(object),
    "complex": FRAME.astype(complex),
    "truth values": FRAME > 0,
    "texts": FRAME.astype(str),
    "dates": np.zeros(N, "M8[s]"),
    "records": np.zeros(N, [("a", "f4")]),
    "beyond float32": np.full(N, 1e300),
    "huge": [10**400] * N,
    "NaN": np.full(N, np.nan),
    "infinite": np.full(N, np.inf),
    "empty": np.zeros(0),
    "wide": np.zeros(N + 1),
    "masked": np.ma.masked_array(FRAME, FRAME > 0),
    "set": {1.0},
    "generator": (n for n in FRAME),
    "bytes": FRAME.tobytes(),
    "another name": {"q": FRAME},
    "a class": np.ndarray,
}


@pytest.mark.parametrize("what", GOOD)
def test_a_frame_in_any_clothes(what: str, model: edgernn.Model) -> None:
    given = GOOD[what]
    given = {model.inputs[0].name: FRAME} if what == "by name" else given
    np.testing.assert_array_equal(model.stream().step(given), model.stream().step(FRAME))
    many = {name: [held, held] for name, held in given.items()} if isinstance(given, dict) else [given, given]
    np.testing.assert_array_equal(model.stream().run(many), model.stream().run(np.stack([FRAME, FRAME])))


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_frame(what: str, model: edgernn.Model) -> None:
    stream = model.stream()
    stream.step(FRAME)
    before = stream.save_state()
    for act in (stream.step, stream.run):
        if (act, what) == (stream.run, "list of lists"):
            continue  # one frame
        with pytest.raises(BadInput):
            act(BAD[what])
        if isinstance(BAD[what], np.ndarray) and what != "empty":
            with pytest.raises(BadInput):
                stream.run(BAD[what][None])
    assert stream.save_state() == before


def test_no_frames_are_no_answers(model: edgernn.Model) -> None:
    assert model.stream().run(np.zeros((0, N))).shape == (0, model.outputs[0].size)


@pytest.mark.parametrize("out", ["a", [0.0], np.zeros(3), np.zeros(5, np.float64), READ_ONLY])
def test_out_that_does_not_fit(out: Any, model: edgernn.Model) -> None:
    with pytest.raises(BadInput, match="must be a writeable C-contiguous float32 array of shape"):
        model.stream().step(FRAME, out)


@pytest.mark.parametrize("blob", [None, "abc", b"", b"edgernnS", 3, np.zeros(9, np.uint8)])
def test_what_is_no_state(blob: Any, model: edgernn.Model) -> None:
    stream = model.stream()
    before = stream.save_state()
    with pytest.raises(BadInput, match=r"not a saved state|is bytes, not"):
        stream.load_state(blob)
    assert stream.save_state() == before


def test_min_snr_that_is_not_reached_is_an_error(model: edgernn.Model) -> None:
    with pytest.raises(BadInput, match=r"min_snr=90 dB is not reached: \d+\.\d dB with layers"):
        edgernn.convert(SEQUENCE, quantize="auto", min_snr=90.0, layers={"*": "int4"})


def test_patterns_fit_in_capitals_or_not(model: edgernn.Model) -> None:
    (name, *_) = [node.name for node in model.nodes if "GRU" in type(node.layer).__name__]
    for pattern in (name.lower(), name.upper(), "*" + name[1:].swapcase()):
        made = edgernn.convert(SEQUENCE, layers={pattern: "int8"})
        assert made.parameters == model.parameters and made.hash != model.hash


def test_few_frames_of_calibration_are_noted() -> None:
    frames = np.random.default_rng(0).normal(size=(20, N)).astype(np.float32)
    made = edgernn.convert(SEQUENCE, quantize="int8", calibration=frames)
    assert any(note.startswith("the calibration has 20 frames, too few") for note in made.origin["notes"])


def test_errors_come_whole_from_other_processes() -> None:
    import pickle

    with pytest.raises(EdgernnError) as raised:
        edgernn.convert(SEQUENCE, constants={"nobody": 1})
    problem = edgernn.errors.Problem("n", "GRU", "is odd")
    for error in (raised.value, edgernn.UnsupportedModel([problem])):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and str(again) == str(error)
