"""What `edgernn listen` costs: processor time and memory of the process while it hears sound at its own speed.

    python tools/listen_cost.py [MODEL] [--seconds 60]

Plays the speech of the demo over and over, as a WAV file with --realtime, a block for each answer. What the process
needs to start, up to a second after it has opened the file, does not count. MODEL is a model file or a folder
of models/, which is converted to int8. On a busy machine each awakening finds cold caches, or
comes so late that it finds several blocks: the figures are then others than on a quiet one. Linux only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import wave
from contextlib import suppress
from pathlib import Path

import numpy as np

import edgernn
from edgernn.cli.listen import between_answers
from edgernn.cli.tables import tables
from edgernn.pipelines.sound import read_sound

ROOT = Path(__file__).resolve().parents[1]
VAD = ROOT / "models" / "vad-raw"
SETTLING = 1.0  # seconds after the start
PATIENCE = 60.0  # seconds for it


def ready(given: Path, folder: Path) -> Path:
    """A model that listens: the file that is given, or made in `folder`, in int8, of one of the folders of models/."""
    if not given.is_dir():
        return given
    made = edgernn.convert(given / "model.onnx", quantize="int8", **tables(given / "pipeline.toml", None))
    made.save(folder / "listener.edgernn")
    return folder / "listener.edgernn"


def playing(seconds: float, folder: Path) -> Path:
    """The speech of the demo, over and over."""
    samples, rate = read_sound(ROOT / "edgernn" / "demo" / "speech.wav")
    count = round(seconds * rate)
    sound = np.tile(samples, count // len(samples) + 1)[:count]
    with wave.open(str(folder / "sound.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound * 32768).astype("<i2").tobytes())
    return folder / "sound.wav"


def used(process: int) -> float:
    """Seconds of processor time, all threads together."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process: int) -> dict[str, float]:
    """Megabytes resident, by what /proc calls it: now, at most, and now without the pages of files."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM", "RssAnon")}


def opened(folder: Path) -> list[str]:
    """The files behind a process's descriptors."""
    found = []
    for link in folder.iterdir():
        with suppress(FileNotFoundError):  # closed in the meantime
            found.append(os.path.realpath(link, strict=True))
    return found


def started(process: int, sound: Path) -> None:
    """Returns when the process has opened the sound. Raises SystemExit where it does not."""
    folder, end = Path(f"/proc/{process}/fd"), time.monotonic() + PATIENCE
    while str(sound.resolve()) not in opened(folder):
        if time.monotonic() > end:
            raise SystemExit(f"it did not open {sound} within {PATIENCE:.0f} s")
        time.sleep(0.05)


def measure(model: Path, sound: Path, seconds: float) -> dict[str, float]:
    """Figures of one run."""
    command = [sys.executable, "-m", "edgernn", "listen", str(model), str(sound), "--realtime", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        started(process.pid, sound)
        time.sleep(SETTLING)
        starting, begin = used(process.pid), time.monotonic()
        time.sleep(seconds)
        spent, passed, found = used(process.pid) - starting, time.monotonic() - begin, memory(process.pid)
        out, remarks = process.communicate()
    if process.returncode or "nothing lost" not in remarks:
        raise SystemExit(remarks)
    print(f"{out.count(chr(10))} decisions; {remarks.strip()}")
    return {"core": spent / passed, "starting": starting, **found}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?", type=Path, default=VAD)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = ready(given.model, folder)
        block = between_answers(edgernn.load(model).pipeline())
        found = measure(model, playing(given.seconds + 4 * SETTLING, folder), given.seconds)
    print(
        f"`{given.model.stem}`, {given.seconds:.0f} s of sound at its own speed, in blocks of {1000 * block:.0f} ms: "
        f"{100 * found['core']:.1f} % of one core, {found['VmHWM']:.0f} MB resident at most; "
        f"{found['starting']:.2f} s of processor time to start."
    )


if __name__ == "__main__":
    main()
