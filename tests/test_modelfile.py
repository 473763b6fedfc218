"""The file format: what was written is read back, byte for byte, and nothing else gets in."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import SEQUENCE
from hypothesis import given, settings
from hypothesis import strategies as st
from make_golden import FILES as GOLDEN_FILES
from make_golden import small_model

from edgernn import BadModelFile, Model, convert, load
from edgernn.layers.base import QuantisedMatrix
from edgernn.layers.dense import Affine
from edgernn.layers.lstm import LSTM
from edgernn.layers.model import Node, Port, State
from edgernn.modelfile import container, save, validate
from edgernn.modelfile.description import encode
from edgernn.quantiser import quantise

GOLDEN = Path(__file__).parent / "golden"


def same(a: Model, b: Model) -> bool:
    """Whether two models are equal in all that a file holds."""
    weights = zip(
        (w for n in a.nodes for w in n.layer.weights()), (w for n in b.nodes for w in n.layer.weights()), strict=True
    )
    return (
        a.hash == b.hash
        and a.origin == b.origin
        and (a.inputs, a.outputs) == (b.inputs, b.outputs)
        and [n.name for n in a.nodes] == [n.name for n in b.nodes]
        and all(k == m and type(v) is type(w) and v.shape == w.shape for (k, v), (m, w) in weights)
    )


@pytest.mark.parametrize(("name", "number_format"), sorted(GOLDEN_FILES.items()))
def test_golden_bytes(name: str, number_format: str, tmp_path: Path) -> None:
    model = quantise(small_model(), number_format)
    save(model, tmp_path / "model.edgernn")
    assert (tmp_path / "model.edgernn").read_bytes() == (GOLDEN / f"{name}.edgernn").read_bytes()
    assert same(load(GOLDEN / f"{name}.edgernn"), model)


def test_files_of_format_1_are_read() -> None:
    assert same(load(GOLDEN / "format-1.edgernn"), quantise(small_model(), "int8"))


def test_states_of_zeros_take_no_room() -> None:
    text, tensors = encode(small_model())
    kept = [state for state in json.loads(text)["states"] if "shape" not in state]
    first = [bool(state.initial.any()) for state in small_model().states]
    assert first == [True, False] or first == [False, True], "one of each, or this shows nothing"
    assert len(kept) == 1 and sum(name.startswith("state.") for name in tensors) == 1


def test_a_negative_zero_is_kept() -> None:
    model = small_model()
    states = [replace(state, initial=np.full_like(state.initial, -0.0)) for state in model.states]
    loaded = validate(container.pack(*encode(replace(model, states=tuple(states)))))
    assert all(np.signbit(state.initial).all() for state in loaded.states)


def doubled() -> Model:
    """Two layers with equal weights, and a third with others."""
    weight = np.arange(320, dtype=np.float32).reshape(32, 10)
    nodes = [Node(f"n{i}", Affine(w), ("x",), (f"y{i}",)) for i, w in enumerate((weight, weight.copy(), weight + 1))]
    outputs = tuple(Port(f"y{i}", f"y{i}", 32) for i in range(3))
    return Model((Port("x", "x", 10),), outputs, (), tuple(nodes))


@pytest.mark.parametrize("number_format", ["none", "int8"])
def test_equal_tensors_are_stored_once(number_format: str, tmp_path: Path) -> None:
    model = quantise(doubled(), number_format)
    save(model, tmp_path / "a")
    text, tensors = encode(model)
    end = {"none": "", "int8": ".q"}[number_format]  # the scales are too short to be worth a name
    assert json.loads(text)["shared"] == {f"1.weight{end}": f"0.weight{end}"} and f"1.weight{end}" not in tensors
    loaded = load(tmp_path / "a")
    assert same(loaded, model)
    save(loaded, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    if number_format == "none":
        first, second, _ = (node.layer for node in loaded.nodes)
        assert isinstance(first, Affine) and isinstance(second, Affine) and first.weight is second.weight


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
sizes = st.integers(1, 5)


@st.composite
def models(draw: st.DrawFn) -> Model:
    """An LSTM with an affine layer, of any size, attributes and names, in float or int8."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    n_in, hidden, n_out = draw(sizes), draw(sizes), draw(sizes)
    x, h, c, h2, c2, y = draw(st.lists(names, min_size=6, max_size=6, unique=True))

    def some(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    cell = LSTM(
        some(4 * hidden, n_in),
        some(4 * hidden, hidden),
        some(4 * hidden),
        draw(st.sampled_from([None, some(3 * hidden)])),
        clip=draw(st.sampled_from([None, 3, 0.1])),
        input_forget=draw(st.booleans()),
    )
    model = Model(
        (Port(draw(names), x, n_in),),
        (Port(draw(names), y, n_out),),
        (State(h, h2, some(1, 1, hidden)), State(c, c2, some(1, 1, hidden))),
        (Node(draw(names), cell, (x, h, c), (h2, c2)), Node("", Affine(some(n_out, hidden)), (h2,), (y,))),
        {draw(names): draw(names)},
    )
    return quantise(model, draw(st.sampled_from(["none", "int8"])))


@settings(max_examples=50, deadline=None)
@given(models())
def test_round_trip(model: Model) -> None:
    assert same(validate(container.pack(*encode(model))), model)


def test_special_files(tmp_path: Path) -> None:
    with pytest.raises(BadModelFile, match=r"is a folder: name the .edgernn file"):
        load(tmp_path)
    with pytest.raises(BadModelFile, match="there is no file"):
        load(tmp_path / "missing.edgernn")
    (tmp_path / "empty.edgernn").touch()
    with pytest.raises(BadModelFile, match=r"empty\.edgernn: .*empty"):
        load(tmp_path / "empty.edgernn")


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_an_interrupted_save_leaves_what_was_there(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.edgernn"
    path.write_bytes(b"before")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(*((os, "fsync") if where == "fsync" else (Path, "replace")), interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(small_model(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.edgernn"] and path.read_bytes() == b"before"


def test_what_cannot_be_read_back_is_not_written(tmp_path: Path) -> None:
    model = small_model()
    broken = replace(model.nodes[3].layer, weight=np.full((4, 4), np.nan, np.float32))
    nodes = tuple(replace(n, layer=broken) if n.name == "in" else n for n in model.nodes)
    with pytest.raises(BadModelFile, match="not a number"):
        save(replace(model, nodes=nodes), tmp_path / "model.edgernn")
    assert not list(tmp_path.iterdir())


def test_loaded_and_converted_weights_cannot_be_changed() -> None:
    models = [load(GOLDEN / f"{name}.edgernn") for name in GOLDEN_FILES]
    models += [convert(SEQUENCE, quantize=name) for name in ("none", "int8", "int4")]
    for item in (node for model in models for node in model.nodes):
        for _, weight in item.layer.weights():
            arrays = weight.parts() if isinstance(weight, QuantisedMatrix) else (weight,)
            assert not any(array.flags.writeable for array in arrays)
