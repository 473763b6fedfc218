"""The options by which convert is told how to store weights."""

from __future__ import annotations

from collections.abc import Callable

import click

FORMATS = ("none", "float16", "int8", "int8x16", "int16", "int4")


def formats(command: Callable[..., None]) -> Callable[..., None]:
    """Add --quantize, --layer and --static, as the arguments `quantize`, `layers` and `static`."""
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
    click.option("--quantize", type=click.Choice(FORMATS), default="none", show_default=True, help="Number format."),
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
