"""Number formats keep the error that they state, and the figures of a difference are what their formulas say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from make_golden import small_model

from edgernn.layers.base import Int8Matrix, Layer
from edgernn.layers.dense import Affine
from edgernn.layers.embedding import Embedding
from edgernn.layers.model import Model, Node, Port
from edgernn.layers.pointwise import Combine, Map
from edgernn.layers.reshape import Reshape
from edgernn.quantiser import FORMATS, quantise
from edgernn.quantiser.drift import drift
from edgernn.quantiser.int8 import int8_matrix

finite = st.floats(-(2.0**127), 2.0**127, width=32)
matrices = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=finite)


@settings(max_examples=300, deadline=None)
@given(matrices)
def test_int8_moves_no_weight_by_more_than_half_a_scale(weight: np.ndarray) -> None:
    made = int8_matrix(weight)
    assert made.q.dtype == np.int8 and made.scale.dtype == np.float32
    assert made.q.shape == weight.shape and made.scale.shape == weight.shape[:1]
    assert (made.scale > 0).all() and np.isfinite(made.scale).all() and (np.abs(made.q.astype(int)) <= 127).all()
    scale = made.scale.astype(np.float64)[:, None]
    error = np.abs(made.q * scale - weight)
    # float32's rounding of the scale moves the largest weight by up to 127 times half a unit in the last place
    assert (error <= scale * (0.5 + 127 * 2.0**-24)).all()


def test_int8_by_hand() -> None:
    made = int8_matrix(np.array([[127, -63.5, 0.5, 1.5], [0, 0, 0, 0], [-254, 1, 3, 254]], np.float32))
    assert made.scale.tolist() == [1, 1, 2]
    assert made.q.tolist() == [[127, -64, 0, 2], [0, 0, 0, 0], [-127, 0, 2, 127]]  # halves to even


def test_int8_refuses_what_is_not_finite() -> None:
    with pytest.raises(ValueError, match="not a number"):
        int8_matrix(np.array([[np.nan]], np.float32))


def test_only_quantisable_matrices_change() -> None:
    model, made = small_model(), quantise(small_model(), "int8")
    for before, after in zip(model.nodes, made.nodes, strict=True):
        for (name, old), (_, new) in zip(before.layer.weights(), after.layer.weights(), strict=True):
            wanted = name in before.layer.quantisable
            assert isinstance(new, Int8Matrix) is wanted
            assert wanted or np.array_equal(new, old)
    assert made.hash != model.hash and made.origin == model.origin and made.shapes == model.shapes
    assert quantise(made, "int8").hash == made.hash
    assert quantise(model, "none").hash == model.hash


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
    assert stored == {"bands": np.ndarray if kept else Int8Matrix, "out": Int8Matrix}


def test_an_embedding_table_gets_a_scale_a_row() -> None:
    table = Embedding(np.array([[1, 2], [100, -50], [0, 0]], np.float32))
    model = Model(
        (Port("token", "token", 1, "int64", 0, 2),), (Port("y", "y", 2),), (), (Node("e", table, ("token",), ("y",)),)
    )
    (node,) = quantise(model, "int8").nodes
    assert isinstance(node.layer, Embedding) and isinstance(node.layer.table, Int8Matrix)
    np.testing.assert_allclose(node.layer.table.dense(), table.table, rtol=0.008)


@pytest.mark.parametrize("name", ["int4", "int16", "int8x16", "auto", "INT8", ""])
def test_other_formats_are_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"no number format '{name}': choose one of none, int8"):
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
