"""What runtimes make of RNN, GRU and LSTM: each attribute and option honoured, refused or computed WRONG.

    python tools/conformance.py [--markdown] [--readme]

Every cell is judged by tests/oracle.py, in float64 and written from the operator specification. Runtimes that are not
installed are named and left out. --markdown prints the table as it stands in README.md, --readme writes it there.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # before this folder: the table is tests/conformance.py
from conformance import FEATURES  # noqa: E402
from onnx_cases import onnx_runtime  # noqa: E402
from recurrent_cases import LIMIT, Case, on_window, streamed  # noqa: E402

Answers = Mapping[str, np.ndarray]
HONOURED, ON_WINDOWS, REFUSED, WRONG = "honoured", "honoured on windows", "refused", "WRONG"
COLOURS = {HONOURED: "green", ON_WINDOWS: "green", REFUSED: "yellow", WRONG: "bold red"}
START, END = "<!-- made by tools/conformance.py -->", "<!-- end conformance -->"


def by_edgernn(case: Case) -> Answers:
    """Frame by frame through the compiled kernels, or on a window; what a stream carries inside is no answer."""
    if case.whole:
        return on_window(case)
    return {name: rows if name == "Y" else rows[-1] for name, rows in streamed(case).items()}


def by_onnx_runtime(case: Case) -> Answers:
    """The whole sequence in one call, as in all that follow."""
    return onnx_runtime(case.model(), case.feeds())


def by_reference(case: Case) -> Answers:
    """The evaluator in Python that comes with onnx."""
    from onnx.reference import ReferenceEvaluator

    return dict(zip(case.options["outputs"], ReferenceEvaluator(case.model()).run(None, case.feeds()), strict=True))


def by_openvino(case: Case) -> Answers:
    """On the processor, in float32 even where it could take less. It has no port for an input that it ignores."""
    import openvino

    model = openvino.Core().read_model(case.model().SerializeToString())
    run = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ports = {name for port in model.inputs for name in port.names}
    feeds = {name: x for name, x in case.feeds().items() if name in ports}
    return {port.get_any_name(): y for port, y in run(feeds).items()}


def by_tract(case: Case) -> Answers:
    """From a file, since it reads nothing else."""
    import onnx
    import tract

    with tempfile.TemporaryDirectory() as folder:
        onnx.save(case.model(), f"{folder}/model.onnx")
        run = tract.onnx().load(f"{folder}/model.onnx").into_model().into_runnable()
    made = run.run(list(case.feeds().values()))
    return {name: y.to_numpy() for name, y in zip(case.options["outputs"], made, strict=True)}


# name -> (package, how it runs a case)
RUNTIMES: dict[str, tuple[str, Callable[[Case], Answers]]] = {
    "edgernn": ("edgernn", by_edgernn),
    "ONNX Runtime": ("onnxruntime", by_onnx_runtime),
    "onnx.reference": ("onnx", by_reference),
    "OpenVINO": ("openvino", by_openvino),
    "tract": ("tract", by_tract),
}


def installed() -> dict[str, str]:
    """The runtimes that are here, and their versions."""
    found = {}
    for name, (package, _) in RUNTIMES.items():
        try:
            module = importlib.import_module(package)
        except ImportError:
            continue
        version = getattr(module, "__version__", None) or importlib.metadata.version(package)
        found[name] = version.split("-")[0]
    return found


def verdict(case: Case, runtime: str) -> str:
    """Whether the runtime honours the case, refuses it, or answers something else."""
    try:
        answers = RUNTIMES[runtime][1](case)
    except Exception:  # a refusal is whatever a runtime raises
        return REFUSED
    expected = case.expected()
    hidden = set(case.carried().values()) if runtime == "edgernn" else set()
    if not expected.keys() - hidden <= answers.keys():
        return WRONG
    pairs = [(answers[name], y) for name, y in expected.items() if name in answers]
    right = all(a.size == y.size and np.abs(a.reshape(-1) - y.reshape(-1)).max() <= LIMIT for a, y in pairs)
    if right and runtime == "edgernn" and case.whole:
        return ON_WINDOWS
    return HONOURED if right else WRONG


def cell(cases: Iterable[Case], runtime: str) -> dict[str, list[str]]:
    """verdict -> the operators that it is about, with a count where it is about some of an operator's cases."""
    shaped = [replace(case, options=_fixed(case, runtime)) for case in cases]
    kinds, given = Counter(case.kind for case in shaped), Counter((verdict(c, runtime), c.kind) for c in shaped)
    found: dict[str, list[str]] = {}
    for judged, kind in itertools.product((HONOURED, ON_WINDOWS, REFUSED, WRONG), kinds):
        if some := given[judged, kind]:
            found.setdefault(judged, []).append(kind if some == kinds[kind] else f"{kind} {some} of {kinds[kind]}")
    return found


