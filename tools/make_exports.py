"""Writes the export zoo: small models as the ONNX exporters of torch and Keras really write them.

Each model gives tests/exports/<name>.onnx and <name>.npz, which holds the input `x` in the graph's own layout and the
framework's own output `y` (and any initial and final states, under the graph's names for them). A step graph takes one
frame: its `x` and `y` are (T, n), looped by the framework from a zero state. All is seeded, and weights are multiples
of 1/256. Torch writes the same bytes every time; Keras numbers and orders its nodes anew, so commit only what changed.

Torch and TensorFlow are no dependencies of edgernn; put each in an environment of its own:

    python -m venv venv-torch
    venv-torch/bin/pip install torch==2.13.0 onnx onnxscript onnxruntime
    venv-torch/bin/python tools/make_exports.py --framework torch

    python -m venv venv-keras
    venv-keras/bin/pip install "keras==3.15.*" "tensorflow==2.21.*" "tf2onnx==1.17.*" onnxruntime
    venv-keras/bin/python tools/make_exports.py --framework keras

`--only NAME` makes one file, named as in tests/exports; `--full --out FOLDER` writes the taggers with their full
vocabulary of 10,000 words.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

Arrays = dict[str, np.ndarray]

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "exports"
SMALL_VOCABULARY, FULL_VOCABULARY = 200, 10_000
LIMIT = 1e-5  # the largest difference from the framework that rounding explains in models this small
PATHS_OF_THIS_MACHINE = ("pkg.torch.onnx.stack_trace",)


def strip_machine(path: Path) -> None:
    """Drop the stack traces that exporters leave in a file: they name folders of the machine that exported it."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.ClearField("doc_string")
        kept = [entry for entry in node.metadata_props if entry.key not in PATHS_OF_THIS_MACHINE]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)


def difference(path: Path, arrays: Arrays) -> float:
    """The largest absolute difference between ONNX Runtime's outputs and the framework's."""
    options = SessionOptions()
    options.intra_op_num_threads = 1
    # The dynamo exporter declares the example's length for values whose length is free. ONNX Runtime warns of that,
    # and its fusion of MatMul and Add believes it.
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = [value.name for value in session.get_inputs()]
    if "h" in inputs:
        given = {"y": np.concatenate(loop(session, arrays["x"]))}
    else:
        feed = {name: arrays.get(name, arrays["x"]) for name in inputs}  # a sole input may have any name
        given = dict(zip([value.name for value in session.get_outputs()], session.run(None, feed), strict=True))
        given["y"] = next(iter(given.values()))
    return max(apart(given[name], arrays[name]) for name in given if name in arrays)


def apart(given: np.ndarray, wanted: np.ndarray) -> float:
    """The largest absolute difference between two arrays of one shape."""
    if given.shape != wanted.shape:
        raise ValueError(f"ONNX Runtime gives {given.shape}, the framework {wanted.shape}")
    return float(np.abs(given - wanted).max())


def loop(session: InferenceSession, xs: np.ndarray) -> list[np.ndarray]:
    """ONNX Runtime's `y` for each frame of a step graph, its state outputs fed back in order."""
    _, *states = session.get_inputs()
    values = [np.zeros(state.shape, np.float32) for state in states]
    ys = []
    for x in xs:  # (n_in,)
        feed = {"x": x[None]} | {state.name: value for state, value in zip(states, values, strict=True)}
        y, *values = session.run(None, feed)
        ys.append(y)
    return ys


def make(name: str, maker: Callable[[Path], Arrays], folder: Path) -> bool:
    """Write one model and its arrays, and say how far ONNX Runtime is from the framework; False where it is too far."""
    path = folder / f"{name}.onnx"
    arrays = maker(path)
    strip_machine(path)
    np.savez_compressed(path.with_suffix(".npz"), allow_pickle=False, **arrays)
    error = difference(path, arrays)
    good = error <= LIMIT
    print(
        f"{name:32} {path.stat().st_size:9,} bytes   difference {error:.1e}{'' if good else '   TOO LARGE'}", flush=True
    )
    return good


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the export zoo.")
    parser.add_argument(
        "--framework", choices=("torch", "keras"), action="append", help="default: both, in one environment"
    )
    parser.add_argument("--only", metavar="NAME", help="make this one file")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: tests/exports)")
    parser.add_argument("--full", action="store_true", help="only the taggers, with their full vocabulary; needs --out")
    given = parser.parse_args()
    if given.full and given.out == FOLDER:
        parser.error("--full writes large files: name a folder with --out")
    return given


def main() -> int:
    """Make what was asked for; the exit status is 1 where a model could not be exported or does not agree."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    bad, made = [], 0
    for framework in given.framework or ("torch", "keras"):
        module = importlib.import_module(f"exports_{framework}")
        for name, maker in module.makers(FULL_VOCABULARY if given.full else SMALL_VOCABULARY).items():
            if given.only not in (None, name) or (given.full and not name.startswith("tagger")):
                continue
            made += 1
            try:
                good = make(name, maker, given.out)
            except Exception as reason:  # an exporter that fails for one model must not stop the others
                print(f"{name:32} FAILED: {type(reason).__name__}: {str(reason)[:600]}", flush=True)
                good = False
            bad += [] if good else [name]
    print(f"{made} made, {len(bad)} bad: {', '.join(bad)}" if bad else f"{made} made")
    return 1 if bad or not made else 0


if __name__ == "__main__":
    sys.exit(main())
