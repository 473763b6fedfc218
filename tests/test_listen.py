"""edgernn listen: the decisions of a whole file from any source, told as they come, and commands started for them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import GOLDEN, bad, call, good, usage

import edgernn
from edgernn.cli import executing
from edgernn.cli.demo import BLOCKS
from edgernn.cli.executing import Program
from edgernn.cli.listen import between_answers
from edgernn.cli.tables import tables
from edgernn.cli.watching import bar, curve
from edgernn.pipelines.listening import listen
from edgernn.pipelines.sound import read_sound
from edgernn.pipelines.sources import Block, open_source

SPEECH = Path(edgernn.__file__).parent / "demo" / "speech.wav"
FOLDER = Path(__file__).parents[1] / "models" / "vad-raw"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that listens for speech."""
    path = tmp_path_factory.mktemp("models") / "vad.edgernn"
    made = edgernn.convert(FOLDER / "model.onnx", quantize="int8", **tables(FOLDER / "pipeline.toml", None))
    made.save(path)
    return path


@pytest.fixture(scope="module")
def expected(model: Path) -> list[dict[str, float]]:
    """The decisions of a pipeline that is fed the whole sound at once."""
    pipeline = edgernn.load(model).pipeline()
    found = pipeline.feed(read_sound(SPEECH)[0]) + pipeline.finish()
    assert len(found) == 2
    return [vars(decision) for decision in found]


def decisions(text: str) -> list[dict[str, float]]:
    """Lines of JSON as they are printed."""
    return [json.loads(line) for line in text.splitlines()]


def test_a_file(model: Path, expected: list[dict[str, float]]) -> None:
    result = call("listen", model, SPEECH, "--json")
    assert result.exit_code == 0 and decisions(result.stdout) == expected
    assert result.stderr == "8.8 s heard, 2 decisions; nothing lost\n"
    assert [line.split()[2] for line in good("listen", model, SPEECH).splitlines()] == ["speech"] * 2


def test_a_table(model: Path, expected: list[dict[str, float]], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", read_sound(SPEECH)[0])
    assert decisions(good("listen", model, tmp_path / "x.npy", "--json")) == expected


def test_a_socket(model: Path, expected: list[dict[str, float]]) -> None:
    data = (read_sound(SPEECH)[0] * 32768).astype("<i2").tobytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].sendall(data), daemon=True).start()
        source = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "edgernn", "listen", str(model), source, "--pcm", "16000", "--json"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # what runs in the background of a script ignores Ctrl-C, and hands that on
        with subprocess.Popen(
            command, **pipes, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        ) as process:
            assert process.stdout and process.stderr
            found = [json.loads(process.stdout.readline()) for _ in expected]
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0 and found == expected
            assert "2 decisions" in process.stderr.read()


@pytest.mark.parametrize("form", ["--json", "--exec=true"])
def test_it_ends_once_nobody_reads_its_lines(model: Path, form: str) -> None:
    """As `| head -1` does, with a source that has fallen silent."""
    data = (read_sound(SPEECH)[0] * 32768).astype("<i2").tobytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "edgernn", "listen", str(model), source, "--pcm", "16000", form]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout and process.stderr
            with server.accept()[0] as connection:
                connection.sendall(data)
                assert [process.stdout.readline() != "" for _ in range(2)] == [True, True]
                process.stdout.close()
                assert process.wait(20) == 0
            assert process.stderr.read().endswith(" s heard, 2 decisions; nothing lost\n")


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_it_ends_where_nobody_reads_from_the_start(model: Path, handler: signal.Handlers) -> None:
    """Told so by the signal that it sends itself, or, where that is ignored, by its first line."""
    command = [sys.executable, "-m", "edgernn", "listen", str(model), str(SPEECH)]
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        command,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, handler),
    ) as process:
        os.close(writing)
        assert process.wait(20) == 0 and process.stderr
        said = process.stderr.read()
        assert re.fullmatch(r"\d\.\d s heard, [01] decisions; nothing lost\n", said), said


def test_a_label_that_the_terminal_cannot_show(model: Path, tmp_path: Path) -> None:
    loaded = edgernn.load(model)
    assert loaded.deciding is not None
    replace(loaded, deciding=replace(loaded.deciding, labels=("日本",))).save(tmp_path / "x.edgernn")
    command = [sys.executable, "-m", "edgernn", "listen", str(tmp_path / "x.edgernn"), str(SPEECH)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, PYTHONIOENCODING="ascii"))
    assert done.returncode == 0 and done.stdout.count(r"\u65e5\u672c") == 2, done.stderr


def test_run_answers_what_stands_for_a_gap_too(tmp_path: Path) -> None:
    folder = FOLDER.parent / "imu-activity-lstm"
    model = edgernn.convert(folder / "model.onnx", **tables(folder / "pipeline.toml", None))
    model.save(tmp_path / "imu.edgernn")
    rows = ["1,2,3,4,5,6"] * 5
    (tmp_path / "gap.csv").write_text("\n".join([*rows, "x,2,3,4,5,6", *rows]))
    (tmp_path / "whole.csv").write_text("\n".join([*rows, rows[0], *rows]))
    found = [call("run", tmp_path / "imu.edgernn", tmp_path / f"{name}.csv", "--answers") for name in ("gap", "whole")]
    assert found[0].stdout == found[1].stdout and "line 6" in found[0].stderr


