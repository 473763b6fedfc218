"""From an ONNX file to a Model, and how close the two then are.

In: an ONNX file, maybe samples. Out: a Model with its figures in `origin`; parity against ONNX Runtime.
formats: the model in other number formats, which search finds and observe has samples for; certificate: its drift.
May import: errors, layers, importer, quantiser, stream, NumPy; onnxruntime where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgernn.errors import BackendUnavailable, UnsupportedModel
from edgernn.layers.model import Model
from edgernn.quantiser import FORMATS

if TYPE_CHECKING:
    from edgernn.importer import Report

GET = 'pip install "edgernn[convert]"'


def convert(
    source: str | Path,
    *,
    quantize: str = "none",
    layers: Mapping[str, str] | None = None,
    static: str | None = None,
    min_snr: float | None = None,
    calibration: Any = None,
    state: Mapping[str, str] | None = None,
) -> Model:
    """The streaming model in an ONNX file.

    quantize: a number format, "none" (float32), "float16", "int8", "int8x16", "int16" or "int4"; or "auto", which finds
    the smallest model that keeps the signal-to-noise ratio min_snr (dB) against float32, layer by layer. layers: others
    for single layers, by name or pattern (see `quantiser.quantise`). static: fix the scales of activations by what the
    calibration shows, with "max", "percentile" or "mse" (see `quantiser.reach`). calibration: frames (T, n_in) or a
    list of such recordings (a mapping from port to array each where there are several inputs); weights of 8 and of 4
    bits are rounded for them (see `quantiser.gptq`), and on them the model's answers are compared with ONNX Runtime's;
    the figures are kept in `origin["parity"]`. How far a quantised model drifts from the float one is in
    `origin["drift"]` (see `certificate`). state: pairs of state input and state output, where the graph leaves them
    open. What should be known of the graph though it stops nothing is in `origin["notes"]`.

    Raises UnsupportedModel with every problem at once, BadModelFile for what is no sound ONNX file, ValueError for
    an unknown format, BadInput for calibration, static, min_snr or layers that do not fit, and BackendUnavailable
    where a package is missing.
    """
    from edgernn.conversion.formats import formatted
    from edgernn.conversion.parity import parity, with_parity

    if quantize not in (*FORMATS, "auto"):
        raise ValueError(f"quantize='{quantize}': one of {', '.join(FORMATS)}, auto expected")
    report = analyse(source, state)
    if report.model is None:
        raise UnsupportedModel(report.problems)
    found = {"time": report.time, "states": dict(report.states), "notes": list(report.notes)}
    model = replace(report.model, origin={**report.model.origin, **found})
    model = formatted(model, quantize, layers, static, min_snr, calibration)
    return model if calibration is None else with_parity(model, parity(model, source, calibration))


def analyse(source: str | Path, state: Mapping[str, str] | None = None) -> Report:
    """What an ONNX file would become, or every problem that stops it. Raises BadModelFile and BackendUnavailable."""
    try:
        from edgernn import importer
    except ModuleNotFoundError as error:
        raise BackendUnavailable(f"reading ONNX files needs the package {error.name}: {GET}") from None
    return importer.analyse(source, state)
