"""The models that come along: each answers what its framework did, and its card and settings are there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import edgernn
from edgernn.modelfile.description import encode

MODELS = Path(__file__).resolve().parents[1] / "models"
FILES = sorted(MODELS.rglob("model.onnx"))
SETTINGS = [path for file in FILES if (path := file.with_name("pipeline.toml")).is_file()]
FOLDERS = sorted({MODELS / path.relative_to(MODELS).parts[0] for path in FILES})
README = (MODELS.parent / "README.md").read_text(encoding="utf-8")
SECTIONS = ("## Data", "## Accuracy", "## Known limits", "## Licence")


def name_of(path: Path) -> str:
    """The folder within models/."""
    return path.parent.relative_to(MODELS).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_answers_are_those_in_io_npz(path: Path) -> None:
    model = edgernn.convert(path, reference=path.with_name("io.npz"))
    (figures,) = model.origin["reference"]["outputs"].values()
    assert figures["max_error"] <= 1e-5 * max(1.0, figures["peak"])


@pytest.mark.parametrize("path", SETTINGS, ids=name_of)
def test_the_settings_fit(path: Path) -> None:
    model = edgernn.convert(path.with_name("model.onnx"), **tomllib.loads(path.read_text()))
    assert model.pipeline().scores.keys() == set(model.deciding.labels)


def test_what_describes_a_model_of_many_layers_is_small() -> None:
    text, tensors = encode(edgernn.convert(MODELS / "kws-digits-crnn" / "model.onnx", quantize="int8"))
    assert len(json.loads(text)["nodes"]) == 29 and len(text) < 5500
    assert sum(tensor.nbytes for tensor in tensors.values()) < 24_000, "weights, biases and scales, and no indices"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_model_has_a_card(folder: Path) -> None:
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {folder.name}: ") and all(section in card for section in SECTIONS)
    scripts = re.findall(r"tools/\w+\.py", card)
    assert scripts and all((MODELS.parent / script).is_file() for script in scripts)


def test_the_table_of_the_readme_says_what_the_cards_say() -> None:
    rows = re.findall(r"^\| \[(\S+)\]\(models/\1/card\.md\) \|(.*)\|$", README, re.MULTILINE)
    assert len(rows) > 5
    for name, row in rows:
        card = (MODELS / name / "card.md").read_text(encoding="utf-8")
        missing = [figure for figure in re.findall(r"\d[\d.,]*\d|\d", row) if figure not in card]
        assert not missing, f"{name}: {missing} not in its card"


def test_the_pair_of_the_readme_writes_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```py\n((?:(?!```).)*reverse-seq2seq.*?)```", README, re.DOTALL)
    monkeypatch.chdir(MODELS.parent)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["written"] == "\nmaerts\n"
