"""The command line: what each command prints and writes, and that whatever goes wrong is said in one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

import edgernn
from edgernn.cli import COMMANDS, main
from edgernn.conversion.noise import noise

HERE = Path(__file__).parent
GOLDEN, EXPORTS = HERE / "golden", HERE / "exports"
SEQUENCE = EXPORTS / "gru_batch_first_torchscript.onnx"
STEP = EXPORTS / "lstm_cell_step_torchscript.onnx"
STATEFUL = EXPORTS / "lstm_state_torchscript.onnx"
CLASSIFIER = EXPORTS / "classifier_torchscript.onnx"


def call(*arguments: object, input: str | None = None) -> Result:
    """The command in this process."""
    return CliRunner().invoke(main, [str(a) for a in arguments], input=input)


def good(*arguments: object, input: str | None = None) -> str:
    """The standard output of a command that must succeed."""
    result = call(*arguments, input=input)
    assert result.exit_code == 0, result.output
    return result.stdout


def bad(*arguments: object, input: str | None = None) -> str:
    """The message of a command that must fail with exit status 1."""
    result = call(*arguments, input=input)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit) and "Traceback" not in result.output
    assert "unexpected" not in result.stderr, result.stderr
    first, *more = [line for line in result.stderr.splitlines() if not line.startswith("edgernn:")]
    assert first.startswith("error: ") and all(line.startswith("  - ") for line in more)
    return result.stderr


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model files by name, converted from the export zoo."""
    folder = tmp_path_factory.mktemp("models")
    made = {}
    for source in (SEQUENCE, STEP, STATEFUL, CLASSIFIER):
        made[source.stem] = folder / f"{source.stem}.edgernn"
        edgernn.convert(source).save(made[source.stem])
    return made


@pytest.fixture(scope="session")
def model(converted: dict[str, Path]) -> Path:
    """A model with one float input and one output."""
    return converted[SEQUENCE.stem]


def expected(path: Path, X: np.ndarray) -> np.ndarray:
    """The answers of a stream to these frames."""
    return np.asarray(edgernn.load(path).stream().run(X))


def test_help_lists_every_command() -> None:
    shown = good("--help")
    assert all(name in shown for name in COMMANDS)
    assert good("--version") == f"edgernn {edgernn.__version__}\n"
    for arguments in (["nonsense"], ["run"], ["convert", SEQUENCE], ["bench", "x", "--steps", "0"]):
        assert call(*arguments).exit_code == 2


def test_demo() -> None:
    shown = good("demo")
    assert "times real time" in shown and "0 s" in shown and "speech" in shown
    figures = json.loads(good("demo", "--json"))
    assert figures["frames"] == len(figures["speech"]) and figures["times_real_time"] > 1
    assert len(figures["segments"]) >= 2


def test_the_demo_model_is_what_the_tool_makes(tmp_path: Path) -> None:
    made = edgernn.convert(HERE.parent / "models" / "vad-raw" / "model.onnx", quantize="int8")
    assert made.hash == edgernn.load(Path(edgernn.__file__).parent / "demo" / "vad.edgernn").hash


@pytest.mark.parametrize("source", [SEQUENCE, STEP, STATEFUL, CLASSIFIER], ids=lambda p: p.stem)
@pytest.mark.parametrize("number_format", ["none", "int8"])
def test_convert_inspect_and_verify(source: Path, number_format: str, tmp_path: Path) -> None:
    target = tmp_path / "out.edgernn"
    shown = good("convert", source, "-o", target, "--quantize", number_format)
    assert "ONNX Runtime" in shown and "signal-to-noise" in shown
    assert "parity.outputs." in good("inspect", target)
    verified = json.loads(good("verify", target, "--against", source, "--steps", 500, "--json"))
    figures = next(iter(verified["outputs"].values()))
    assert verified["within_limit"]
    assert figures["max_error"] < 1e-5 if number_format == "none" else figures["snr"] > 30
    table = good("verify", target, "--against", source, "--steps", 500)
    assert "Within the limit" in table and "SNR" in table


