"""edgernn generate: a model of characters or tokens goes on from a prompt."""

from __future__ import annotations

import secrets
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgernn.cli.console import Finite, as_json

if TYPE_CHECKING:
    from edgernn.layers.model import Model


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--prompt", required=True, metavar="TEXT", help="What to go on from: text, or tokens (whole numbers).")
@click.option("--length", type=click.IntRange(min=1), default=200, show_default=True, help="How many tokens to add.")
@click.option(
    "--temperature",
    type=Finite(min=0),
    default=0.7,
    show_default=True,
    help="0 takes the likeliest token each time; the higher, the more surprising.",
)
@click.option("--seed", type=click.IntRange(min=0), help="The same seed gives the same tokens; else they vary.")
@as_json
def command(model: Path, prompt: str, length: int, temperature: float, seed: int | None, as_json: bool) -> None:
    """Go on from a prompt: MODEL (.edgernn) takes each of its answers as its next input.

    A model with an alphabet takes and writes text, any other model of tokens whole numbers; they come as they are made.
    """
    import edgernn
    from edgernn.cli import console
    from edgernn.errors import plain
    from edgernn.pipelines.generate import generate

    loaded = edgernn.load(model)
    given, seed = tokens_of(loaded, prompt), secrets.randbits(32) if seed is None else seed
    made = generate(loaded, given, length, temperature, seed)
    if as_json:
        tokens = [*given, *made]
        text = {"text": "".join(loaded.alphabet[token] for token in tokens)} if loaded.alphabet else {}
        console.print_json({**text, "tokens": tokens, "temperature": temperature, "seed": seed})
        return
    for token in chain(given, made):
        click.echo(plain(loaded.alphabet[token]) if loaded.alphabet else f"{token} ", nl=False)
    click.echo()


def tokens_of(model: Model, prompt: str) -> list[int]:
    """The prompt as tokens. Raises BadInput for characters outside the model's alphabet, and for what is no number."""
    from edgernn.errors import BadInput
    from edgernn.pipelines.generate import check_generates, spelt_out

    check_generates(model)
    if model.alphabet:
        return spelt_out(model, prompt)
    try:
        return [int(token) for token in prompt.replace(",", " ").split()]
    except ValueError:
        raise BadInput(f"the prompt is {prompt!r}: the model has no alphabet, so it takes whole numbers") from None
