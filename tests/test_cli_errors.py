"""Whatever goes wrong on the command line is said in a line, with exit status 1 and nothing half-written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from commands import GOLDEN, SEQUENCE, bad, call, good, usage, write_wav
from onnx import TensorProto, helper

import edgernn


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with one float input and one output."""
    path = tmp_path_factory.mktemp("models") / "gru.edgernn"
    edgernn.convert(SEQUENCE).save(path)
    return path


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
    return write(path, data.replace(rb"\"format\":2", rb"\"format\":7"))


PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
Make = Callable[[Path], Path]
FILES: dict[str, tuple[str, Make, str]] = {
    "missing model": (".edgernn", lambda p: p, "No such file|there is no file"),
    "missing ONNX": (".onnx", lambda p: p, "No such file|there is no file"),
    "folder as model": (".edgernn", lambda p: p.mkdir() or p, "is a folder: name the .edgernn file"),
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
    "typo in the first row": ("x.csv", b"0,0,O,0,0,0\n0,0,0,0,0,0\n", "line 1, column 3: 'O' is not a number"),
    "too few columns": ("x.csv", b"1,2\n", "line 1: 2 numbers, a frame takes 6"),
    "not finite": ("x.csv", b"0,0,0,nan,0,0\n", "finite"),
    "too large": ("x.csv", b"0,0,0,1e99,0,0\n", "finite"),
    "not UTF-8": ("x.csv", b"\xff\xfe1,2\n", "UTF-8"),
    "NUL in CSV": ("x.csv", b"1,\0\n", "line 1"),
    "PNG as NPY": ("x.npy", PNG, "not a NumPy array"),
    "empty NPY": ("x.npy", b"", "not a NumPy array"),
    "PNG as WAV": ("x.wav", PNG, "not a WAV file"),
    "empty WAV": ("x.wav", b"", "not a WAV file"),
    "words as CSV": ("x.csv", b"hello,world\n\n", "line 1 holds no number, and as a header 2 names; a frame takes 6"),
    "only a header": ("x.csv", b"a,b,c,d,e,f\n", "x.csv, line 1 holds no number, and no frame follows"),
    "truth values": ("x.jsonl", b"[true, 0, 0, 0, 0, 0]\n", "line 1: a list of numbers"),
    "more words as CSV": ("x.csv", b"a,b,c,d,e,f\ng,h,i,j,k,l\n", "line 2, column 1: 'g' is not a number"),
    "empty CSV": ("x.csv", b"\n", "x.csv holds not one frame"),
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
    "truth values": (np.zeros((2, 6), bool), "numbers expected"),
    "objects": (np.array([{}]), "not a NumPy array"),
}


@pytest.mark.parametrize("what", ARRAYS)
def test_bad_arrays(what: str, model: Path, tmp_path: Path) -> None:
    array, message = ARRAYS[what]
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    assert message in bad("run", model, tmp_path / "x.npy")


def test_options_that_need_others_are_mistakes_in_usage(tmp_path: Path) -> None:
    convert = ("convert", SEQUENCE, "-o", tmp_path / "m.edgernn")
    assert "--hop needs --window" in usage(*convert, "--hop", 3)
    assert "--static needs --calibrate" in usage(*convert, "--quantize", "int8", "--static", "mse")
    for options in (("--quantize", "auto"), ("--min-snr", 40)):
        assert "--quantize auto and --min-snr need each other" in usage(*convert, *options)
    assert "there are /gru/GRU_output_0" in usage(*convert, "--layer", "lstm*=int8")
    assert not list(tmp_path.iterdir())