def test_verify_fails_past_the_limit(model: Path) -> None:
    result = call("verify", model, "--against", SEQUENCE, "--steps", 100, "--limit", 1e-30)
    assert result.exit_code == 1 and "Past the limit" in result.stdout
    assert "did not come from" in bad("verify", model, "--against", EXPORTS / "elman_torchscript.onnx")


def test_calibration_frames_are_measured_on(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    frames = noise(edgernn.convert(SEQUENCE).inputs, 60)["x"]
    np.save(tmp_path / "frames" / "a.npy", frames[:40])
    np.savetxt(tmp_path / "frames" / "b.csv", frames[40:], delimiter=",")
    (tmp_path / "frames" / "notes.txt").write_text("left alone")
    arguments = ("convert", SEQUENCE, "-o", tmp_path / "m.edgernn", "--calibrate", tmp_path / "frames", "--json")
    parity = json.loads(good(*arguments))["parity"]
    assert [figures["frames"] for figures in parity.values()] == [60]
    in_python = edgernn.convert(SEQUENCE, calibration=[frames[:40], frames[40:]]).origin["parity"]["outputs"]
    assert in_python.keys() == parity.keys()


def test_states_can_be_named(tmp_path: Path) -> None:
    target = tmp_path / "m.edgernn"
    good("convert", STATEFUL, "-o", target, "--state", "h0=hn", "--state", "c0=cn")
    good("verify", target, "--against", STATEFUL, "--state", "h0=hn", "--state", "c0=cn", "--steps", 100)
    assert "nothing" in bad("convert", STATEFUL, "-o", tmp_path / "n.edgernn", "--state", "nothing=hn")
    assert call("convert", STATEFUL, "-o", target, "--state", "h0").exit_code == 2
    pairs = json.loads(good("inspect", STATEFUL, "--json"))["state_pairs"]
    assert pairs == [["h0", "hn"], ["c0", "cn"]]


def test_inspect_says_what_stops_a_file() -> None:
    result = call("inspect", EXPORTS / "keras_bidirectional.onnx")
    assert result.exit_code == 1 and "bidirectional" in result.stdout and "problem" in result.stdout
    found = json.loads(call("inspect", EXPORTS / "keras_bidirectional.onnx", "--json").stdout)
    assert not found["converts"] and found["problems"]


def test_inspect_shows_both_kinds_of_file(model: Path) -> None:
    for file in (model, SEQUENCE):
        shown = good("inspect", file)
        assert "GRU" in shown and "memory, avx2" in shown and "producer" in shown
        described = json.loads(good("inspect", file, "--json"))
        assert described["parameters"] > 0 and "avx2" in described["memory"]


def test_bench(model: Path) -> None:
    figures = json.loads(good("bench", model, "--steps", 200, "--rate", 100, "--against", SEQUENCE, "--json"))
    assert 0 < figures["step"]["median"] <= figures["step"]["p99"] <= figures["step"]["max"]
    assert figures["times_real_time"]["median"] > 1 and figures["onnxruntime"]["median"] > 0
    shown = good("bench", model, "--steps", 200)
    assert "first answer" in shown and "median" in shown


def test_doctor() -> None:
    found = json.loads(good("doctor", "--json"))
    assert found["isa"] in found["available"] and found["versions"]["numpy"] == np.__version__
    assert "instruction" in good("doctor") or found["isa"] in good("doctor")


def test_run_on_tables(model: Path, tmp_path: Path) -> None:
    X = noise(edgernn.load(model).inputs, 700)["x"]
    answers = expected(model, X)
    np.save(tmp_path / "x.npy", X.astype(np.float64))
    np.savetxt(tmp_path / "x.csv", X, delimiter=",", header=",".join(f"c{i}" for i in range(X.shape[1])), comments="")
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in X.tolist()))
    for name in ("x.npy", "x.csv", "x.jsonl"):
        header, *rows = good("run", model, tmp_path / name).splitlines()
        assert len(header.split(",")) == answers.shape[1]
        got = np.array([[np.float32(number) for number in row.split(",")] for row in rows])
        np.testing.assert_array_equal(got, answers)
        lines = good("run", model, tmp_path / name, "--json").splitlines()
        np.testing.assert_array_equal(np.array([json.loads(line) for line in lines], np.float32), answers)


