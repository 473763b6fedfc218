"""Number formats keep the error that they state, and the figures of a difference are what their formulas say."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from make_golden import small_model

from edgernn.errors import BadInput
from edgernn.layers.base import FORMATS as INTEGERS
from edgernn.layers.base import Layer, QuantisedMatrix
from edgernn.layers.dense import Affine
from edgernn.layers.embedding import Embedding
from edgernn.layers.model import Model, Node, Port
from edgernn.layers.pointwise import Combine, Map
from edgernn.layers.reshape import Reshape
from edgernn.layers.summary import number_format
from edgernn.quantiser import FORMATS, quantise
from edgernn.quantiser.drift import drift
from edgernn.quantiser.gptq import fitted
from edgernn.quantiser.half import half
from edgernn.quantiser.rounding import rounded

finite = st.floats(-(2.0**127), 2.0**127, width=32)
matrices = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=finite)


@settings(max_examples=150, deadline=None)
@given(matrices, st.sampled_from(sorted(INTEGERS)))
def test_no_weight_moves_by_more_than_half_a_step(weight: np.ndarray, name: str) -> None:
    made, number = rounded(weight, name), INTEGERS[name]
    assert made.q.dtype == number.kind and made.scale.dtype == np.float32
    assert made.q.shape == weight.shape and made.scale.shape == weight.shape[:1]
    assert (made.scale > 0).all() and np.isfinite(made.scale).all()
    assert (np.abs(made.q.astype(int)) <= number.largest).all()
    step = made.scale.astype(np.float64)[:, None]
    if made.factor is not None:
        assert made.factor.dtype == np.uint8 and (made.factor > 0).all()
        step = (step * made.factor).repeat(number.group, axis=1)[:, : weight.shape[1]]
    error = np.abs(made.q * step - weight)
    # float32's rounding of the scale moves the largest weight by up to `largest` times half a unit in the last place,
    # and where it lowers the scale, the largest factor there is may be too small by as much
    cut_off = np.abs(weight) > number.largest * step if number.group else np.zeros(weight.shape, bool)
    assert (error <= step * (0.5 + number.largest * 2.0**-23))[~cut_off].all()
    assert (error <= 0.41 * np.abs(weight))[cut_off].all()


def test_int8_by_hand() -> None:
    made = rounded(np.array([[127, -63.5, 0.5, 1.5], [0, 0, 0, 0], [-254, 1, 3, 254]], np.float32), "int8")
    assert made.scale.tolist() == [1, 1, 2]
    assert made.q.tolist() == [[127, -64, 0, 2], [0, 0, 0, 0], [-127, 0, 2, 127]]  # halves to even


def test_int4_by_hand() -> None:
    weight = np.zeros((2, 40), np.float32)
    weight[0, :3], weight[0, 32:35] = (1785, -255, 765), (7, 3.5, -7.5)
    made = rounded(weight, "int4")
    assert made.scale.tolist() == [1, 1] and made.factor is not None and made.factor.tolist() == [[255, 1], [1, 1]]
    assert made.q[0, :3].tolist() == [7, -1, 3] and made.q[0, 32:35].tolist() == [7, 4, -7]  # -7.5 is cut off
    assert made.dense()[0, :3].tolist() == [1785, -255, 765]
    assert made.nbytes == 2 * 20 + 2 * 2 + 2 * 4


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_not_finite_is_refused(name: str) -> None:
    model = small_model()
    (node,) = [node for node in model.nodes if node.name == "in"]
    broken = replace(node, layer=replace(node.layer, weight=np.full((4, 4), np.nan, np.float32)))
    nodes = tuple(broken if n is node else n for n in model.nodes)
    if name != "none":
        with pytest.raises(ValueError, match=r"not a number|not finite"):
            quantise(replace(model, nodes=nodes), name)


def test_float16_is_computed_as_float32() -> None:
    model = small_model()
    made = quantise(model, "float16")
    x = {"x": np.ones((20, 3), np.float32), "gain": np.ones((20, 1), np.float32)}
    nodes = []
    for node in made.nodes:
        wide = {k: w.astype(np.float32) for k, w in node.layer.weights() if getattr(w, "dtype", None) == np.float16}
        nodes.append(replace(node, layer=replace(node.layer, **wide)))
    expected = replace(model, nodes=tuple(nodes)).stream().run(x)
    np.testing.assert_equal(made.stream().run(x), expected)
    with pytest.raises(BadInput, match="65,504"):
        half(np.array([[1e5]], np.float32))


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_fitted_products_are_nearer(name: str) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3000, 7)) @ rng.standard_normal((7, 50)) + 0.05 * rng.standard_normal((3000, 50))
    weight = rng.standard_normal((6, 50)).astype(np.float32)
    weight[5] = 0
    seen = x.T @ x / len(x)
    errors = []
    for made in (rounded(weight, name), fitted(weight, name, seen, len(x))):
        assert (np.abs(made.q.astype(int)) <= INTEGERS[name].largest).all() and (made.scale > 0).all()
        assert made.factor is None or (made.factor > 0).all()
        errors.append(np.square(x @ (made.dense() - weight).T).mean())
    assert errors[1] < errors[0] / 4
    for moments, frames in ((np.zeros((50, 50)), 100), (seen, 1)):
        assert np.isfinite(fitted(weight, name, moments, frames).dense()).all()


def test_formats_for_single_layers() -> None:
    made = quantise(small_model(), "int8", {"*": "int4", "g?u": "int16", "out": "none"})
    stored = {node.name: found for node in made.nodes if (found := number_format(node.layer))}
    assert stored == {"in": "int4", "gru": "int16", "out": "float32"}
    with pytest.raises(BadInput, match="named 'grux': there are in, gru, out"):
        quantise(small_model(), "int8", {"grux": "int16"})
    with pytest.raises(BadInput, match="no layer with matrices is named 'squash'"):
        quantise(small_model(), "int8", {"squash": "int16"})
    with pytest.raises(BadInput, match="no number format 'int7'"):
        quantise(small_model(), "int8", {"out": "int7"})


@pytest.mark.parametrize("name", INTEGERS)
def test_only_quantisable_matrices_change(name: str) -> None:
    model, made = small_model(), quantise(small_model(), name)
    for before, after in zip(model.nodes, made.nodes, strict=True):
        for (field, old), (_, new) in zip(before.layer.weights(), after.layer.weights(), strict=True):
            wanted = field in before.layer.quantisable
            assert isinstance(new, QuantisedMatrix) is wanted
            assert wanted or np.array_equal(new, old)
    assert made.hash != model.hash and made.origin == model.origin and made.shapes == model.shapes
    assert quantise(made, "int8").hash == made.hash
    assert quantise(model, "none").hash == model.hash
    assert len({quantise(model, format).hash for format in FORMATS}) == len(FORMATS)


@pytest.mark.parametrize(
    ("square", "kept"), [(Combine("mul"), True), (Map("pow", 2.0), True), (Combine("add"), False), (Map("abs"), False)]
)
def test_what_multiplies_squares_stays_in_float(square: Layer, kept: bool) -> None:
    inputs = ("x", "x") if isinstance(square, Combine) else ("x",)
    nodes = (
        Node("square", square, inputs, ("s",)),
        Node("turn", Reshape((1, 3)), ("s",), ("t",)),
        Node("sum", Combine("add"), ("t", "t"), ("power",)),
        Node("bands", Affine(np.ones((3, 3), np.float32)), ("power",), ("b",)),
        Node("log", Map("log"), ("b",), ("l",)),
        Node("out", Affine(np.ones((2, 3), np.float32)), ("l",), ("y",)),
    )
    made = quantise(Model((Port("x", "x", 3),), (Port("y", "y", 2),), (), nodes), "int8")
    stored = {node.name: type(weight) for node in made.nodes for _, weight in node.layer.weights()}
    assert stored == {"bands": np.ndarray if kept else QuantisedMatrix, "out": QuantisedMatrix}


@pytest.mark.parametrize(("name", "close"), [("int8", 0.008), ("int8x16", 0.008), ("int16", 4e-5), ("int4", 0.15)])
def test_an_embedding_table_gets_a_scale_a_row(name: str, close: float) -> None:
    table = Embedding(np.array([[1, 2], [100, -50], [0, 0]], np.float32))
    model = Model(
        (Port("token", "token", 1, "int64", 0, 2),), (Port("y", "y", 2),), (), (Node("e", table, ("token",), ("y",)),)
    )
    (node,) = quantise(model, name).nodes
    assert isinstance(node.layer, Embedding) and isinstance(node.layer.table, QuantisedMatrix)
    np.testing.assert_allclose(node.layer.table.dense(), table.table, rtol=close)


@pytest.mark.parametrize("name", ["int32", "int4x16", "float64", "INT8", ""])
def test_other_formats_are_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"no number format '{name}': choose one of none, float16, int8"):
        quantise(small_model(), name)
    assert name not in FORMATS


def test_drift_by_hand() -> None:
    expected = np.full((1001, 2), 10.0)
    answers = expected + np.linspace(0, 1, 1001)[:, None]  # grows by 1 in 1,000 frames
    made = drift(answers, expected)
    assert made.frames == 1001 and made.max_error == pytest.approx(1) and made.growth == pytest.approx(1)
    power = np.square(np.linspace(0, 1, 1001)).mean()
    assert made.rms_error == pytest.approx(power**0.5) and made.snr == pytest.approx(10 * np.log10(100 / power))


def test_drift_at_the_ends() -> None:
    same = drift(np.ones(3), np.ones(3))
    assert (same.max_error, same.snr, same.growth) == (0, float("inf"), 0)
    assert drift(np.ones((1, 2)), np.zeros((1, 2))).snr == float("-inf")
    assert np.isnan(drift(np.array([np.nan, 1]), np.ones(2)).max_error)
    for answers, expected in ((np.ones(3), np.ones(4)), (np.ones(0), np.ones(0))):
        with pytest.raises(ValueError, match="cannot compare"):
            drift(answers, expected)


def test_drift_of_many_numbers_is_that_of_their_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    answers, expected = rng.standard_normal((2, 50, 7)).astype(np.float32)
    whole = drift(answers, expected)
    monkeypatch.setattr("edgernn.quantiser.drift.BLOCK", 24)  # three frames of seven numbers at a time, the last two
    assert astuple(drift(answers, expected)) == pytest.approx(astuple(whole), rel=1e-12)
