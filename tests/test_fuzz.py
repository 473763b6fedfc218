"""Files broken at random end in a named error or in a model that runs; see tools/fuzz.py, which runs longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import onnx
import pytest
from fuzz import Worker, case, seeds
from mutations import SEAL, mutated_bytes, mutated_model, mutated_onnx
from tampered import header_of

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 30


def test_half_a_minute_of_broken_files_has_no_findings(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "tools" / "fuzz.py", "--seconds", str(SECONDS), "--keep", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " converted; refused: " in done.stdout


def test_a_case_follows_from_its_seed() -> None:
    good = seeds()
    made = [case(4, number, good) for number in range(20)]
    assert made == [case(4, number, good) for number in range(20)]
    assert made != [case(5, number, good) for number in range(20)]


def test_mutations_leave_a_graph_that_can_be_parsed() -> None:
    data = (ROOT / "tests" / "exports" / "keras_gru_reset_after.onnx").read_bytes()
    changed = [mutated_onnx(np.random.default_rng(seed), data) for seed in range(50)]
    assert all(onnx.ModelProto.FromString(one).HasField("graph") for one in changed)
    assert len(set(changed)) > 40 and len({mutated_bytes(np.random.default_rng(s), data) for s in range(50)}) > 40


def test_changed_descriptions_of_model_files_can_be_parsed() -> None:
    data = (ROOT / "tests" / "golden" / "small-int4.edgernn").read_bytes()
    changed = [mutated_model(np.random.default_rng(seed), data) for seed in range(50)]
    texts = [header_of(one)["__metadata__"]["edgernn"] for one in changed]
    assert all(json.loads(text)["hash"] == SEAL for text in texts)
    assert len(set(changed)) > 40


def dies(pipe: Connection) -> None:
    pipe.recv()
    os._exit(3)


def hangs(pipe: Connection) -> None:
    pipe.recv()
    time.sleep(600)


@pytest.mark.parametrize(("target", "says"), [(dies, "!crash"), (hangs, "!hang")])
def test_a_worker_that_dies_or_hangs_is_noticed_and_replaced(
    target: Callable[[Connection], None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fuzz.PATIENCE", 20.0 if target is dies else 0.5)
    worker = Worker(target)
    try:
        first = worker.process.pid
        assert worker.run("onnx", b"", (0,)).startswith(says)
        assert worker.process.is_alive() and worker.process.pid != first
    finally:
        worker.stop()
