"""edgernn convert: an ONNX file becomes a model file, which is then compared with ONNX Runtime."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgernn.cli.console import as_json
from edgernn.cli.formats import formats, shown
from edgernn.cli.settings import settings
from edgernn.errors import plain

if TYPE_CHECKING:
    from edgernn.layers.model import Model
    from edgernn.quantiser.drift import Drift

FIGURES = "edgernn verify shows the figures."
NOISE = "Noise may be nothing like what the model was made for: name real frames with --calibrate."


@click.command()
@click.argument("source", metavar="IN.onnx", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT.edgernn",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.",
)
@click.option(
    "--calibrate",
    metavar="FILE-OR-FOLDER",
    type=click.Path(path_type=Path),
    help="Frames (.wav, .csv, .npy, .jsonl) to compare on, instead of noise, and to round 4 and 8 bits for.",
)
@click.option(
    "--reference",
    metavar="FILE.npz",
    type=click.Path(path_type=Path),
    help="Inputs, and the outputs that the source framework computed, by name: the float model must give the same.",
)
@click.option(
    "--features",
    metavar="FILE.toml",
    type=click.Path(path_type=Path),
    help="What is made of sound or sensor rows before they reach the model: a table [features].",
)
@click.option(
    "--decisions",
    metavar="FILE.toml",
    type=click.Path(path_type=Path),
    help="How answers become decisions: a table [decisions], which may also stand in the file of --features.",
)
@settings
@formats
@as_json
def command(
    source: Path, output: Path, calibrate: Path | None, reference: Path | None, as_json: bool, **given: Any
) -> None:
    """Convert IN.onnx to a file that the other commands run.

    Then the model's answers are compared with ONNX Runtime's (where that is installed): on the frames that --calibrate
    names, else on 5,000 frames of noise. The figures are kept in the file. With --reference they must also be those of
    the framework that IN.onnx was exported from; otherwise nothing is written.
    """
    from edgernn.cli import console
    from edgernn.cli.checking import figures, recordings, reference_sentence, remark
    from edgernn.cli.starting import reader
    from edgernn.cli.tables import tables
    from edgernn.conversion import equipped, imported

    reader()
    check_options(calibrate, **given)
    toml = [given.pop(name) for name in ("features", "decisions")]
    check_output(output, [source, *(path for path in (calibrate, reference, *toml) if path)])
    settings = tables(*toml)
    chosen = {name: given.pop(name) for name in ("quantize", "min_snr", "layers", "static")}
    with console.working(f"reading {source}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which stand in the notes
        model = equipped(imported(source, reference, **given), **settings)
    check_layers(model, chosen["layers"])
    frames = recordings(calibrate, model) if calibrate else None
    model = quantised(model, frames, chosen)
    for note in model.origin["notes"]:
        console.say(remark(note))
    model, found, verdict = checked(model, source, frames, calibrate)
    model.save(output)
    size = output.stat().st_size
    if as_json:
        if not found:
            console.say(verdict)
        shown_too = {"reference": model.origin["reference"]["outputs"]} if reference else {}
        made = {"file": str(output), "bytes": size, "hash": model.hash, "parity": figures(found)}
        console.print_json({**made, "auto": model.origin.get("auto"), **shown_too})
        return
    if "auto" in model.origin:
        console.out().print(shown(model.origin["auto"]))
    lines = [f"{output}: {model.parameters:,} weights, {console.size(size)}.", verdict]
    lines += [reference_sentence(model.origin["reference"])] if reference else []
    click.echo(plain("\n".join(lines)))


def quantised(model: Model, frames: list[Any] | None, given: dict[str, Any]) -> Model:
    """The model in the formats that the options name, with its drift certificate."""
    from edgernn.cli import console
    from edgernn.conversion.formats import formatted

    model.stream()  # compiles the kernels where need be, which shows its own progress
    with console.working("quantising") as status:
        return formatted(model, calibration=frames, progress=status.update, **given)


def check_options(calibrate: Path | None, **given: Any) -> None:
    """Options that make no sense without others are said before any work is done."""
    if (given["quantize"] == "auto") != (given["min_snr"] is not None):
        raise click.UsageError("--quantize auto and --min-snr need each other")
    if given["static"] is not None and calibrate is None:
        raise click.UsageError("--static needs --calibrate: frames to see how large the numbers become")
    if given["hop"] is not None and given["window"] is None:
        raise click.UsageError("--hop needs --window: only on windows can be said how often to answer")


def check_layers(model: Model, layers: dict[str, str]) -> None:
    """Each --layer fits a layer of the model."""
    from edgernn.errors import BadInput
    from edgernn.quantiser import by_node

    try:
        by_node(model, layers)
    except BadInput as error:
        raise click.BadParameter(str(error), param_hint="--layer") from None


def check_output(output: Path, read: list[Path]) -> None:
    """The file can be written and is none of those that are read; otherwise it is said before any work is done."""
    if any(output.exists() and other.exists() and output.samefile(other) for other in read):
        raise click.BadParameter(f"{output} is what is read: name another file", param_hint="-o")
    if output.exists() and not output.is_file():
        raise click.BadParameter(f"{output} is not a plain file", param_hint="-o")
    if not output.resolve().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(output.parent))


def checked(
    model: Model, source: Path, frames: list[Any] | None, calibrate: Path | None
) -> tuple[Model, dict[str, Drift], str]:
    """(the model with its figures, the figures, a sentence): compared with ONNX Runtime where that can be done."""
    from edgernn.cli import console
    from edgernn.cli.checking import sentence, within
    from edgernn.conversion.parity import parity, with_parity
    from edgernn.errors import BackendUnavailable

    name = str(calibrate) if calibrate else "noise"
    try:
        with console.working("comparing with ONNX Runtime"):
            found = parity(model, source, frames)
    except BackendUnavailable as error:
        return model, {}, f"Not compared with ONNX Runtime: {error}"
    if not all(within(model, drift, None) for drift in found.values()):
        console.say(f"warning: that is further apart than it should be. {FIGURES if calibrate else NOISE}")
    return with_parity(model, found, name), found, sentence(found, name)
