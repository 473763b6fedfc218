"""The command line: what each command prints and writes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import CLASSIFIER, EXPORTS, GOLDEN, HERE, SEQUENCE, STATEFUL, STEP, bad, call, good, usage, write_wav

import edgernn
from edgernn.cli import COMMANDS
from edgernn.cli.formats import FORMATS
from edgernn.conversion.noise import noise
from edgernn.quantiser import FORMATS as QUANTISER_FORMATS


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
    assert not [name for name in COMMANDS if "None" in good(name, "--help")]  # as the bound of an option without any
    assert good("--version") == f"edgernn {edgernn.__version__}\n"
    for arguments in (["nonsense"], ["run"], ["convert", SEQUENCE], ["bench", "x", "--steps", "0"]):
        assert call(*arguments).exit_code == 2


def test_demo() -> None:
    shown = good("demo")
    assert "times real time" in shown and "0 s" in shown and "speech" in shown
    figures = json.loads(good("demo", "--json"))
    assert figures["frames"] == len(figures["speech"]) and figures["times_real_time"] > 1
    assert len(figures["segments"]) >= 2


def test_the_demo_model_is_that_of_the_models_folder() -> None:
    source, demo = HERE.parent / "models" / "vad-raw" / "model.onnx", Path(edgernn.__file__).parent / "demo"
    model = edgernn.load(demo / "vad.edgernn")
    assert model.origin["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    verified = json.loads(
        good("verify", demo / "vad.edgernn", "--against", source, "--input", demo / "speech.wav", "--json")
    )
    assert verified["outputs"]["y"]["snr"] > 40


@pytest.mark.parametrize("source", [SEQUENCE, STEP, STATEFUL, CLASSIFIER], ids=lambda p: p.stem)
@pytest.mark.parametrize("number_format", ["none", "int8", "int16"])
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


def test_the_error_over_time_can_be_drawn(model: Path, tmp_path: Path) -> None:
    target, arguments = tmp_path / "drift.png", ("verify", model, "--against", SEQUENCE, "--steps", 50, "--plot")
    assert "ends with .png" in bad(*arguments, tmp_path / "drift.jpg")
    assert call("verify", model, "--plot", target).exit_code == 2
    pytest.importorskip("matplotlib", reason='drawing needs matplotlib: pip install "edgernn[plot]"')
    good(*arguments, target)
    assert target.read_bytes().startswith(b"\x89PNG")


def test_calibration_frames_are_measured_on(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    frames = noise(edgernn.convert(SEQUENCE).inputs, 60)["x"]
    np.save(tmp_path / "frames" / "a.npy", frames[:40])
    np.savetxt(tmp_path / "frames" / "b.csv", frames[40:], delimiter=",")
    (tmp_path / "frames" / "notes.txt").write_text("left alone")
    (tmp_path / "frames" / "labels.csv").write_text("file,start,end,label\n")
    arguments = ("convert", SEQUENCE, "-o", tmp_path / "m.edgernn", "--calibrate", tmp_path / "frames", "--json")
    parity = json.loads(good(*arguments))["parity"]
    assert [figures["frames"] for figures in parity.values()] == [60]
    in_python = edgernn.convert(SEQUENCE, calibration=[frames[:40], frames[40:]]).origin["parity"]["outputs"]
    assert in_python.keys() == parity.keys()


def test_formats_of_single_layers(tmp_path: Path) -> None:
    target = tmp_path / "m.edgernn"
    arguments = ("convert", STATEFUL, "-o", target, "--quantize", "int8")
    good(*arguments, "--layer", "LSTM*=int4")
    found = {row["layer"]: row["weights"] for row in json.loads(good("inspect", target, "--json"))["nodes"]}
    assert found == {"LSTM": "int4", "Affine": "int8"}
    assert "no layer with matrices is named 'nothing*'" in usage(*arguments, "--layer", "nothing*=int4")
    for wrong in ("int4", "=int4", "*=int5", "*="):
        assert call(*arguments, "--layer", wrong).exit_code == 2
    assert set(FORMATS) == set(QUANTISER_FORMATS)


def test_what_saturates_is_named(tmp_path: Path) -> None:
    frames = noise(edgernn.convert(SEQUENCE).inputs, 4000)["x"]
    frames[7, 0] = 100
    np.save(tmp_path / "x.npy", frames)
    options = ("--quantize", "int8", "--calibrate", tmp_path / "x.npy", "--static", "percentile")
    result = call("convert", SEQUENCE, "-o", tmp_path / "m.edgernn", *options)
    assert result.exit_code == 0 and "saturates" in result.stderr and "of up to 100" in result.stderr
    assert "needs --calibrate" in usage("convert", SEQUENCE, "-o", tmp_path / "m.edgernn", "--static", "max")


def test_auto_shows_what_it_chose(tmp_path: Path) -> None:
    arguments = ("convert", STATEFUL, "-o", tmp_path / "m.edgernn", "--quantize", "auto")
    shown = good(*arguments, "--min-snr", 25)
    assert "SNR of it alone" in shown and "int" in shown and "/lstm/LSTM_output_0" in shown
    assert json.loads(good(*arguments, "--min-snr", 25, "--json"))["auto"]["min_snr"] == 25
    assert "--quantize auto and --min-snr need each other" in usage(*arguments)
    assert "min_snr=90 dB is not reached" in bad(*arguments, "--min-snr", 90, "--layer", "*=int4")


def test_a_quantised_model_is_verified_alone(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.edgernn"
    good("convert", STATEFUL, "-o", target, "--quantize", "int8")
    assert "bit for bit" in good("verify", target) and "drift.outputs.y.snr" in good("inspect", target)
    shown = json.loads(good("verify", target, "--json"))
    assert shown["same_answers"] and shown["within_limit"] and shown["outputs"]["y"]["frames"] == 5000
    assert call("verify", target, "--limit", 90).exit_code == 1
    for option, value in (("--input", "x.npy"), ("--reference", "x.npz"), ("--steps", 7), ("--limit", "nan")):
        assert call("verify", target, option, value).exit_code == 2
    changed = edgernn.load(target)
    nodes = tuple(
        replace(n, layer=replace(n.layer, bias=n.layer.bias * 2)) if n.name[0] != "x" else n for n in changed.nodes
    )
    replace(changed, nodes=nodes).save(target)
    result = call("verify", target)
    assert result.exit_code == 1 and "are not those" in result.stdout
    assert "no drift certificate" in bad("verify", model)


def test_states_can_be_named(tmp_path: Path) -> None:
    target = tmp_path / "m.edgernn"
    good("convert", STATEFUL, "-o", target, "--state", "h0=hn", "--state", "c0=cn")
    good("verify", target, "--against", STATEFUL, "--steps", 100)
    assert "nothing" in bad("convert", STATEFUL, "-o", tmp_path / "n.edgernn", "--state", "nothing=hn")
    assert call("convert", STATEFUL, "-o", target, "--state", "h0").exit_code == 2
    pairs = json.loads(good("inspect", STATEFUL, "--json"))["state_pairs"]
    assert pairs == [["h0", "hn"], ["c0", "cn"]]
    assert edgernn.load(target).origin["states"] == dict(pairs)


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


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "x"])
@pytest.mark.parametrize(
    "option", ["bench --rate", "generate --prompt a --temperature", "serve --keep", "serve --rate"]
)
def test_numbers_must_be_some(option: str, number: str) -> None:
    command, *options = option.split()
    assert call(command, GOLDEN / "small.edgernn", *options, number).exit_code == 2


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
        np.testing.assert_array_equal(np.array([row.split(",") for row in rows], np.float32), answers)
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
        if words[0] != "serve":  # which ends when it is told to: test_serving
            good(*words)


def test_the_python_of_the_readme_runs(clone: Path) -> None:
    code = "".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=clone, env={**os.environ, "PYTHONPATH": str(HERE.parent)}
    )