def _fixed(case: Case, runtime: str) -> Mapping[str, Any]:
    """The length of the sequence is free for edgernn only: not every other runtime reads free dimensions."""
    return case.options if runtime == "edgernn" else {**case.options, "time": "fixed"}


def text(found: Mapping[str, list[str]], mark: Callable[[str], str]) -> str:
    """A cell as it is shown: one word where all operators agree."""
    if len(found) == 1:
        return mark(next(iter(found)))
    return "; ".join(f"{mark(judged)}: {', '.join(names)}" for judged, names in found.items())


def scoreboard(runtimes: Mapping[str, str]) -> dict[str, list[dict[str, list[str]]]]:
    """feature -> a cell for each runtime."""
    shown = track(FEATURES.items(), "judging", console=Console(stderr=True), transient=True)
    return {feature: [cell(cases, runtime) for runtime in runtimes] for feature, cases in shown}


def table(board: Mapping[str, list[dict[str, list[str]]]], runtimes: Mapping[str, str]) -> Table:
    """The scoreboard for a terminal."""
    shown = Table("RNN, GRU, LSTM", *(f"{name} {version}" for name, version in runtimes.items()))
    for feature, cells in board.items():
        shown.add_row(feature.replace("`", ""), *(text(found, lambda v: f"[{COLOURS[v]}]{v}[/]") for found in cells))
    return shown


def markdown(board: Mapping[str, list[dict[str, list[str]]]], runtimes: Mapping[str, str]) -> str:
    """The scoreboard as it stands in the README."""
    rows = [f"| RNN, GRU, LSTM | {' | '.join(runtimes)} |", "|---" * (len(runtimes) + 1) + "|"]
    for feature, cells in board.items():
        shown = (text(found, lambda v: f"**{v}**" if v == WRONG else v) for found in cells)
        rows.append(f"| {feature} | {' | '.join(shown)} |")
    versions = ", ".join(f"{name} {version}" for name, version in runtimes.items())
    return "\n".join([START, f"Compared: {versions}.", "", *rows, "", AGAIN, END])


AGAIN = "`python tools/conformance.py` prints this table again, with OpenVINO and tract where they are installed."


def into_readme(made: str) -> None:
    """Replace the scoreboard in the README."""
    path = ROOT / "README.md"
    readme = path.read_text(encoding="utf-8")
    before, rest = readme.split(START)
    path.write_text(before + made + rest.split(END)[1], encoding="utf-8")


def main() -> None:
    """Judge, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", action="store_true", help="print the table as it stands in README.md")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    given = parser.parse_args()
    runtimes = installed()
    board = scoreboard(runtimes)
    if given.markdown:
        print(markdown(board, runtimes))
    else:
        Console(width=max(150, Console().width)).print(table(board, runtimes))
        for name in (name for name in RUNTIMES if name not in runtimes):
            print(f"{name}: left out, not installed")
    if given.readme:
        into_readme(markdown(board, runtimes))


if __name__ == "__main__":
    main()
