"""The options by which convert and inspect are told what an ONNX file leaves open."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click


def settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options below, as arguments of the names that `conversion.convert` has for them."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def states(given: tuple[str, ...]) -> dict[str, str]:
    """("h=hn", ...) as {"h": "hn"}."""
    found = dict(text.partition("=")[::2] for text in given)
    if not all(name and equals for name, equals, _ in (text.partition("=") for text in given)) or len(found) < len(
        given
    ):
        raise click.BadParameter("IN=OUT expected, or IN=, each input once")
    return found


def constants(given: tuple[str, ...]) -> dict[str, Any]:
    """("sr=16000", ...) as {"sr": 16000}."""
    found: dict[str, Any] = {}
    for text in given:
        name, _, value = text.rpartition("=")
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            name = ""
        if not name:
            raise click.BadParameter(f"{text}: NAME=NUMBER, NAME=true or NAME=false expected")
    if len(found) < len(given):
        raise click.BadParameter("each name once expected")
    return found


OPTIONS = (
    click.option(
        "--state",
        multiple=True,
        callback=lambda ctx, parameter, given: states(given),
        metavar="IN=OUT",
        help="A state input of the graph and the output that replaces it, or IN= for an input that is no state; may be "
        "repeated.",
    ),
    click.option(
        "--set",
        "constants",
        multiple=True,
        callback=lambda ctx, parameter, given: constants(given),
        metavar="NAME=VALUE",
        help="An input that is the same in every call (sr=16000), or the size of a free dimension that is not time; "
        "may be repeated.",
    ),
    click.option(
        "--fix-torch-gru",
        is_flag=True,
        help="Repair GRUs that PyTorch's exporter wrote with linear_before_reset=0, by mistake.",
    ),
    click.option(
        "--window",
        type=int,
        metavar="N",
        help="For a graph that needs the whole sequence: run it on the last N frames, again and again.",
    ),
    click.option("--hop", type=int, metavar="N", help="With --window: an answer every N frames (default 1)."),
)
