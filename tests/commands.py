"""What the tests of the command line share: commands in this process, files of the export zoo, sounds."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from edgernn.cli import main

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


def usage(*arguments: object) -> str:
    """The message of a command whose arguments are a mistake: exit status 2."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    return " ".join(result.stderr.split())


def write_wav(path: Path, samples: np.ndarray, channels: int = 1, width: int = 2) -> Path:
    """A PCM WAV file at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return path
