"""What convert and verify share: frames from files, parity figures in words, and the limits they are judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgernn.errors import BadInput

if TYPE_CHECKING:
    from edgernn.layers.base import Array
    from edgernn.layers.frontend import FrontEnd
    from edgernn.layers.model import Model
    from edgernn.quantiser.drift import Drift

FLOAT_LIMIT = 1e-5  # largest error, of the largest answer or of 1 where that is smaller
# least signal-to-noise ratio, dB, of what is held in other formats: some 13 to 20 below what random weights give
LIMITS = {"float16": 45.0, "int8": 30.0, "int8x16": 33.0, "int16": 75.0, "int4": 10.0}


def recording(path: Path, model: Model) -> dict[str, Array]:
    """All frames of one file, by input port, made of samples where there is a front end. Raises BadInput for none."""
    import numpy as np

    from edgernn.cli.console import say
    from edgernn.pipelines import read_frames

    if model.frontend:
        read = ({model.inputs[0].name: frames} for frames in extracted(path, model.frontend))
    else:
        frames = read_frames(str(path), model.inputs, say)
        read = (one if isinstance(one, dict) else {model.inputs[0].name: one} for one in frames)
    chunks = list(read)
    if not any(len(one) for chunk in chunks for one in chunk.values()):
        raise BadInput(f"{path} holds not one frame")
    return {port.name: np.concatenate([chunk[port.name] for chunk in chunks]) for port in model.inputs}


def extracted(path: Path, frontend: FrontEnd) -> Iterator[Array]:
    """The features of a sound file or of a table of sensor rows, a part at a time; after a gap it begins anew."""
    from edgernn.cli.console import say
    from edgernn.pipelines.features import Extractor
    from edgernn.pipelines.sources import open_source

    extractor = Extractor(frontend)
    with open_source(str(path), frontend.rate, frontend.channels, say=say) as source:
        for block in source:
            if block.gap:
                extractor.reset()
            yield extractor.feed(block.samples)
    yield extractor.finish()


def recordings(path: Path, model: Model) -> list[dict[str, Array]]:
    """The frames of a file, or of each file in a folder that holds frames; a list of labels there holds none."""
    from edgernn.pipelines.frames import READERS
    from edgernn.pipelines.truth import LIST

    if not path.is_dir():
        return [recording(path, model)]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in READERS and file.name != LIST)
    if not files:
        raise BadInput(f"{path} holds no file that ends with {', '.join(READERS)}")
    return [recording(file, model) for file in files]


def least_snr(model: Model) -> float | None:
    """The least signal-to-noise ratio of a model whose weights are in fewer bits, by its coarsest format; else None."""
    from edgernn.layers.summary import number_format

    found = {number_format(node.layer) for node in model.nodes}
    return min((LIMITS[name] for name in found if name in LIMITS), default=None)


def within(model: Model, found: Drift, limit: float | None) -> bool:
    """Whether one output is close enough: by error where the model is float32, else by signal-to-noise ratio."""
    least = least_snr(model)
    if least is not None:
        return found.max_error == 0 or found.snr >= (least if limit is None else limit)
    return found.max_error <= (FLOAT_LIMIT if limit is None else limit) * max(1.0, found.peak)


def figures(parity: Mapping[str, Drift]) -> dict[str, dict[str, float]]:
    """The figures as plain data."""
    return {name: asdict(found) for name, found in parity.items()}


def sentence(found: Mapping[str, Drift], frames: str, other: str = "ONNX Runtime") -> str:
    """How close the answers are, in one plain sentence."""
    worst = max(found.values(), key=lambda drift: drift.max_error)
    count = max(drift.frames for drift in found.values())
    if worst.max_error == 0:
        return f"Over {count:,} frames of {frames} the answers equal {other}'s to the last bit."
    ratio = min(drift.snr for drift in found.values())
    return (
        f"Over {count:,} frames of {frames} the answers differ from {other}'s by {worst.max_error:.2g} at most "
        f"(signal-to-noise ratio {ratio:.0f} dB)."
    )


def reference_sentence(reference: Mapping[str, Any]) -> str:
    """How close the float model is to the framework's own answers, by the figures in the origin, in one sentence."""
    worst = max(reference["outputs"].values(), key=lambda found: found["max_error"])
    return (
        f"Over {worst['frames']:,} frames the float model differs from {reference['file']} by {worst['max_error']:.2g} "
        f"at most (RMS {worst['rms_error']:.2g})."
    )


def remark(note: str) -> str:
    """What the importer noted, as a line: a warning where the file is likely wrong."""
    from edgernn.importer.file.repair import LIKELY_WRONG

    return f"{'warning' if note.startswith(LIKELY_WRONG) else 'note'}: {note}"
