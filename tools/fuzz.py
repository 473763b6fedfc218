"""Breaks good files at random and looks at what becomes of them: a named error, or a model that runs.

python tools/fuzz.py --seconds 60 --seed 1    exit status 1 with findings, whose files are kept in --keep

Exports, graphs of the tests and models are changed as graphs and as bytes; model files and saved states as bytes. Each
case runs in a worker process. A finding is a crash, more than SECONDS of processor time or MEGABYTES, an exception
that is none of edgernn's own, or a model that is another one after it was saved and loaded. Cases follow from the seed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from mutations import FLOATS, NUMBERS, SEAL, mutated_bytes, mutated_model, mutated_onnx, pick

from edgernn import errors

ROOT = Path(__file__).resolve().parents[1]
SECONDS, PATIENCE = 5.0, 40.0  # of processor time; of waiting for an answer
MEGABYTES = 512
FRAMES = 3
LARGEST_FRAME = 1 << 20  # numbers in all values of a frame of a model that is run
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def seeds() -> dict[str, tuple[str, bytes]]:
    """name -> (kind, bytes) of the good files."""
    sys.path.insert(0, str(ROOT / "tests"))
    from onnx_cases import CELLS
    from surroundings import OPS

    files = [*sorted((ROOT / "tests" / "exports").glob("*.onnx")), ROOT / "models" / "vad-raw" / "model.onnx"]
    found = {path.stem: ("onnx", path.read_bytes()) for path in files}
    for table in (CELLS, OPS):
        found |= {name: ("onnx", case.model().SerializeToString()) for name, case in table.items()}
    golden = sorted((ROOT / "tests" / "golden").glob("*.edgernn"))
    found |= {path.name: ("edgernn", path.read_bytes()) for path in golden}
    return found | {f"state of {path.name}": ("state", path.read_bytes()) for path in golden}


def case(seed: int, number: int, good: dict[str, tuple[str, bytes]]) -> tuple[str, str, bytes]:
    """(name, kind, bytes) of a case. A state comes as its model file: it is broken where there is one."""
    rng = np.random.default_rng([seed, number])
    kinds = sorted({kind for kind, _ in good.values()})
    kind = pick(rng, ("onnx",) * 8 + tuple(kinds))
    name = pick(rng, [name for name, (of, _) in good.items() if of == kind])
    data = good[name][1]
    if kind == "state":
        return name, kind, data
    if kind == "edgernn" and rng.random() < 0.8:
        return name, "sealed", mutated_model(rng, data)
    whole = kind == "onnx" and rng.random() < 0.8
    return name, kind, mutated_onnx(rng, data) if whole else mutated_bytes(rng, data)


def attempt(kind: str, data: bytes, rng: np.random.Generator) -> str:
    """What became of a case; raises what goes wrong."""
    from edgernn import importer, modelfile
    from edgernn.layers.base import volume
    from edgernn.layers.model import Model
    from edgernn.quantiser import FORMATS, quantise

    given = settings(data, rng) if kind == "onnx" else {}
    try:
        with mock.patch.object(Model, "hash", SEAL if kind == "sealed" else Model.hash):
            model = importer.read(data, **given) if kind == "onnx" else modelfile.validate(data)
    except (errors.BadModelFile, errors.UnsupportedModel) as error:
        return type(error).__name__
    except errors.BadInput:
        if not given:
            raise
        return "BadInput"
    if kind == "state":
        return broken_state(model, rng)
    if rng.random() < 0.4:
        try:
            model = quantise(model, pick(rng, FORMATS))
        except errors.BadInput:
            return "BadInput"  # weights that float16 cannot hold
    if sum(map(volume, model.shapes.values())) > LARGEST_FRAME:
        return "converted, large"  # a frame so large costs memory by rights
    again = modelfile.validate(modelfile.pack(*modelfile.encode(model)))
    frames = noise(model, rng)
    try:
        model.stream()
    except errors.UnsupportedModel:
        return "converted, large"  # too many instructions, which is said
    for one, other in zip(answers(model, frames), answers(again, frames), strict=True):
        np.testing.assert_array_equal(one, other)
    return "converted"


def settings(data: bytes, rng: np.random.Generator) -> dict[str, Any]:
    """Arguments for the importer, none as a rule: a window, what is set to what, the repair of GRUs."""
    import onnx
    from google.protobuf.message import DecodeError

    given: dict[str, Any] = {}
    if rng.random() < 0.15:
        given["window"] = pick(rng, (1, 2, 3, 7, 20, 64, 4096))
        given |= {"hop": pick(rng, (1, 2, 7, 4096))} if rng.random() < 0.5 else {}
    if rng.random() < 0.1:
        given["fix_torch_gru"] = True
    if rng.random() < 0.2:
        try:
            inputs = onnx.ModelProto.FromString(data).graph.input
        except DecodeError:
            inputs = []
        names = ["none", *(value.name for value in inputs)]
        names += [dim.dim_param for value in inputs for dim in value.type.tensor_type.shape.dim if dim.dim_param]
        values = (1, 1, 2, 5, 64, 4096, *NUMBERS, *FLOATS, [1, 2, 3], [[0.5]], "1")
        given["constants"] = {str(pick(rng, names)): pick(rng, values)}
    return given


def noise(model: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Frames for every port."""
    from edgernn.conversion.noise import noise as of

    return {name: array * np.float32(pick(rng, (0, 1, 1000))) if array.dtype.kind == "f" else array
            for name, array in of(model.inputs, FRAMES).items()}  # fmt: skip


