"""A float model in another number format: with static scales where asked for, and its drift certificate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

from edgernn.conversion.certificate import certified, is_quantised, one_run
from edgernn.conversion.noise import noise
from edgernn.conversion.observe import observed
from edgernn.conversion.parity import long_enough, recordings_of
from edgernn.conversion.search import Progress, Search, silent
from edgernn.errors import BackendUnavailable, BadInput
from edgernn.layers import base
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.quantiser import LEAST_FRAMES, by_node, quantise
from edgernn.quantiser.meets import moments, multiplied
from edgernn.quantiser.reach import ESTIMATORS, static_scales

FEW = f"the calibration has {{}} frames, too few to round weights for or to judge by: give {LEAST_FRAMES} or more"


def formatted(
    model: Model,
    quantize: str = "none",
    layers: Mapping[str, str] | None = None,
    static: str | None = None,
    min_snr: float | None = None,
    calibration: Any = None,
    progress: Progress = silent,
) -> Model:
    """The model in these formats; arguments and errors are those of `convert`. progress: told what is being tried."""
    _check(quantize, static, min_snr, calibration)
    recordings = None if calibration is None else recordings_of(model, calibration)
    values: dict[str, Array] = {}
    if recordings is not None and {quantize, *(layers or {}).values()} & {"auto", *base.FORMATS}:
        values = observed(model, recordings, {value for _, _, value in multiplied(model)})
    known, search = moments(model, values), None
    if quantize == "auto" and min_snr is not None:
        steps = long_enough(model)
        frames = noise(model.inputs, steps) if recordings is None else one_run(recordings, steps)
        search = Search(model, frames, min_snr, known, by_node(model, layers or {}), progress)
        formats = search.best()
        made = _with_choice(quantise(model, "none", {**formats, **search.fixed}, known), search, formats)
    else:
        made = quantise(model, quantize, layers, known)
    if static is not None:
        if not is_quantised(made):
            raise BadInput(f"static='{static}' is for quantised models: no layer has a scale for its activations")
        made, notes = static_scales(made, {name: array.reshape(-1) for name, array in values.items()}, static)
        made = _noted(made, notes)
    if search is not None:
        _check_reached(search, made)
    if not is_quantised(made):
        return made
    count = sum(len(next(iter(one.values()))) for one in recordings or ())
    if 0 < count < LEAST_FRAMES:
        made = _noted(made, [FEW.format(count)])
    try:
        return certified(made, model, recordings)
    except BackendUnavailable as error:
        return _noted(made, [f"there is no drift certificate: {error}"])


def _check(quantize: str, static: str | None, min_snr: float | None, calibration: Any) -> None:
    if static is not None and static not in ESTIMATORS:
        raise BadInput(f"static='{static}': one of {', '.join(ESTIMATORS)} expected")
    if static is not None and calibration is None:
        raise BadInput("static activation scales need calibration: frames to see how large the numbers become")
    if min_snr is not None and not (isinstance(min_snr, Real) and math.isfinite(min_snr)):
        raise BadInput(f"min_snr={min_snr!r}: a finite number of dB expected")
    if (quantize == "auto") != (min_snr is not None):
        raise BadInput(
            "quantize='auto' needs min_snr (--min-snr), the signal-to-noise ratio to keep in dB; nothing else does"
        )


def _check_reached(search: Search, made: Model) -> None:
    """Raises BadInput where the model is noisier than it was to be: what is fixed by hand may leave no other way."""
    snr = search.snr(made)
    if snr < search.min_snr:
        raise BadInput(
            f"min_snr={search.min_snr:g} dB is not reached: {snr:.1f} dB with layers and static as they are; "
            "leave more layers to the search, or static scales out"
        )


def _with_choice(model: Model, search: Search, formats: Mapping[str, str]) -> Model:
    """The model with what the search chose in its origin: for each layer its format, bytes and SNR alone."""
    chosen = {}
    for name, format in formats.items():
        share = search.noise[name, format]
        snr = -10 * math.log10(share) if share > 0 else None
        chosen[name] = {"format": format, "bytes": search.bytes(name, format), "snr_alone": snr}
    return replace(model, origin={**model.origin, "auto": {"min_snr": search.min_snr, "layers": chosen}})


def _noted(model: Model, notes: list[str]) -> Model:
    """The model with more notes in its origin."""
    return replace(model, origin={**model.origin, "notes": [*model.origin.get("notes", ()), *notes]})
