"""The options by which convert is told how to store weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from edgernn.cli.console import Finite

if TYPE_CHECKING:
    from rich.table import Table

FORMATS = ("none", "float16", "int8", "int8x16", "int16", "int4")


def formats(command: Callable[..., None]) -> Callable[..., None]:
    """Add --quantize, --min-snr, --layer and --static, as arguments of these names (`layers` for --layer)."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def by_layer(given: tuple[str, ...]) -> dict[str, str]:
    """("gru*=int16", ...) as {"gru*": "int16"}, in the order given."""
    found = dict(text.rpartition("=")[::2] for text in given)
    if not all(name and format in FORMATS for name, format in found.items()):
        raise click.BadParameter(f"NAME=FORMAT expected, with one of {', '.join(FORMATS)}")
    return found


OPTIONS = (
    click.option(
        "--quantize",
        type=click.Choice([*FORMATS, "auto"]),
        default="none",
        show_default=True,
        help="Number format; auto finds the smallest model that keeps --min-snr, layer by layer.",
    ),
    click.option("--min-snr", type=Finite(0), help="For --quantize auto: the least signal-to-noise ratio, dB."),
    click.option(
        "--layer",
        "layers",
        multiple=True,
        callback=lambda ctx, parameter, given: by_layer(given),
        metavar="NAME=FORMAT",
        help="Another format for the layers of this name (as inspect shows it; * and ? fit any); may be repeated.",
    ),
    click.option(
        "--static",
        type=click.Choice(["max", "percentile", "mse"]),
        help="Fix the scales of activations, by what --calibrate shows: nothing is cut off, one number in 10,000, or "
        "what makes the error least.",
    ),
)


def shown(choice: Mapping[str, Any]) -> Table:
    """What `auto` chose, from the model's origin: a line for each layer."""
    from edgernn.cli import console

    rows = [
        (name, one["format"], f"{one['bytes']:,}", "" if one["snr_alone"] is None else f"{one['snr_alone']:.1f}")
        for name, one in choice["layers"].items()
    ]
    return console.table(("layer", "format", "bytes ", "SNR of it alone, dB "), rows)
