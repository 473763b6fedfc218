"""edgernn verify: how far a model's answers are from ONNX Runtime's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgernn.cli.console import as_json
from edgernn.errors import plain

if TYPE_CHECKING:
    from edgernn.layers.base import Array
    from edgernn.layers.model import Model
    from edgernn.quantiser.drift import Drift


STEPS = 5000  # frames of noise


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--against",
    metavar="IN.onnx",
    type=click.Path(path_type=Path),
    help="The file that MODEL was converted from; without it, MODEL's own drift certificate is checked.",
)
@click.option(
    "--input", "source", metavar="FILE", type=click.Path(path_type=Path), help="Frames to compare on, instead of noise."
)
@click.option("--steps", type=click.IntRange(1), help=f"Frames of noise to compare on (default {STEPS}).")
@click.option(
    "--limit",
    type=float,
    help="float32: the largest error (default 1e-5, against a reference 1e-4); quantised: the least SNR in dB "
    "(by default 30 in int8).",
)
@click.option(
    "--reference",
    metavar="FILE.npz",
    type=click.Path(path_type=Path),
    help="Compare with the outputs in this file, which the source framework computed, instead of ONNX Runtime's.",
)
@click.option(
    "--plot",
    metavar="FILE.png",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the error over time too, a line for each output.",
)
@as_json
def command(
    model: Path,
    against: Path | None,
    source: Path | None,
    steps: int | None,
    limit: float | None,
    reference: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Compare MODEL (.edgernn) with ONNX Runtime on IN.onnx, state carried all along; exit status 1 past the limit.

    Without --against nothing but MODEL is needed: it shows how far a quantised model drifted from the float one when it
    was converted, and checks on this machine that its answers are, bit for bit, those that were measured.

    A float32 model is judged by its largest error (in units of the largest answer where that is above 1), a quantised
    model by its signal-to-noise ratio. Growth is what the error of a frame gains in 1,000 frames.
    """
    import edgernn
    from edgernn.cli import console
    from edgernn.cli.checking import figures, least_snr, recordings, sentence, within
    from edgernn.cli.plot import blank, over_time
    from edgernn.conversion.reference import LIMIT
    from edgernn.quantiser.drift import drift, errors

    options = {"--reference": reference, "--input": source, "--steps": steps, "--plot": plot}
    given = [option for option, value in options.items() if value is not None]
    if against is None and given:
        raise click.UsageError(f"{given[0]} is for a comparison: name the ONNX file with --against")
    if len(frames_by := [option for option in given if option != "--plot"]) > 1:
        raise click.UsageError(f"{' and '.join(frames_by)}: each says what to compare on, one expected")
    if limit is not None and math.isnan(limit):
        raise click.UsageError("--limit: a number expected")
    loaded = edgernn.load(model)
    if against is None:
        check_certificate(loaded, limit, as_json)
        return
    frames = recordings(source, loaded) if source else None
    loaded.stream()  # compiles the kernels where need be, which shows its own progress
    other = str(reference or "ONNX Runtime")
    figure = blank(plot) if plot else None
    with console.working(f"comparing with {other}"):
        sides = beside(loaded, against, frames, steps or STEPS, reference)
    found = {name: drift(*both) for name, both in sides.items()}
    limit = LIMIT if reference and limit is None and least_snr(loaded) is None else limit
    good = all(within(loaded, one, limit) for one in found.values())
    if plot and figure:
        title = f"{model.name}: difference from {other} over time"
        over_time(figure, {name: errors(*both) for name, both in sides.items()}, title, plot)
    if as_json:
        console.print_json({"within_limit": good, "outputs": figures(found)})
    else:
        show(found)
        frames_of = str(source or ("the reference" if reference else "noise"))
        click.echo(plain(f"{sentence(found, frames_of, other)} {'Within' if good else 'Past'} the limit."))
    if not good:
        raise click.exceptions.Exit(1)


def beside(
    model: Model, against: Path, frames: list[dict[str, Array]] | None, steps: int, reference: Path | None
) -> dict[str, tuple[Array, Array]]:
    """(the model's answers, what they should be) by output port: ONNX Runtime's, or those of the reference."""
    from edgernn.cli.starting import reader
    from edgernn.conversion import analyse_again, parity
    from edgernn.conversion import reference as references

    reader()
    if reference:
        return references.beside(model, analyse_again(against, model), reference)
    return parity.beside(model, against, frames, steps)


def show(found: Mapping[str, Drift]) -> None:
    """The figures of each output port as a table."""
    from edgernn.cli import console

    rows = [
        (name, f"{d.frames:,}", f"{d.max_error:.3g}", f"{d.rms_error:.3g}", f"{d.snr:.1f}", f"{d.growth:.3g}")
        for name, d in found.items()
    ]
    console.out().print(console.table(("output", "frames ", "max error ", "RMS error ", "SNR, dB ", "growth "), rows))


def check_certificate(model: Model, limit: float | None, as_json: bool) -> None:
    """Check a quantised model's drift certificate on this machine; exit status 1 where it does not hold."""
    from edgernn.cli import console
    from edgernn.cli.checking import figures, within
    from edgernn.conversion.certificate import figures_of, holds

    found, frames = figures_of(model)
    model.stream()  # compiles the kernels where need be, which shows its own progress
    with console.working("running the certificate's frames"):
        same = holds(model)
    good = same and all(within(model, drift, limit) for drift in found.values())
    if as_json:
        console.print_json({"within_limit": good, "same_answers": same, "frames": frames, "outputs": figures(found)})
    else:
        show(found)
        said = "are, bit for bit, those" if same else "are not those"
        click.echo(
            plain(
                f"So far it drifted from the float model over {frames} when it was converted. Its answers on this "
                f"machine {said} that were measured. {'Within' if good else 'Past'} the limit."
            )
        )
    if not good:
        raise click.exceptions.Exit(1)