def test_standard_input_that_ends_at_once_is_said() -> None:
    result = call("run", GOLDEN / "small.edgernn", "-", input="")
    assert result.exit_code == 0 and result.stderr == "standard input ended before a frame came\n"


def test_at_its_own_speed(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    assert len(good("listen", model, SPEECH, "--realtime").splitlines()) == 2
    assert now[0] == pytest.approx(140288 / 16000)
    (tmp_path / "x.csv").write_text("time,x\n0,1\n0.1,2\n0.4,3\n")
    now[0] = 0.0
    with open_source(str(tmp_path / "x.csv"), 10, realtime=True, say=lambda text: None) as source:
        told = [(block.time, block.gap, float(block.samples[0]), now[0]) for block in source]
    assert [number for row in told for number in row] == pytest.approx([0, 0, 1, 0.1, 0.1, 0, 2, 0.2, 0.4, 0.2, 3, 0.5])


@pytest.mark.parametrize(("hop", "seconds"), [(100, 0.01), (512, 0.032), (16000, 0.1)])
def test_it_is_woken_once_an_answer(model: Path, hop: int, seconds: float) -> None:
    """Within limits: the clock of what is drawn must go on, and what is shorter than 10 ms comes at once."""
    made = edgernn.load(model)
    paced = replace(made, frontend=replace(made.frontend, hop_length=hop))
    assert between_answers(SimpleNamespace(model=paced, frontend=paced.frontend)) == seconds


def test_a_terminal(model: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "edgernn", "listen", str(model), str(SPEECH)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:
                break
            shown += data
        assert process.wait(20) == 0
    os.close(ours)
    text = shown.decode()
    assert (
        "speech" in text and any(block in text for block in BLOCKS[1:]) and "1.02 s" in text and "nothing lost" in text
    )


def test_curves() -> None:
    assert bar(0.5, " #") == "#" * 10 + " " * 10 and len(bar(7.0, " #")) == len(bar(-1.0, " #")) == 20
    assert curve([-1.0, 0.0, 2.0, 4.0, 9.0], 4.0, " .:") == "  .::"


def test_a_command_for_each_decision(model: Path, tmp_path: Path) -> None:
    script = tmp_path / "act.py"
    script.write_text(
        "import os; names = ['LABEL', 'SCORE', 'START', 'END']\n"
        f"print(*(os.environ['EDGERNN_' + name] for name in names), file=open({str(tmp_path / 'log')!r}, 'a'))\n"
    )
    good("listen", model, SPEECH, "--exec", f"{sys.executable} '{script}'")
    rows = sorted(line.split() for line in (tmp_path / "log").read_text().splitlines())
    assert [row[0] for row in rows] == ["speech"] * 2 and [row[2] for row in rows] == ["1.024000", "4.736000"]


def test_a_command_that_fails(model: Path) -> None:
    result = call("listen", model, SPEECH, "--exec", f"{sys.executable} -c 'raise SystemExit(3)'")
    assert result.exit_code == 0 and result.stderr.count("failed for 'speech': exit status 3") == 2
    for wrong in ("no-such-program", "'", ""):
        assert call("listen", model, SPEECH, "--exec", wrong).exit_code == 2


def test_commands_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    hold = threading.Event()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=not hold.wait()))
    monkeypatch.setattr(executing, "PATIENCE", 0.0)
    program = Program("sleep 60", said.append)
    decision = edgernn.Decision("yes", 1.0, 0.0, 0.1)
    program.start([decision] * 6)
    assert program.left_out == 2 and said[0].endswith("still runs 4 times: not started for 'yes'")
    program.finish()
    assert said[-2:] == ["sleep still runs 4 times: left behind", "sleep was not started for 2 decisions"]
    hold.set()


def test_what_cannot_listen(model: Path, tmp_path: Path) -> None:
    assert "front end" in bad("listen", GOLDEN / "small.edgernn", SPEECH)
    assert "No such file" in bad("listen", model, tmp_path / "x.wav")
    assert "no such source" in usage("listen", model, "nothing")
    assert "can be followed" in usage("listen", model, SPEECH, "--follow")
    assert "expected" in usage("listen", model, "mqtt://127.0.0.1")
    replace(edgernn.load(model), deciding=None).save(tmp_path / "m.edgernn")
    assert "--decisions" in bad("listen", tmp_path / "m.edgernn", SPEECH)


def test_a_gap_follows_the_policy(model: Path) -> None:
    samples = read_sound(SPEECH)[0]
    pipeline = edgernn.load(model).pipeline()
    blocks = [Block(0.0, samples[:32000]), Block(3.0, samples[32000:], gap=1.0)]
    found = [decision for part in listen(pipeline, blocks) for decision in part]
    assert [decision.start > 3.0 for decision in found][-1] and found[0].start == pytest.approx(1.024)
