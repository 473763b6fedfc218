"""Format, lint, types and tests in one command, and a line for each at the end.

python tools/check.py            all of it
python tools/check.py --quick    all but the tests
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "tests": ["pytest"],
}


def run(arguments: list[str]) -> bool:
    """Whether the tool, called in the root of the repository, is content."""
    print(f"\n$ {' '.join(arguments)}", flush=True)
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, check=False).returncode == 0


def main() -> None:
    """Run all checks, even after one has failed; exit status 1 when one has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="leave out the tests")
    names = [name for name in CHECKS if name != "tests" or not parser.parse_args().quick]
    summary, good = [], True
    for name in names:
        start = time.monotonic()
        passed = run(CHECKS[name])
        good &= passed
        summary.append(f"{name:8s}{'passed' if passed else 'FAILED'}  {time.monotonic() - start:6.1f} s")
    print("\n" + "\n".join(summary))
    sys.exit(not good)


if __name__ == "__main__":
    main()
