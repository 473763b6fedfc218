"""Time and memory that each hostile file of tests/hostile_cases.py takes, in a process of its own, imports included.

python tools/hostile.py [--only TEXT]    exit status 1 where one is not refused by name, or takes more than is allowed
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SECONDS, MEGABYTES, PATIENCE = 2.0, 512, 60
READ = """import json, sys
from edgernn import errors, importer
try:
    importer.read(sys.argv[1], **json.loads(sys.argv[2]))
except errors.EdgernnError as error:
    print(type(error).__name__, str(error).splitlines()[-1][:120])
else:
    print("converted")
"""


def limit() -> None:
    """Keeps a case from taking the machine with it."""
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


def measured(path: Path, settings: dict[str, Any]) -> tuple[float, float, str]:
    """(processor seconds, megabytes, what came of it) of a process that reads the file."""
    command = [sys.executable, "-c", READ, str(path), json.dumps(settings)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, env=environment, preexec_fn=limit)
        deadline = time.monotonic() + PATIENCE
        status, usage = 0, None
        while usage is None:
            found, status, usage = os.wait4(child.pid, os.WNOHANG)
            usage = usage if found else None
            if usage is None and time.monotonic() > deadline:
                child.kill()
                deadline += PATIENCE
            time.sleep(0.005)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode(errors="replace").strip().splitlines() or [f"status {child.returncode}"]
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said[-1]


def main() -> None:
    """Measure all of them and print the table."""
    sys.path.insert(0, str(ROOT / "tests"))
    from hostile_cases import BOMBS, HARMLESS, SETTINGS, made

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="the cases with this in their names")
    only = parser.parse_args().only
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in (name for name in BOMBS if only in name):
            path = Path(folder) / "model.onnx"
            path.write_bytes(made(name))
            seconds, megabytes, said = measured(path, SETTINGS.get(name, {}))
            fine = ("BadModelFile", "UnsupportedModel", *(["converted"] if name in HARMLESS else []))
            named = said.startswith(fine) and "Unable to allocate" not in said
            wrong = not named or seconds > SECONDS or megabytes > MEGABYTES
            bad += wrong
            size = path.stat().st_size
            mark = "  <--" if wrong else ""
            print(f"{name:36s}{size:10,d} B {seconds:6.2f} s {megabytes:6.0f} MB  {said}{mark}", flush=True)
    print(f"{bad} of them are not as they should be")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