def answers(model: Any, frames: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What a stream of the model makes of them, and the state that it is in then."""
    stream = model.stream()
    made = stream.run(frames)
    arrays = list(made.values()) if isinstance(made, dict) else [made]
    return [*arrays, np.frombuffer(stream.save_state(), np.uint8)]


def broken_state(model: Any, rng: np.random.Generator) -> str:
    """A damaged state is refused and changes nothing."""
    stream = model.stream()
    stream.run(noise(model, rng))
    before = stream.save_state()
    blob = mutated_bytes(rng, before)
    try:
        stream.load_state(blob)
    except errors.BadInput:
        if stream.save_state() != before:
            raise AssertionError("a state that was refused has changed the stream") from None
        return "BadInput"
    if blob != before:
        raise AssertionError("a damaged state was accepted")
    return "converted"


def work(pipe: Connection) -> None:
    """A worker: takes cases, answers with (what came of it, processor seconds, megabytes)."""
    import warnings

    from edgernn import importer

    warnings.simplefilter("ignore")
    assert importer
    while True:
        kind, data, numbers = pipe.recv()
        if CLEAR.exists():
            CLEAR.write_text("5")  # the peak of the memory starts anew
        start = time.process_time()
        try:
            became = attempt(kind, data, np.random.default_rng(numbers))
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            became = f"!{type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {str(error)[:200]}"
        pipe.send((became, time.process_time() - start, peak()))


def peak() -> float:
    """The most megabytes that this process has held; 0 where the system does not tell."""
    if not STATUS.exists():
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))


class Worker:
    """A process that cases are sent to, and a new one when it dies."""

    def __init__(self, target: Callable[[Connection], None] = work) -> None:
        self.context, self.target = multiprocessing.get_context("spawn"), target
        self.start()

    def start(self) -> None:
        """Start the process."""
        self.pipe, far = self.context.Pipe()
        self.process = self.context.Process(target=self.target, args=(far,), daemon=True)
        self.process.start()
        far.close()

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()

    def run(self, kind: str, data: bytes, numbers: tuple[int, ...]) -> str:
        """What became of the case; a finding begins with `!`."""
        self.pipe.send((kind, data, numbers))
        try:
            if self.pipe.poll(PATIENCE):
                became, seconds, megabytes = self.pipe.recv()
                if became[:1] != "!" and seconds > SECONDS:
                    return f"!slow: {seconds:.1f} s of processor time, then {became}"
                if became[:1] != "!" and megabytes > MEGABYTES:
                    return f"!memory: {megabytes:.0f} MB, then {became}"
                return str(became)
            fate = f"!hang: no answer within {PATIENCE:.0f} s"
        except (EOFError, ConnectionError):
            self.process.join()
            fate = f"!crash: the process ended with {self.process.exitcode}"
        self.stop()
        self.start()
        return fate


@dataclass
class Found:
    """What became of all cases."""

    classes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, int] = field(default_factory=dict)

    def note(self, became: str, path: Path, data: bytes) -> None:
        """Count a case; of each finding the first file is kept."""
        if became[:1] != "!":
            self.classes[became] += 1
            return
        key = became.split(": ")[0]
        self.findings[key] = self.findings.get(key, 0) + 1
        if self.findings[key] == 1:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            print(f"{became[1:]}\n  {path}", flush=True)


def main() -> None:
    """Run cases until the time is up and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("findings"), help="the folder for files of findings")
    given = parser.parse_args()
    good, found, worker = seeds(), Found(), Worker()
    deadline, number = time.monotonic() + given.seconds, 0
    while time.monotonic() < deadline:
        name, kind, data = case(given.seed, number, good)
        became = worker.run(kind, data, (given.seed, number, 1))
        found.note(became, given.keep / f"{given.seed}-{number}-{name.replace('/', '_')}.{kind}", data)
        number += 1
    worker.stop()
    refused = ", ".join(f"{name} {count}" for name, count in found.classes.items() if name != "converted")
    print(f"{number} cases: {found.classes['converted']} converted; refused: {refused}")
    for key, count in found.findings.items():
        print(f"finding, {count} times: {key[1:]}")
    sys.exit(bool(found.findings))


if __name__ == "__main__":
    main()
