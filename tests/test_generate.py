"""`edgernn generate`: a model goes on from its own answers, as a loop with ONNX Runtime does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from cases import Net, gru, stack
from commands import bad, call, good

import edgernn
from edgernn.errors import BadInput, BadModelFile
from edgernn.importer import analyse
from edgernn.layers import Embedding
from edgernn.layers.model import Model
from edgernn.modelfile import load, save
from edgernn.modelfile.description import decode, encode
from edgernn.pipelines.generate import generate
from edgernn.quantiser import quantise

CHARS = Path(__file__).resolve().parents[1] / "models" / "chars-lstm" / "model.onnx"
LETTERS = "abc ê\n\x1b"


def small(alphabet: str = LETTERS, activation: str = "") -> Model:
    """A random model of seven characters."""
    return replace(stack("GRU", 4, 16, 1, [(7, activation)], vocabulary=7), alphabet=alphabet)


@pytest.fixture(scope="module")
def chars(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The shipped model in float and in int8."""
    folder = tmp_path_factory.mktemp("chars")
    model = edgernn.convert(CHARS)
    for name in ("none", "int8"):
        save(quantise(model, name), folder / f"{name}.edgernn")
    return {name: folder / f"{name}.edgernn" for name in ("none", "int8")}


def by_onnx_runtime(prompt: list[int], length: int) -> list[int]:
    """The likeliest tokens, each time from the whole sequence."""
    session = onnxruntime.InferenceSession(CHARS)
    tokens = list(prompt)
    for _ in range(length):
        odds = session.run(None, {"x": np.array(tokens)[:, None]})[0][-1, 0]
        tokens.append(int(odds.argmax()))
    return tokens[len(prompt) :]


def test_the_likeliest_text_is_that_of_a_loop_with_onnx_runtime(chars: dict[str, Path]) -> None:
    alphabet = load(chars["none"]).alphabet
    expected = by_onnx_runtime([alphabet.index(c) for c in "It was "], 60)
    arguments = ("generate", chars["none"], "--prompt", "It was ", "--length", 60, "--temperature", 0)
    assert good(*arguments) == "It was " + "".join(alphabet[token] for token in expected) + "\n"
    shown = json.loads(good(*arguments, "--json"))
    assert shown["tokens"][7:] == expected and shown["text"][7:] == "".join(alphabet[token] for token in expected)


@pytest.mark.parametrize("number_format", ["none", "int8"])
def test_the_same_seed_gives_the_same_text(chars: dict[str, Path], number_format: str) -> None:
    arguments = ("generate", chars[number_format], "--prompt", "Emma ", "--length", 80, "--temperature", 1)
    first = good(*arguments, "--seed", 5)
    assert first == good(*arguments, "--seed", 5) != good(*arguments, "--seed", 6)
    assert len(first) == 5 + 80 + 1
    drawn = json.loads(good(*arguments, "--json"))
    again = json.loads(good(*arguments, "--json", "--seed", drawn["seed"]))
    assert again == drawn and drawn["temperature"] == 1


def test_tokens_without_an_alphabet_are_numbers(tmp_path: Path) -> None:
    save(small(alphabet=""), tmp_path / "m.edgernn")
    arguments = ("generate", tmp_path / "m.edgernn", "--length", 5, "--temperature", 0, "--prompt")
    shown = good(*arguments, "3, 1 6")
    assert [int(token) for token in shown.split()] == [3, 1, 6, *generate(small(), [3, 1, 6], 5)]
    assert "text" not in json.loads(good(*arguments, "3", "--json"))
    assert "'3 x'" in bad(*arguments, "3 x") and "outside -7..6" in bad(*arguments, "7")


def test_what_would_steer_the_terminal_is_spelt_out(tmp_path: Path) -> None:
    save(small(), tmp_path / "m.edgernn")
    shown = good("generate", tmp_path / "m.edgernn", "--prompt", "ê\x1b", "--length", 1, "--temperature", 0)
    assert shown.startswith("ê\\x1b")


