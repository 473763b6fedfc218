"""From the start of a process to its first answer: edgernn beside Python with NumPy, and ONNX Runtime."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from bench_report import END, ROOT, machine, markdown, versions
from cases import SIZES

from edgernn.quantiser import quantise

START = "<!-- made by tools/bench.py --start -->"
NUMPY = "Python and NumPy alone"
EDGERNN = """import edgernn, numpy
stream = edgernn.load("model.edgernn").stream(backend="{}")
stream.step(numpy.zeros(40, numpy.float32))
"""
ONNX_RUNTIME = """import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession("model.onnx", options)
session.run(None, {i.name: numpy.zeros(i.shape, numpy.float32) for i in session.get_inputs()})
"""
# processor time and most memory of the process until now; the line's arrival is the time that has passed
SAY = """
import time
used = time.process_time()
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(used, most.split()[1], flush=True)
"""


def programs(folder: Path) -> dict[str, str]:
    """What is started, and its files in the folder."""
    model = quantise(SIZES["B"](), "int8")
    model.save(folder / "model.edgernn")
    found = {NUMPY: "import numpy", "edgernn": EDGERNN.format("native")}
    if find_spec("numba"):
        found['edgernn, `backend="jit"`, compiled before'] = EDGERNN.format("jit")
    if find_spec("onnxruntime"):
        import onnx
        from size_models import make_step_graph

        onnx.save(make_step_graph(SIZES["B"]()), str(folder / "model.onnx"))
        found["ONNX Runtime"] = ONNX_RUNTIME
    return found


def started(program: str, folder: Path) -> tuple[float, float, float]:
    """(milliseconds of the processor, milliseconds that passed, MB) until the first answer."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(ROOT)
    begin = time.perf_counter()
    command = [sys.executable, "-c", program + SAY]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        passed = time.perf_counter() - begin
    seconds, kilobytes = map(float, line.split())
    return 1e3 * seconds, 1e3 * passed, kilobytes * 1024 / 1e6


def measure(runs: int) -> dict[str, list[float]]:
    """The medians of each program, started in turns; the first turn, which fills caches, does not count."""
    with tempfile.TemporaryDirectory() as name:
        known = programs(Path(name))
        taken = [{label: started(text, Path(name)) for label, text in known.items()} for _ in range(runs + 1)]
    return {label: np.median([turn[label] for turn in taken[1:]], axis=0).tolist() for label in known}


def start_table(figures: dict[str, list[float]]) -> str:
    """Each program, and what it takes beyond the first."""
    alone = figures[NUMPY]
    rows = [
        [label, *(f"{value:.0f}" for value in values), f"{values[0] - alone[0]:+.0f}", f"{values[2] - alone[2]:+.0f}"]
        for label, values in figures.items()
    ]
    columns = ["processor time, ms", "time passed, ms", "resident, MB", "more ms", "more MB"]
    made = markdown("to the first answer of GRU 64, 40 in", columns, rows)
    return f"{START}\nMeasured on {machine()}{versions()}; int8 in edgernn, float in ONNX Runtime.\n\n{made}\n{END}"