def test_stereo_is_mixed_and_said(tmp_path: Path) -> None:
    vad = Path(edgernn.__file__).parent / "demo" / "vad.edgernn"
    samples = np.random.default_rng(0).integers(-3000, 3000, 512) * 2
    stereo = np.stack([samples, np.zeros(512, samples.dtype)], axis=1)
    mono = good("run", vad, write_wav(tmp_path / "mono.wav", (samples // 2).astype("<i2")))
    for width in (2, 4):
        sound = stereo.astype(f"<i{width}") << 16 * (width == 4)
        result = call("run", vad, write_wav(tmp_path / "x.wav", sound, 2, width))
        assert result.stdout == mono and "2 channels, mixed to one" in result.stderr


def test_several_ports_need_json_lines(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2,3,4\n")
    assert 'JSON lines of {"x": [...], "gain": [...]}' in bad("run", GOLDEN / "small.edgernn", tmp_path / "x.csv")


def test_an_interrupted_convert_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    assert bad("convert", SEQUENCE, "-o", tmp_path / "m.edgernn") == "error: interrupted\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["model", "drawing"])
def test_a_full_disk_is_named_and_leaves_what_was_there(
    what: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    pytest.importorskip("matplotlib", reason='drawing needs matplotlib: pip install "edgernn[plot]"')
    monkeypatch.setattr(os, "fsync", full)
    target = tmp_path / "there.png"
    target.write_bytes(b"before")
    verify = ("verify", model, "--against", SEQUENCE, "--steps", 50, "--plot", target)
    arguments = ("convert", SEQUENCE, "-o", target) if what == "model" else verify
    assert bad(*arguments) == f"error: {target}: No space left on device\n"
    assert target.read_bytes() == b"before" and list(tmp_path.iterdir()) == [target]


def test_ctrl_c_while_the_command_line_is_imported_ends_it_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import edgernn.cli"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("ignored", [False, True])
def test_what_ctrl_c_does_is_as_before_once_all_is_imported(ignored: bool) -> None:
    code = "import signal, edgernn.cli.starting as s; s.reader(); print(signal.getsignal(signal.SIGINT))"
    handler = signal.SIG_IGN if ignored else signal.SIG_DFL
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=lambda: signal.signal(signal.SIGINT, handler)
    )
    assert ("default_int_handler" in done.stdout) != ignored


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    assert "No such file" in bad("convert", SEQUENCE, "-o", tmp_path / "nowhere" / "m.edgernn")
    assert call("convert", SEQUENCE, "-o", tmp_path).exit_code == 2


def test_convert_never_writes_over_what_it_reads(tmp_path: Path) -> None:
    source = write(tmp_path / "m.onnx", Path(SEQUENCE).read_bytes())
    assert call("convert", source, "-o", source).exit_code == 2
    assert source.read_bytes() == Path(SEQUENCE).read_bytes()
    assert call("convert", source, "-o", "/dev/null").exit_code == 2


@pytest.mark.parametrize("file", ["missing.edgernn", "missing.csv", "missing"])
def test_debug_shows_the_traceback(file: str) -> None:
    arguments = ("inspect", file) if file.endswith("edgernn") else ("run", GOLDEN / "small.edgernn", file)
    plain, shown = call(*arguments), call("--debug", *arguments)
    assert (plain.exit_code, shown.exit_code) == (1, 1)
    assert "Traceback" not in plain.stderr and "Traceback" in shown.stderr
    assert "no file" in plain.stderr or "No such file" in plain.stderr


def test_names_from_files_cannot_steer_the_terminal(tmp_path: Path) -> None:
    loaded = edgernn.load(GOLDEN / "small.edgernn")
    nodes = tuple(replace(node, name=f"\x1b[2J[red]{node.name}") for node in loaded.nodes)
    replace(loaded, nodes=nodes).save(tmp_path / "m.edgernn")
    shown = good("inspect", tmp_path / "m.edgernn")
    assert "\x1b" not in shown and "\\x1b[2J[red]leak" in shown


MISSING = (
    ("onnx", "convert"),
    ("onnx", "verify"),
    ("onnx", "bench"),
    ("onnxruntime", "verify"),
    ("soundfile", "run"),
    ("matplotlib", "plot"),
)


@pytest.mark.parametrize(("package", "command"), MISSING)
def test_missing_packages(package: str, command: str, model: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "x.wav", np.zeros(64, "<i4"), width=4)
    target = tmp_path / "m.edgernn"
    arguments = {
        "convert": ["convert", str(SEQUENCE), "-o", str(target)],
        "verify": ["verify", str(model), "--against", str(SEQUENCE)],
        "bench": ["bench", str(model), "--steps", "100", "--against", str(SEQUENCE)],
        "run": ["run", str(model), str(tmp_path / "x.wav")],
        "plot": ["verify", str(model), "--against", str(SEQUENCE), "--plot", str(tmp_path / "x.png")],
    }[command]
    code = f"import sys; sys.modules[{package!r}] = None; from edgernn.cli import main; main({arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    extra = {"soundfile": "audio", "matplotlib": "plot"}.get(package, "convert")
    assert done.returncode == 1 and f'pip install "edgernn[{extra}]"' in done.stderr, done.stderr


def test_convert_works_without_onnxruntime(tmp_path: Path) -> None:
    arguments = ["convert", str(SEQUENCE), "-o", str(tmp_path / "m.edgernn")]
    code = f"import sys; sys.modules['onnxruntime'] = None; from edgernn.cli import main; main({arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Not compared with ONNX Runtime" in done.stdout and (tmp_path / "m.edgernn").exists()
    command = [sys.executable, "-c", code.replace("'-o'", "'--json', '-o'")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert '"parity": {}' in done.stdout and "Not compared with ONNX Runtime" in done.stderr


@pytest.mark.parametrize(
    ("shell", "message"),
    [
        ("--help > /dev/full", "No space left"),
        ("--version >&-", "standard output is closed"),
        ("run {model} - <&-", "standard input is closed"),
    ],
)
def test_streams_that_cannot_be_used(shell: str, message: str, model: Path) -> None:
    command = f"{sys.executable} -m edgernn {shell.format(model=model)}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and message in done.stderr, done.stderr


@pytest.mark.parametrize("pcm", ["16k", "0", "16000,1,int8", "١٦٠٠٠"])
def test_how_bytes_are_sound_is_checked_first(pcm: str, model: Path) -> None:
    assert "PCM" in usage("listen", model, "-", "--pcm", pcm)
