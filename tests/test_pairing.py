"""Step graphs of several cells whose names tell nothing: the states are found, or asked for, and never mistaken."""

from __future__ import annotations

import random
from string import ascii_lowercase

import numpy as np
import onnx
import pytest
from onnx_cases import graph, node, weights

from edgernn import importer
from edgernn.errors import UnsupportedModel


class Chain:
    """Cells in a row; `states` tells which input each output replaces."""

    def __init__(self, rng: random.Random):
        self.rng, self.names = rng, rng.sample(ascii_lowercase, 26)
        self.nodes: list[onnx.NodeProto] = []
        self.held: dict[str, np.ndarray] = {"zero": np.zeros(1, np.int64), "keep": np.float32(0.9)}
        self.dims: dict[str, tuple[int, ...]] = {}
        self.states: dict[str, str] = {}
        self.x, self.size, self.serial = self.names.pop(), rng.choice([3, 4]), 0
        self.dims[self.x] = (1, self.size)

    def state(self, *shape: int) -> tuple[str, str]:
        """A state input and the output that replaces it."""
        before, after = self.names.pop(), self.names.pop()
        self.dims[before], self.states[before] = shape, after
        return before, after

    def put(self, kind: str, inputs: str, output: str = "", **attributes: object) -> str:
        """A node; what it makes is named here where it has no name."""
        self.serial += 1
        output = output or f"value{self.serial}"
        self.nodes.append(node(kind, inputs, output, **attributes))
        return output

    def product(self, x: str, n_in: int, rows: int) -> str:
        """A matrix times x."""
        self.serial += 1
        values = np.random.default_rng(self.rng.randrange(1000)).uniform(-1, 1, (rows, n_in))
        self.held[name := f"weight{self.serial}"] = values.astype(np.float32)
        return self.put("Gemm", f"{x} {name}", transB=1)

    def rnn(self, x: str, n: int) -> str:
        h, after = self.state(1, n)
        total = self.put("Add", f"{self.product(x, self.size, n)} {self.product(h, n, n)}")
        return self.put("Tanh", total, after)

    def leaky(self, x: str, n: int) -> str:
        """h = 0.9 h + tanh(W x): no cell that the importer knows."""
        h, after = self.state(1, n)
        return self.put(
            "Add", f"{self.put('Mul', f'{h} keep')} {self.put('Tanh', self.product(x, self.size, n))}", after
        )

    def kept(self, x: str, n: int) -> str:
        """The difference to the frame before, which does not depend on the one before that."""
        h, after = self.state(1, n)
        self.put("Identity", self.product(x, self.size, n), after)
        return self.put("Tanh", self.put("Sub", f"{after} {h}"))

    def lstm(self, x: str, n: int) -> str:
        (h, h_after), (c, c_after) = self.state(1, n), self.state(1, n)
        total = self.put("Add", f"{self.product(x, self.size, 4 * n)} {self.product(h, n, 4 * n)}")
        gates = [f"gate{i}of{self.serial}" for i in range(4)]
        self.nodes.append(node("Split", total, " ".join(gates), axis=1))
        i, o, f = (self.put("Sigmoid", gate) for gate in gates[:3])
        added = self.put("Mul", f"{i} {self.put('Tanh', gates[3])}")
        self.put("Add", f"{self.put('Mul', f'{f} {c}')} {added}", c_after)
        return self.put("Mul", f"{o} {self.put('Tanh', c_after)}", h_after)

    def gru_node(self, x: str, n: int) -> str:
        h, after = self.state(1, 1, n)
        names = {key: f"{key}{self.serial}" for key in "WRB"}
        self.held |= {names[key]: value for key, value in weights("GRU", self.size, n, seed=self.serial).items()}
        given = " ".join([self.put("Unsqueeze", f"{x} zero"), *names.values(), "-", h])
        self.nodes.append(node("GRU", given, f"all{self.serial} {after}", hidden_size=n))
        return self.put("Squeeze", f"{after} zero")

    def model(self) -> onnx.ModelProto:
        """One to three cells and an answer, with inputs and outputs in any order."""
        now = self.x
        for _ in range(self.rng.randint(1, 3)):
            n = self.rng.choice([3, 4])
            now = self.rng.choice([self.rnn, self.leaky, self.lstm, self.gru_node, self.kept])(now, n)
            self.size = n
        outputs = [self.product(now, self.size, self.rng.choice([2, 3, 4])), *self.states.values()]
        inputs = list(self.dims)
        self.rng.shuffle(inputs)
        self.rng.shuffle(outputs)
        return graph(self.nodes, {name: self.dims[name] for name in inputs}, outputs, self.held)


@pytest.mark.parametrize("block", range(4))
def test_states_are_found_or_asked_for(block: int) -> None:
    found = 0
    for seed in range(20 * block, 20 * (block + 1)):
        chain = Chain(random.Random(seed))
        data = chain.model().SerializeToString()
        report = importer.analyse(data)
        if report.model is None:
            said = ("may be a state", "nothing is carried")
            assert all(any(text in p.what for text in said) for p in report.problems), (seed, report.problems)
            report = importer.analyse(data, chain.states)
        elif any("is taken as a part of the frame" in note for note in report.notes):
            report = importer.analyse(data, chain.states)
        else:
            found += 1
        assert dict(report.states) == chain.states and report.model is not None, seed
        assert [port.name for port in report.model.inputs] == [chain.x], seed
    assert found >= 4, "cells prove many"


def test_what_is_asked_for_can_be_said() -> None:
    chain = Chain(random.Random(0))
    h, after = chain.state(1, chain.size)
    total = chain.put("Add", f"{chain.product(chain.x, chain.size, chain.size)} {h}", after)
    data = graph(chain.nodes, chain.dims, [total], chain.held).SerializeToString()
    with pytest.raises(UnsupportedModel, match=f"--state {h}={after}|may be a state"):
        importer.read(data)
    assert importer.read(data, state={h: after}).states[0].name == f"{h}.frame"
