"""A Model that is not well formed cannot be made, so that no plan and no kernel ever meets one."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from cases import CASES, Net, stack

from edgernn import layers
from edgernn.cli.run import header
from edgernn.layers import LSTM, Embedding, Map
from edgernn.layers.model import Model, Node, Port, State
from edgernn.layers.summary import node_facts, weight_bytes
from edgernn.layers.take import Take
from edgernn.quantiser import quantise

GRU, TOKENS = CASES["GRU-3-5"](), CASES["tokens"]()


def swapped(model: Model, **fields: object) -> Model:
    """The model with the fields of its first recurrent layer replaced."""
    at = next(i for i, node in enumerate(model.nodes) if hasattr(node.layer, "R"))
    node = replace(model.nodes[at], layer=replace(model.nodes[at].layer, **fields))
    return replace(model, nodes=(*model.nodes[:at], node, *model.nodes[at + 1 :]))


BROKEN = {
    "tokens beyond the table": lambda: replace(TOKENS, inputs=(replace(TOKENS.inputs[0], high=50),)),
    "tokens before the table": lambda: replace(TOKENS, inputs=(replace(TOKENS.inputs[0], low=-51),)),
    "numbers as tokens": lambda: replace(TOKENS, inputs=(Port("x", "x", 1),)),
    "tokens as numbers": lambda: replace(GRU, inputs=(Port("x", "x", 3, "int64", 0, 1),)),
    "tokens as an answer": lambda: replace(TOKENS, outputs=(*TOKENS.outputs, Port("t", "x", 1))),
    "integers as an answer": lambda: replace(GRU, outputs=(replace(GRU.outputs[0], dtype="int64"),)),
    "an answer of another size": lambda: replace(GRU, outputs=(replace(GRU.outputs[0], size=4),)),
    "an answer that nothing makes": lambda: replace(GRU, outputs=(Port("y", "nowhere", 3),)),
    "no answer": lambda: replace(GRU, outputs=()),
    "a state of another size": lambda: replace(GRU, states=(State("h0", "v0", np.zeros(4, np.float32)),)),
    "a state from a token": lambda: replace(TOKENS, states=(State("h1", "x", np.zeros(1, np.float32)),)),
    "a node before what it reads": lambda: replace(GRU, nodes=GRU.nodes[::-1]),
    "a value made twice": lambda: replace(GRU, nodes=(*GRU.nodes, Node("again", Map("tanh"), ("v0",), ("v1",)))),
    "a bias that is too short": lambda: swapped(GRU, bias=np.zeros(19, np.float32)),
    "weights of three axes": lambda: swapped(GRU, W=np.zeros((1, 15, 3), np.float32)),
    "activations that are too few": lambda: swapped(GRU, activations=(("tanh", 0.0, 0.0),)),
    "an unknown activation": lambda: swapped(GRU, activations=(("tanh", 0.0, 0.0), ("exp", 0.0, 0.0))),
    "peepholes that are too long": lambda: swapped(CASES["LSTM-3-5"](), P=np.zeros(20, np.float32)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_model_cannot_be_made(what: str) -> None:
    with pytest.raises(ValueError):
        BROKEN[what]()


def test_equal_models_have_equal_hashes() -> None:
    assert stack("GRU", 3, 5, 1, [(3, "")]).hash == GRU.hash
    assert swapped(GRU, clip=1.0).hash != GRU.hash
    assert replace(GRU, origin={"producer": "x"}).hash == GRU.hash


def test_layers_count_what_they_hold_and_do() -> None:
    net = Net(1, vocabulary=7)
    token = net.add(Embedding(np.zeros((7, 2), np.float32)), "x")
    weights = (np.zeros((12, 2), np.float32), np.zeros((12, 3), np.float32), np.zeros(12, np.float32))
    model = net.model(y=(net.cell(LSTM(*weights), token, 3, 2), 3))
    assert model.parameters == 7 * 2 + 12 * 2 + 12 * 3 + 12
    assert model.macs == 12 * 2 + 12 * 3


def test_the_columns_of_the_summary_add_up_to_its_totals() -> None:
    """Places that a Take reads from are no weights."""
    net = Net(6)
    turned = net.add(Take(np.array([4, 1, 5, 0, 2, 3], np.int32), (6,)), "x")
    weights = (np.ones((12, 6), np.float32), np.ones((12, 4), np.float32), np.zeros(16, np.float32))
    model = quantise(net.model(y=(net.cell(layers.GRU(*weights), turned, 4), 4)), "int8")
    rows = list(node_facts(model))
    assert sum(row.parameters for row in rows) == model.parameters == 12 * 6 + 12 * 4 + 16
    assert sum(row.bytes for row in rows) == weight_bytes(model) == 12 * 6 + 12 * 4 + 4 * (2 * 12 + 16)
    assert (rows[0].layer, rows[0].weights) == ("Take", "")


def test_columns_are_named_by_ports_whatever_these_are_called() -> None:
    model = replace(GRU, outputs=(replace(GRU.outputs[0], name="a,\x1b[2J"),))
    assert next(csv.reader([header(model)])) == [f"a,\\x1b[2J.{n}" for n in range(model.outputs[0].size)]