def test_run_on_standard_input(model: Path) -> None:
    X = noise(edgernn.load(model).inputs, 5)["x"]
    csv = "".join(",".join(map(str, row)) + "\n" for row in X)
    lines = "\n".join(json.dumps(row) for row in X.tolist())
    assert good("run", model, "-", input=csv) == good("run", model, "-", input=lines)
    assert len(good("run", model, "-", input=csv).splitlines()) == 6
    assert good("run", model, "-", input="").count("\n") == 1


def test_run_answers_each_line_at_once(model: Path) -> None:
    size = edgernn.load(model).inputs[0].size
    command = [sys.executable, "-m", "edgernn", "run", str(model), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline()
        for _ in range(3):
            process.stdin.write(",".join(["0.5"] * size) + "\n")
            process.stdin.flush()
            assert process.stdout.readline().count(",") > 0
        process.stdin.close()
        assert process.wait() == 0


def test_run_on_several_ports() -> None:
    small = GOLDEN / "small.edgernn"
    lines = '{"x": [1, 2, 3], "gain": 2}\n{"gain": [1], "x": [0, 0, 0]}\n'
    first, second = map(json.loads, good("run", small, "-", "--json", input=lines).splitlines())
    assert first["mean"] == [1, 2, 3] and second["mean"] == [0.5, 1, 1.5] and len(first["y"]) == 2
    assert good("run", small, "-", input=lines).splitlines()[0] == "y.0,y.1,mean.0,mean.1,mean.2"


def write_wav(path: Path, samples: np.ndarray, channels: int = 1, width: int = 2) -> Path:
    """A PCM WAV file at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return path


def test_run_on_sound(tmp_path: Path) -> None:
    vad = Path(edgernn.__file__).parent / "demo" / "vad.edgernn"
    samples = np.random.default_rng(0).integers(-3000, 3000, 1000).astype("<i2")
    result = call("run", vad, write_wav(tmp_path / "x.wav", samples))
    rows = result.stdout.splitlines()[1:]
    answers = expected(vad, (samples[:768] / 32768).astype(np.float32).reshape(3, 256))
    assert [np.float32(row) for row in rows] == answers[:, 0].tolist()
    assert result.stderr.splitlines()[-1].startswith("left out the last 232 samples")
    wide = write_wav(tmp_path / "wide.wav", samples.astype("<i4") << 16, width=4)
    assert call("run", vad, wide).stdout.splitlines()[1:] == rows


def onnx_file(path: Path, operator: str) -> Path:
    """A file with one node that carries nothing from frame to frame."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    domain = "com.example" if operator == "Sparkle" else ""
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], domain=domain)], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def write(path: Path, data: bytes) -> Path:
    """A file with these bytes."""
    path.write_bytes(data)
    return path


def newer(path: Path) -> Path:
    """A model file of a format yet to come."""
    data = (GOLDEN / "small.edgernn").read_bytes()
    return write(path, data.replace(rb"\"format\":1", rb"\"format\":7"))


PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
Make = Callable[[Path], Path]
FILES: dict[str, tuple[str, Make, str]] = {
    "missing model": (".edgernn", lambda p: p, "No such file|there is no file"),
    "missing ONNX": (".onnx", lambda p: p, "No such file|there is no file"),
    "folder as model": (".edgernn", lambda p: p.mkdir() or p, "is not a file"),
    "folder as ONNX": (".onnx", lambda p: p.mkdir() or p, "folder"),
    "empty model": (".edgernn", lambda p: write(p, b""), "empty"),
    "empty ONNX": (".onnx", lambda p: write(p, b""), "empty"),
    "PNG as model": (".edgernn", lambda p: write(p, PNG), "not an edgernn model file"),
    "PNG as ONNX": (".onnx", lambda p: write(p, PNG), "not an ONNX file"),
    "ONNX as model": (".edgernn", lambda p: write(p, SEQUENCE.read_bytes()), "must be converted first"),
    "truncated ONNX": (".onnx", lambda p: write(p, SEQUENCE.read_bytes()[:3000]), "truncated"),
    "ONNX without recurrence": (".onnx", lambda p: onnx_file(p, "Tanh"), "nothing is carried"),
    "unknown operator": (".onnx", lambda p: onnx_file(p, "Sparkle"), "Sparkle"),
    "newer model": (".edgernn", newer, "upgrade edgernn"),
    "truncated model": (".edgernn", lambda p: write(p, (GOLDEN / "small.edgernn").read_bytes()[:-9]), "not a sound"),
}


@pytest.mark.parametrize("what", FILES)
def test_bad_model_files(what: str, tmp_path: Path) -> None:
    suffix, make, message = FILES[what]
    file = make(tmp_path / f"bad{suffix}")
    good_x = tmp_path / "x.npy"
    np.save(good_x, np.zeros((1, 3), np.float32))
    commands: list[list[object]] = [["convert", file, "-o", tmp_path / "out.edgernn"]]
    if suffix == ".edgernn":
        commands = [["run", file, good_x], ["bench", file], ["verify", file, "--against", SEQUENCE], ["inspect", file]]
    for command in commands:
        text = bad(*command)
        assert any(part in text for part in message.split("|")), text
    assert not (tmp_path / "out.edgernn").exists()
    assert call("inspect", file).exit_code == 1


INPUTS: dict[str, tuple[str, bytes | None, str]] = {
    "missing": ("x.csv", None, "No such file"),
    "unknown ending": ("x.png", PNG, "no way to read a '.png' file"),
    "text column": ("x.csv", b"0,0,0,0,0,0\n0,0,0,dog,0,0\n", "line 2, column 4: 'dog' is not a number"),
    "too few columns": ("x.csv", b"1,2\n", "line 1: 2 numbers, a frame takes 6"),
    "not finite": ("x.csv", b"0,0,0,nan,0,0\n", "finite"),
    "too large": ("x.csv", b"0,0,0,1e99,0,0\n", "finite"),
    "not UTF-8": ("x.csv", b"\xff\xfe1,2\n", "UTF-8"),
    "NUL in CSV": ("x.csv", b"1,\0\n", "line 1"),
    "PNG as NPY": ("x.npy", PNG, "not a NumPy array"),
    "empty NPY": ("x.npy", b"", "not a NumPy array"),
    "PNG as WAV": ("x.wav", PNG, "not a WAV file"),
    "empty WAV": ("x.wav", b"", "not a WAV file"),
    "PNG as JSON lines": ("x.jsonl", PNG, "UTF-8"),
    "JSON of words": ("x.jsonl", b'["a"]\n', "line 1: a list of numbers"),
    "JSON of another port": ("x.jsonl", b'{"z": [1]}\n', "names ['z'], the model's inputs are ['x']"),
    "JSON cut": ("x.jsonl", b"[1, 2\n", "line 1 is not JSON"),
}


@pytest.mark.parametrize("what", INPUTS)
def test_bad_inputs(what: str, model: Path, tmp_path: Path) -> None:
    name, data, message = INPUTS[what]
    assert edgernn.load(model).inputs[0].size == 6
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert message in bad("run", model, tmp_path / name)


