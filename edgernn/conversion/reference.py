"""Reference: a model's answers against those that the framework computed which it was exported from.

Parity with ONNX Runtime cannot tell whether an exporter wrote the wrong graph; this can. A reference is an .npz file
with an array for each input and for one output or more, by the names that the graph has for them: as the graph takes
and gives them, or as frames (T, n) one after the other. A graph that takes a frame a call is given as frames. The
states start as they do in the graph.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.conversion.parity import noted
from edgernn.conversion.places import Answers, answered_after, lengthened, placed
from edgernn.errors import BadInput, Problem, UnsupportedModel
from edgernn.layers.base import Array
from edgernn.layers.gru import GRU
from edgernn.layers.model import Model, Port
from edgernn.quantiser.drift import Drift, drift

if TYPE_CHECKING:
    from edgernn.importer import Report

LIMIT = 1e-4  # largest error of a float model, of the largest answer or of 1 where that is smaller


def checked(model: Model, report: Report, path: str | Path) -> dict[str, Any]:
    """The figures for `origin`. Raises UnsupportedModel where the answers of a float model are others, and BadInput."""
    figures = compared(model, report, path)
    far = {name: found for name, found in figures.items() if found.max_error > LIMIT * max(1.0, found.peak)}
    if far:
        rounded = _half(report, path)
        raise UnsupportedModel([_problem(model, path, name, found, rounded) for name, found in far.items()])
    return {"file": str(path), "outputs": noted(figures)}


def _half(report: Report, path: str | Path) -> str:
    """What the reference has in half precision, as the beginning of a remedy; empty where it has nothing so."""
    from edgernn.importer import NARROWED

    held = [name for name, array in _arrays(path).items() if array.dtype == np.float16]
    if not held and NARROWED not in report.notes:
        return ""
    what = f"'{held[0]}' in {path} is float16" if held else "the graph computes in narrow numbers, as float16"
    return (
        f"{what}, and edgernn computes in float32, from which half precision alone can differ by more than {LIMIT:g}: "
        "compute the reference in float32 (in PyTorch: model.float(), inputs in float32); if it differs then, too, "
    )


def _problem(model: Model, path: str | Path, name: str, found: Drift, rounded: str) -> Problem:
    what = (
        f"differs from what {path} expects by {found.max_error:.2g} at most "
        f"(RMS {found.rms_error:.2g}, signal-to-noise ratio {found.snr:.0f} dB)"
    )
    if any(isinstance(node.layer, GRU) and not node.layer.linear_before_reset for node in model.nodes):
        remedy = (
            "the file has a GRU with linear_before_reset=0, which PyTorch does not compute but some of its exporters "
            "write: try --fix-torch-gru (fix_torch_gru=True)"
        )
    else:
        remedy = "check that the reference was computed by the same weights, in evaluation mode, from the initial state"
    return Problem(name, "output", what, rounded + remedy)


def compared(model: Model, report: Report, path: str | Path) -> dict[str, Drift]:
    """How far the model's answers are from those in the file, by output port. Raises BadInput."""
    return {name: drift(*both) for name, both in beside(model, report, path).items()}


def beside(model: Model, report: Report, path: str | Path) -> dict[str, tuple[Array, Array]]:
    """(the model's answers, those in the file), (T, n) each, by output port. Raises BadInput."""
    arrays = _arrays(path)
    expected = [port.name for port in model.outputs if port.name in arrays]
    _check_names(model, report, path, arrays, expected)
    frames = {port.name: _frames(port, report, path, arrays[port.name]) for port in model.inputs}
    counts = {name: len(array) for name, array in frames.items()}
    if len(set(counts.values())) > 1 or not all(counts.values()):
        raise BadInput(f"{path}: as many frames of each input expected, from one on; it holds {counts}")
    count = answered_after(max(counts.values()), model, report.notes)
    made = model.stream().run(lengthened(frames, count))
    answers = made if isinstance(made, Mapping) else {model.outputs[0].name: made}
    sides = {}
    for name in expected:
        wanted = _expected(model, path, name, arrays[name], count)
        sides[name] = answers[name][wanted.places], wanted.values
    return sides


def _arrays(path: str | Path) -> dict[str, Array]:
    try:
        held = np.load(path, allow_pickle=False)
        arrays = {name: held[name] for name in held.files} if isinstance(held, np.lib.npyio.NpzFile) else None
    except FileNotFoundError:
        raise BadInput(f"there is no file '{path}'") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is no .npz file of plain arrays: {error}") from None
    if arrays is None:
        raise BadInput(f"{path} is no .npz file: save the arrays by name with numpy.savez")
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise BadInput(f"{path}: '{name}' holds something else than finite numbers")
    return arrays


def _check_names(model: Model, report: Report, path: str | Path, arrays: Mapping[str, Array], expected: Any) -> None:
    """Every input is there, an output to compare is there, and there is nothing else but states at their start."""
    missing = [port.name for port in model.inputs if port.name not in arrays]
    outputs = ", ".join(port.name for port in model.outputs)
    if missing or not expected:
        what = f"the input '{missing[0]}'" if missing else f"any of the outputs {outputs}"
        raise BadInput(f"{path} does not hold {what}; it holds {', '.join(arrays) or 'nothing'}")
    states = dict(report.states)
    ports = {port.name for port in model.inputs}
    for name in arrays.keys() - ports - set(expected) - set(states.values()):
        if name not in states or np.any(arrays[name] != 0):
            why = "starts from another state than the graph" if name in states else "is no input or output"
            raise BadInput(f"{path}: '{name}' {why}; leave it out (outputs: {outputs})")


def _frames(port: Port, report: Report, path: str | Path, array: Array) -> Array:
    """The frames (T, size) or (T,) of an input, given as such or as the graph takes them."""
    dims = dict(report.dims).get(port.name, ())
    time = dict(report.time_axes).get(port.name)
    if time is not None and array.ndim == len(dims) and array.size == array.shape[time] * port.size:
        array = np.moveaxis(array, time, 0)
    if array.ndim == 0 or array.size != len(array) * port.size:
        raise BadInput(
            f"{path}: '{port.name}' has the shape {list(array.shape)}; expected {list(dims)} as the graph takes it, or "
            f"frames (T, {port.size})"
        )
    alone = port.dtype == "int64" and port.size == 1
    return array.reshape(len(array)) if alone else array.reshape(len(array), port.size)


def _expected(model: Model, path: str | Path, name: str, array: Array, count: int) -> Answers:
    try:
        return placed(model, name, array, count)
    except ValueError as error:
        raise BadInput(f"{path}: the output '{name}': {error}") from None
