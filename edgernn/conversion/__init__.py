"""From an ONNX file to a Model, and how close the two then are.

In: an ONNX file, maybe samples. Out: a Model with its figures in `origin`; parity against ONNX Runtime.
formats: the model in other number formats, which search finds and observe has samples for; certificate: its drift.
May import: errors, layers, importer, modelfile, quantiser, stream, NumPy; onnxruntime where it is used.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.errors import BackendUnavailable, BadInput, Problem, UnsupportedModel
from edgernn.layers.deciding import Deciding
from edgernn.layers.frontend import FrontEnd
from edgernn.layers.model import Model
from edgernn.modelfile import fits
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
    constants: Mapping[str, Any] | None = None,
    fix_torch_gru: bool = False,
    window: int | None = None,
    hop: int | None = None,
    reference: str | Path | None = None,
    features: Mapping[str, Any] | None = None,
    decisions: Mapping[str, Any] | None = None,
) -> Model:
    """The streaming model in an ONNX file.

    quantize: a number format, "none" (float32), "float16", "int8", "int8x16", "int16" or "int4"; or "auto", which finds
    the smallest model that keeps the signal-to-noise ratio min_snr (dB) against float32, layer by layer. layers: others
    for single layers, by name or pattern (see `quantiser.quantise`). static: fix the scales of activations by what the
    calibration shows, with "max", "percentile" or "mse" (see `quantiser.reach`). calibration: frames (T, n_in) or a
    list of such recordings (a mapping from port to array each where there are several inputs); weights of 8 and of 4
    bits are rounded for them (see `quantiser.gptq`), and on them the model's answers are compared with ONNX Runtime's;
    the figures are kept in `origin["parity"]`. How far a quantised model drifts from the float one is in
    `origin["drift"]` (see `certificate`). features, decisions: settings of the front end and of the decider that the
    model has in a `Pipeline` (see `layers.frontend.FrontEnd` and `layers.deciding.Deciding`); they stand in its file.
    All other arguments are those of `imported`.

    Raises what `imported` raises, BadInput for an unknown format and for calibration, static, min_snr, layers, features
    or decisions that do not fit, or where min_snr is not reached, BackendUnavailable where a package is missing, and
    TypeError for an argument of a type that it can never have.
    """
    from edgernn.conversion.formats import formatted
    from edgernn.conversion.parity import parity, with_parity

    if quantize not in (*FORMATS, "auto"):
        raise BadInput(f"quantize={quantize!r}: one of {', '.join(FORMATS)}, auto expected")
    for name, given in (("layers", layers), ("state", state), ("constants", constants)):
        if given is not None and not (isinstance(given, Mapping) and all(isinstance(key, str) for key in given)):
            raise TypeError(f"{name}={given!r}: a mapping by name expected")
    settings = {"state": state, "constants": constants, "fix_torch_gru": fix_torch_gru, "window": window, "hop": hop}
    model = equipped(imported(source, reference, **settings), features, decisions)
    model = formatted(model, quantize, layers, static, min_snr, calibration)
    if not fits(model):
        raise UnsupportedModel([_too_many_layers(model)])
    freeze((model.nodes, model.states))
    return model if calibration is None else with_parity(model, parity(model, source, calibration))


def freeze(part: Any) -> None:
    """Make all arrays of a part of a model read-only, as they are in one that was loaded."""
    if isinstance(part, np.ndarray):
        part.setflags(write=False)
    elif isinstance(part, tuple):
        for one in part:
            freeze(one)
    elif is_dataclass(part):
        freeze(tuple(vars(part).values()))


def equipped(model: Model, features: Mapping[str, Any] | None, decisions: Mapping[str, Any] | None) -> Model:
    """The model with a front end and a decider of these settings. Raises BadInput where they do not fit the model."""
    front = FrontEnd.from_settings(features) if features is not None else None
    deciding = Deciding.from_settings(decisions) if decisions is not None else None
    return replace(model, frontend=front, deciding=deciding)


def imported(source: str | Path, reference: str | Path | None = None, **settings: Any) -> Model:
    """The float32 model in an ONNX file.

    state: pairs of state input and state output, where the graph leaves them open; an empty output says that an input
    is no state. constants: inputs of the graph that are the same in every call, {"sr": 16000}, so that an If on them
    can be resolved, and sizes of free dimensions that are not time, {"samples": 576}; a dimension without a name goes
    by its input and axis, {"input:1": 576}.
    fix_torch_gru: repair the GRUs of a file that PyTorch's exporter wrote with linear_before_reset=0. window: for a
    graph that needs the whole sequence (bidirectional, attention): run it on the last so many frames, every `hop`
    frames (1 if not said). reference: an .npz file with inputs and the outputs that the source framework computed from
    them, by the names of the graph's inputs and outputs; the model is compared with them, and the figures are kept in
    `origin["reference"]`. What should be known of the graph though it stops nothing is in `origin["notes"]`; that the
    file is likely wrong is a warning too.

    Raises UnsupportedModel with every problem at once, and where the answers are not those of the reference,
    BadModelFile for what is no sound ONNX file, BadInput for constants, windows and references that do not fit and
    where there is no GRU to repair, and BackendUnavailable where a package is missing.
    """
    report = analyse(source, **settings)
    if report.model is None:
        raise UnsupportedModel(report.problems)
    from edgernn.importer.file.repair import LIKELY_WRONG

    notes, suspicions = list(report.notes), [note for note in report.notes if note.startswith(LIKELY_WRONG)]
    no_states = {name: "" for name, output in (settings.get("state") or {}).items() if not output}
    found: dict[str, Any] = {"time": report.time, "states": {**dict(report.states), **no_states}, "notes": notes}
    if settings.get("window") is not None:
        found["window"] = settings["window"]
    if reference is not None:
        from edgernn.conversion.reference import checked

        found["reference"] = checked(report.model, report, reference)
        found["notes"] = [note for note in notes if note not in suspicions]  # it is not wrong
    elif suspicions:
        warnings.warn(f"{source}: {suspicions[0]}", stacklevel=3)
    return replace(report.model, origin={**report.model.origin, **found})


def analyse(source: str | Path, **settings: Any) -> Report:
    """What an ONNX file would become, or every problem that stops it; the settings are those of `convert`.

    Raises BadModelFile, BadInput and BackendUnavailable.
    """
    try:
        from edgernn import importer
    except ModuleNotFoundError as error:
        raise BackendUnavailable(f"reading ONNX files needs the package {error.name}: {GET}") from None
    report = importer.analyse(source, **settings)
    if report.model is None or fits(report.model):
        return report
    return replace(report, model=None, problems=(_too_many_layers(report.model),))


def _too_many_layers(model: Model) -> Problem:
    what = f"becomes {len(model.nodes):,} layers, more than a model file can describe"
    return Problem("graph", "", what, "export a smaller model, or its recurrent layers as one node each")


def analyse_again(source: str | Path, model: Model) -> Report:
    """What an ONNX file becomes with the settings in the origin of a model that was converted from it."""
    pairs = model.origin.get("states")
    state = {str(name): str(output) for name, output in pairs.items()} if isinstance(pairs, Mapping) else {}
    window = {"window": model.window, "hop": model.hop} if "window" in model.origin else {}
    fix = model.origin.get("fix_torch_gru") is True
    return analyse(source, state=state, constants=constants_of(model), fix_torch_gru=fix, **window)


def constants_of(model: Model) -> Mapping[str, Any]:
    """What was set when the model was converted, by its origin, which anybody may have written."""
    constants = model.origin.get("constants")
    return constants if isinstance(constants, Mapping) else {}