ARRAYS: dict[str, tuple[Any, str]] = {
    "three axes": (np.zeros((2, 6, 1)), "shape [2, 6, 1], expected [frames, 6]"),
    "a number": (np.zeros(()), "one array (frames, 6) expected"),
    "text": (np.array(["a"]), "numbers expected"),
    "complex": (np.zeros((2, 6), complex), "numbers expected"),
    "objects": (np.array([{}]), "not a NumPy array"),
}


@pytest.mark.parametrize("what", ARRAYS)
def test_bad_arrays(what: str, model: Path, tmp_path: Path) -> None:
    array, message = ARRAYS[what]
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    assert message in bad("run", model, tmp_path / "x.npy")


def test_stereo_says_how_to_mix_down(tmp_path: Path) -> None:
    vad = Path(edgernn.__file__).parent / "demo" / "vad.edgernn"
    for width, dtype in ((2, "<i2"), (4, "<i4")):
        file = write_wav(tmp_path / "x.wav", np.zeros(600, dtype), 2, width)
        assert "2 channels" in (text := bad("run", vad, file)) and "-ac 1" in text


def test_several_ports_need_json_lines(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2,3,4\n")
    assert 'JSON lines of {"x": [...], "gain": [...]}' in bad("run", GOLDEN / "small.edgernn", tmp_path / "x.csv")


def test_an_interrupted_convert_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    assert bad("convert", SEQUENCE, "-o", tmp_path / "m.edgernn") == "error: interrupted\n"
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    assert "No such file" in bad("convert", SEQUENCE, "-o", tmp_path / "nowhere" / "m.edgernn")
    assert call("convert", SEQUENCE, "-o", tmp_path).exit_code == 2


def test_debug_shows_the_traceback() -> None:
    result = call("--debug", "inspect", "missing.edgernn")
    assert isinstance(result.exception, FileNotFoundError)


def test_names_from_files_cannot_steer_the_terminal(tmp_path: Path) -> None:
    from dataclasses import replace

    loaded = edgernn.load(GOLDEN / "small.edgernn")
    nodes = tuple(replace(node, name=f"\x1b[2J[red]{node.name}") for node in loaded.nodes)
    replace(loaded, nodes=nodes).save(tmp_path / "m.edgernn")
    shown = good("inspect", tmp_path / "m.edgernn")
    assert "\x1b" not in shown and "\\x1b[2J[red]leak" in shown


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "soundfile"])
def test_missing_packages(package: str, model: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "x.wav", np.zeros(64, "<i4"), width=4)
    target = tmp_path / "m.edgernn"
    arguments = {
        "onnx": ["convert", str(SEQUENCE), "-o", str(target)],
        "onnxruntime": ["verify", str(model), "--against", str(SEQUENCE)],
        "soundfile": ["run", str(model), str(tmp_path / "x.wav")],
    }[package]
    code = f"import sys; sys.modules[{package!r}] = None; from edgernn.cli import main; main({arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    extra = "audio" if package == "soundfile" else "convert"
    assert done.returncode == 1 and f'pip install "edgernn[{extra}]"' in done.stderr, done.stderr


def test_convert_works_without_onnxruntime(tmp_path: Path) -> None:
    arguments = ["convert", str(SEQUENCE), "-o", str(tmp_path / "m.edgernn")]
    code = f"import sys; sys.modules['onnxruntime'] = None; from edgernn.cli import main; main({arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Not compared with ONNX Runtime" in done.stdout and (tmp_path / "m.edgernn").exists()


README = (HERE.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has what the examples read, to run them in."""
    for name in ("models", "edgernn"):
        (tmp_path / name).symlink_to(HERE.parent / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_readme_run(clone: Path) -> None:
    shown = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    commands = [line.split()[1:] for line in shown.splitlines() if line.startswith("edgernn ")]
    assert {words[0] for words in commands} == set(COMMANDS)
    for words in commands:
        good(*words)


def test_the_python_of_the_readme_runs(clone: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=clone, env={**os.environ, "PYTHONPATH": str(HERE.parent)}
    )