def test_the_temperature_divides_the_log_odds() -> None:
    """Frequencies of the first token, from log odds and from probabilities, against softmax(log odds / temperature)."""
    for temperature in (0.3, 2.0):
        odds = small().stream().run(np.array([2, 0]))[-1].astype(float) / temperature
        expected = np.exp(odds) / np.exp(odds).sum()
        for activation in ("", "softmax"):
            model = small(activation=activation)
            drawn = [next(generate(model, [2, 0], 1, temperature, seed)) for seed in range(400)]
            assert np.abs(np.bincount(drawn, minlength=7) / 400 - expected).max() < 0.08


def unfit() -> dict[str, tuple[Model, str]]:
    """Models that cannot go on from their answers, and what must be said."""
    net = Net(1, vocabulary=7)
    token = net.add(Embedding(np.ones((7, 4), np.float32)), "x")
    state = net.cell(gru(net, 4, 7), token, 7)
    two = net.model(y=(state, 7), z=(state, 7))
    return {
        "numbers": (stack("GRU", 3, 5, 1, [(3, "")]), "input 'x' takes 3 numbers a frame"),
        "classes": (stack("GRU", 4, 5, 1, [(3, "")], vocabulary=7), "answers 3 numbers and takes 7 tokens"),
        "outputs": (two, "2 outputs"),
        "window": (edgernn.convert(CHARS, window=4), "does not answer each token at once"),
    }


@pytest.mark.parametrize("what", ["numbers", "classes", "outputs", "window"])
def test_what_cannot_generate_says_why(what: str, tmp_path: Path) -> None:
    model, message = unfit()[what]
    save(model, tmp_path / "m.edgernn")
    assert message in bad("generate", tmp_path / "m.edgernn", "--prompt", "1")


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    save(small(), tmp_path / "m.edgernn")
    assert "'d', character 3 of the prompt" in bad("generate", tmp_path / "m.edgernn", "--prompt", "abd")
    assert "prompt is empty" in bad("generate", tmp_path / "m.edgernn", "--prompt", "")
    for option in (("--length", 0), ("--temperature", -1), ("--seed", -1)):
        assert call("generate", tmp_path / "m.edgernn", "--prompt", "a", *option).exit_code == 2
    for given in ({"length": 0}, {"length": 1, "temperature": np.nan}, {"length": 1, "temperature": -1.0}):
        with pytest.raises(BadInput, match=r"length|temperature"):
            generate(small(), [1], **given)


def test_an_alphabet_is_kept_and_checked(tmp_path: Path) -> None:
    model = small()
    save(model, tmp_path / "m.edgernn")
    assert load(tmp_path / "m.edgernn").alphabet == LETTERS
    assert model.hash != replace(model, alphabet="").hash and "alphabet" in model.summary()
    assert json.loads(good("inspect", tmp_path / "m.edgernn", "--json"))["alphabet"] == LETTERS
    for wrong in ("ab", "abcdefgg"[-7:]):
        with pytest.raises(ValueError, match="alphabet"):
            small(alphabet=wrong)


@pytest.mark.parametrize(("alphabet", "message"), [(3, "3 is not str"), ("ab", "2 characters"), ("1234567", "altered")])
def test_a_forged_alphabet_is_refused(alphabet: object, message: str) -> None:
    text, tensors = encode(small())
    with pytest.raises(BadModelFile, match=message):
        decode(json.dumps({**json.loads(text), "alphabet": alphabet}), tensors)


@pytest.mark.parametrize(("alphabet", "note"), [("abc", "3 characters, the model takes 66"), ("a" * 66, "twice")])
def test_an_alphabet_that_does_not_fit_is_left_out_with_a_note(alphabet: str, note: str) -> None:
    file = onnx.load(CHARS)
    onnx.helper.set_model_props(file, {"alphabet": alphabet})
    report = analyse(file.SerializeToString())
    assert report.model is not None and report.model.alphabet == "" and note in report.notes[0]
