"""Alphabet: the characters that a file's tokens stand for, as its metadata says."""

from __future__ import annotations

from dataclasses import replace

from edgernn.layers.model import Model


def spelt(model: Model, alphabet: str) -> tuple[Model, tuple[str, ...]]:
    """(the model with this alphabet, no notes), or the model as it is with a note where the alphabet does not fit."""
    if not alphabet:
        return model, ()
    try:
        return replace(model, alphabet=alphabet), ()
    except ValueError as error:
        return model, (f"the alphabet in the file's metadata is left out: {error}",)
