"""Generate: one token becomes many, as each answer is fed back as the next input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.layers.reshape import Reshape
from edgernn.layers.softmax import Softmax


def generate(
    model: Model, prompt: Sequence[int], length: int, temperature: float = 0.0, seed: int | None = None
) -> Iterator[int]:
    """`length` tokens that go on from `prompt`, which holds at least one: each as soon as it is known.

    The answers are log odds of the next token, or its probabilities where the model ends with a Softmax. With a
    temperature of 0 the likeliest token comes next; above, it is drawn by softmax(log odds / temperature), the same
    ones for the same seed. Raises BadInput, before the first token, for a model that cannot go on from its own answers,
    and for a prompt, length or temperature that does not fit.
    """
    check_generates(model)
    if length < 1:
        raise BadInput(f"length={length}: at least one token expected")
    if not (np.isfinite(temperature) and temperature >= 0):
        raise BadInput(f"temperature={temperature}: 0 (the likeliest token) or a number above it expected")
    if not len(prompt):
        raise BadInput("the prompt is empty: a model goes on from at least one token")
    stream = model.stream()
    answer = stream.run(np.asarray(prompt))[-1]
    return _tokens(stream.step, answer, _gives_probabilities(model), length, temperature, seed)


def check_generates(model: Model) -> None:
    """Raise BadInput unless the model answers each token with a number for each token that it knows."""
    tokens = [port for port in model.inputs if port.dtype == "int64"]
    if not tokens:
        raise BadInput(f"the model takes no tokens: its input '{model.inputs[0].name}' takes {model.inputs[0].size} "
                       "numbers a frame, and only a model of tokens can be fed its own answers")  # fmt: skip
    if len(model.inputs) > 1 or len(model.outputs) > 1:
        ends = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise BadInput(f"the model has {ends}: one of each expected")
    if tokens[0].size > 1:
        raise BadInput(f"the model takes {tokens[0].size} tokens a frame: one expected")
    if model.rhythm:
        raise BadInput(f"the model does not answer each token at once ({model.rhythm}), so it cannot go on from it")
    if model.outputs[0].size != tokens[0].high + 1:
        raise BadInput(f"the model answers {model.outputs[0].size} numbers and takes {tokens[0].high + 1} tokens: "
                       "as many expected, log odds or probabilities of the next token")  # fmt: skip


def spelt_out(model: Model, text: str) -> list[int]:
    """The tokens that the characters of `text` are in the model's alphabet. Raises BadInput for any other character."""
    for place, character in enumerate(text):
        if character not in model.alphabet:
            raise BadInput(
                f"{character!r}, character {place + 1} of the prompt, is not in the model's alphabet {model.alphabet!r}"
            )
    return [model.alphabet.index(character) for character in text]


def _tokens(
    step: Callable[[int], Array], answer: Array, probabilities: bool, length: int, temperature: float, seed: int | None
) -> Iterator[int]:
    """`length` tokens, the first of them from `answer`, (vocabulary,)."""
    random = np.random.default_rng(seed)
    for left in reversed(range(length)):
        token = _drawn(answer, probabilities, temperature, random)
        yield token
        if left:
            answer = step(token)


def _drawn(answer: Array, probabilities: bool, temperature: float, random: np.random.Generator) -> int:
    """One token: the likeliest, or one at random by softmax(log odds / temperature)."""
    if temperature == 0:
        return int(answer.argmax())
    with np.errstate(divide="ignore"):  # what is impossible has log odds of -infinity
        odds = np.log(answer.astype(np.float64)) if probabilities else answer.astype(np.float64)
    with np.errstate(over="ignore"):  # a temperature near 0 leaves the likeliest alone
        bounds = np.exp((odds - odds.max()) / temperature).cumsum()
    drawn = int(bounds.searchsorted(random.random() * bounds[-1], side="right"))
    return min(drawn, len(answer) - 1)


def _gives_probabilities(model: Model) -> bool:
    """Whether the answers come from a Softmax."""
    makers = {name: node for node in model.nodes for name in node.outputs}
    maker = makers.get(model.outputs[0].value)
    while maker is not None and isinstance(maker.layer, Reshape):
        maker = makers.get(maker.inputs[0])
    return maker is not None and isinstance(maker.layer, Softmax) and not maker.layer.log
