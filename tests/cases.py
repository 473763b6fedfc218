"""The table of models that tests and benchmarks walk: every layer and cell, at sizes that leave and fill registers.

`CASES` maps an id to a maker of Models (seeded). `SIZES` are the eight sizes that the benchmark compares runtimes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edgernn.layers import (
    GRU,
    LSTM,
    RNN,
    Affine,
    Combine,
    Constant,
    Conv,
    Embedding,
    Join,
    Map,
    Reduce,
    Reshape,
    Select,
    Softmax,
    Take,
)
from edgernn.layers.base import FORMATS, Array, Layer, QuantisedMatrix
from edgernn.layers.model import Model, Node, Port, State

Maker = Callable[[], Model]


@dataclass
class Net:
    """Builds a Model node by node; values are named v0, v1, ..."""

    n_in: int
    vocabulary: int = 0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    nodes: list[Node] = field(default_factory=list)
    states: list[State] = field(default_factory=list)

    def uniform(self, k: int, *shape: int) -> Array:
        """PyTorch's initial weights: uniform within 1 / sqrt(k)."""
        return self.rng.uniform(-(k**-0.5), k**-0.5, shape).astype(np.float32)

    def add(self, layer: Layer, *inputs: str, outputs: int = 1) -> str:
        """A node; returns its first output's name (the others follow as name.1, name.2)."""
        name = f"v{len(self.nodes)}"
        names = (name, *(f"{name}.{i}" for i in range(1, outputs)))
        self.nodes.append(Node(name, layer, inputs, names))
        return name

    def cell(self, layer: Layer, x: str, size: int, states: int = 1) -> str:
        """A recurrent layer with states of its own, zero at first; returns h."""
        carried = [f"{name}{len(self.nodes)}" for name in ("h", "c")[:states]]
        new = self.add(layer, x, *carried, outputs=states)
        for i, name in enumerate(carried):
            self.states.append(State(name, new if i == 0 else f"{new}.{i}", np.zeros((1, 1, size), np.float32)))
        return new

    def dense(self, x: str, n_in: int, n_out: int, bias: bool = True) -> str:
        """An Affine layer with random weights."""
        return self.add(Affine(self.uniform(n_in, n_out, n_in), self.uniform(n_in, n_out) if bias else None), x)

    def model(self, **outputs: tuple[str, int]) -> Model:
        """The Model, with these outputs: name=(value, size)."""
        tokens = (self.vocabulary > 0) * self.vocabulary
        port = Port("x", "x", self.n_in, "int64", -tokens, tokens - 1) if tokens else Port("x", "x", self.n_in)
        ports = tuple(Port(name, value, size) for name, (value, size) in outputs.items())
        return Model((port,), ports, tuple(self.states), tuple(self.nodes))


def lstm(net: Net, n_in: int, size: int, **options: object) -> LSTM:
    """A random LSTM layer."""
    W, R = net.uniform(size, 4 * size, n_in), net.uniform(size, 4 * size, size)
    return LSTM(W, R, net.uniform(size, 4 * size) + net.uniform(size, 4 * size), **options)  # type: ignore[arg-type]


def gru(net: Net, n_in: int, size: int, **options: object) -> GRU:
    """A random GRU layer."""
    W, R = net.uniform(size, 3 * size, n_in), net.uniform(size, 3 * size, size)
    return GRU(W, R, net.uniform(size, 4 * size), **options)  # type: ignore[arg-type]


def rnn(net: Net, n_in: int, size: int, **options: object) -> RNN:
    """A random RNN layer."""
    W, R = net.uniform(size, size, n_in), net.uniform(size, size, size)
    return RNN(W, R, net.uniform(size, size), **options)  # type: ignore[arg-type]


LAYER = {"LSTM": (lstm, 2), "GRU": (gru, 1), "RNN": (rnn, 1)}


def stack(
    kind: str, n_in: int, size: int, layers: int, dense: list[tuple[int, str]], vocabulary: int = 0, **options: object
) -> Model:
    """[Embedding,] recurrent layers, Dense layers with their activations."""
    net = Net(1 if vocabulary else n_in, vocabulary)
    value = "x"
    if vocabulary:
        value = net.add(Embedding(net.rng.standard_normal((vocabulary, n_in)).astype(np.float32)), value)
    make, states = LAYER[kind]
    for _ in range(layers):
        value = net.cell(make(net, n_in, size, **options), value, size, states)
        n_in = size
    value = net.add(Reshape((size,)), value)
    for n_out, activation in dense:
        value = net.dense(value, n_in, n_out)
        if activation == "softmax":
            value = net.add(Softmax(), value)
        elif activation:
            value = net.add(Map(activation), value)
        n_in = n_out
    return net.model(y=(value, n_in))


SIZES: dict[str, Maker] = {
    "A": lambda: stack("LSTM", 1, 20, 1, [(1, "")]),
    "B": lambda: stack("GRU", 40, 64, 1, [(12, "")]),
    "C": lambda: stack("LSTM", 40, 128, 2, [(12, "")]),
    "D": lambda: stack("GRU", 40, 154, 1, [(12, "")]),
    "E": lambda: stack("LSTM", 64, 256, 1, [(32, "")]),
    "F": lambda: stack("GRU", 64, 512, 3, [(64, "")]),
    "G": lambda: stack("RNN", 9, 32, 1, [(6, "")]),
    "H": lambda: stack("LSTM", 128, 64, 1, [(64, "relu"), (10, "softmax")], 10000),
}


def shift_register() -> Model:
    """States that become other states: the last three frames, and two states that swap."""
    net = Net(5)
    zeros = np.zeros(5, np.float32)
    net.states += [State("s1", "x", zeros), State("s2", "s1", zeros), State("s3", "s2", zeros)]
    net.states += [State("a", "b", np.arange(5, dtype=np.float32)), State("b", "a", zeros - 1)]
    value = net.add(Join(0), "s3", "s1", "a", "b", "x")
    return net.model(y=(value, 25))


def residual() -> Model:
    """Parallel cells, a residual sum, a concatenation and two outputs, one of them a state as it was."""
    net = Net(24)
    a = net.add(Reshape((24,)), net.cell(gru(net, 24, 24), "x", 24))
    b = net.add(Reshape((17,)), net.cell(lstm(net, 24, 17), "x", 17, 2))
    total = net.add(Combine("add"), a, "x")
    joined = net.add(Join(0), total, b)
    mask = net.add(Map("sigmoid"), net.dense(joined, 41, 24))
    return net.model(y=(net.add(Combine("mul"), mask, "x"), 24), old=("h0", 24))


def surroundings() -> Model:
    """Layers around a cell: gathers, broadcasting, choices, constants."""
    net = Net(12)
    grid = net.add(Reshape((3, 4)), "x")
    turned = net.add(Take(np.arange(12, dtype=np.int32).reshape(3, 4).T.reshape(-1), (4, 3)), grid)
    scaled = net.add(Combine("mul"), turned, net.add(Constant(np.array([0.5, -1.0, 2.0], np.float32))))
    wide = net.dense(scaled, 3, 7)  # four positions
    soft = net.add(Softmax(), wide)
    flat = net.add(Reshape((28,)), soft)
    h = net.add(Reshape((28,)), net.cell(rnn(net, 28, 28, activation=("relu", 0.0, 0.0)), flat, 28))
    chosen = net.add(Select(), net.add(Combine("greater"), h, flat), h, flat)
    return net.model(y=(chosen, 28))


def ring(net: Net, value: str, shape: tuple[int, int, int], past: int) -> str:
    """The last steps and this one of a value (1, channels, bands), as (1, channels, bands, past + 1)."""
    channels, bands = shape[1:]
    turned = np.arange(channels * bands, dtype=np.int32).reshape(channels, bands).T
    new = net.add(Take(turned.reshape(-1).copy(), (1, bands, channels)), value)
    name = f"past{len(net.nodes)}"
    steps = net.add(Join(0), name, new)
    kept = np.arange(turned.size, turned.size * (past + 1), dtype=np.int32)
    source = net.add(Take(kept, (past, bands, channels)), steps)
    net.states.append(State(name, source, np.zeros((past, bands, channels), np.float32)))
    places = np.arange(turned.size * (past + 1), dtype=np.int32).reshape(past + 1, bands, channels)
    return net.add(Take(places.transpose(2, 1, 0).reshape(-1).copy(), (1, channels, bands, past + 1)), steps)


def convolutions() -> Model:
    """Convolutions over bands and time, by channel and across channels, with padding, strides and gaps."""
    net, none = Net(24), ((0, 0), (0, 0))

    def conv(out: int, cols: int, kernel: tuple[int, ...], strides: tuple[int, ...] = (1, 1), groups: int = 1) -> Conv:
        pads, gaps = ((1, 1), (0, 0)) if kernel == (3, 3) else none, (1, 2) if kernel == (1, 3) else (1, 1)
        return Conv(net.uniform(cols, out, cols), net.uniform(cols, out), kernel, strides, pads, gaps, groups)

    held = ring(net, net.add(Reshape((1, 4, 6)), "x"), (1, 4, 6), 2)
    seen = net.add(conv(4, 9, (3, 3), groups=4), held)  # (1, 4, 6, 1)
    mixed = net.add(conv(9, 4, (1, 1)), net.add(Map("relu"), seen))
    fewer = net.add(conv(9, 2, (2, 1), (2, 1), groups=9), net.add(Map("tanh"), mixed))
    wide = net.add(conv(18, 3, (1, 1), groups=3), net.add(Map("exp"), fewer))
    turned = np.arange(54, dtype=np.int32).reshape(18, 3).T.reshape(-1)
    flat = net.add(Take(turned.copy(), (1, 54, 1)), net.add(Map("neg"), wide))
    held = ring(net, flat, (1, 54, 1), 4)
    gaps, most, mean = (
        net.add(made, held) for made in (conv(7, 162, (1, 3)), Reduce("max", (3,)), Reduce("mean", (3,)))
    )
    y = net.dense(net.add(Reshape((7,)), gaps), 7, 3)
    return net.model(y=(y, 3), same=(wide, 54), most=(most, 54), mean=(mean, 54))


HARD = ("hardsigmoid", 0.2, 0.5)
CASES: dict[str, Maker] = {
    **{f"{kind}-{n_in}-{size}": lambda kind=kind, n_in=n_in, size=size: stack(kind, n_in, size, 1, [(3, "")])  # type: ignore[misc]
       for kind in LAYER for n_in, size in ((1, 1), (3, 5), (16, 16), (33, 47), (7, 64))},
    "tokens": lambda: stack("GRU", 9, 21, 2, [(30, "relu"), (5, "softmax")], 50),
    "lstm-peepholes": lambda: _lstm(P=True),
    "lstm-clip": lambda: _lstm(clip=0.3),
    "lstm-input-forget": lambda: _lstm(input_forget=True, P=True, clip=0.5),
    "lstm-activations": lambda: _lstm(activations=(HARD, ("softsign", 0.0, 0.0), ("scaledtanh", 0.9, 1.1))),
    "gru-reset-before": lambda: stack("GRU", 11, 19, 2, [(4, "")], linear_before_reset=False),
    "gru-clip": lambda: stack("GRU", 11, 19, 1, [(4, "")], clip=0.4),
    "rnn-relu": lambda: stack("RNN", 6, 20, 1, [(4, "")], activation=("relu", 0.0, 0.0)),
    "rnn-softplus": lambda: stack("RNN", 6, 20, 1, [(4, "")], activation=("softplus", 0.0, 0.0), clip=2.0),
    "shift-register": shift_register,
    "residual": residual,
    "surroundings": surroundings,
    "convolutions": convolutions,
}  # fmt: skip


def _lstm(P: bool = False, **options: object) -> Model:
    net = Net(8)
    peepholes = net.uniform(13, 3 * 13) if P else None
    h = net.cell(lstm(net, 8, 13, P=peepholes, **options), "x", 13, 2)
    return net.model(y=(net.dense(net.add(Reshape((13,)), h), 13, 4), 4))


def frames(model: Model, steps: int, seed: int = 1) -> Array:
    """Seeded input for a model of one port, (steps, n_in): noise, or tokens."""
    rng = np.random.default_rng(seed)
    (port,) = model.inputs
    if port.dtype == "int64":
        return rng.integers(0, port.high + 1, (steps, port.size))
    return rng.standard_normal((steps, port.size)).astype(np.float32)


def worst_sums(cols: int, number_format: str) -> tuple[Model, Array]:
    """(model, frames): a matrix and inputs at the limits of a number format, of one sign, of both, and of all sizes."""
    number = FORMATS[number_format]
    signs = np.random.default_rng(cols).choice([-1, 1], (3, cols))
    signs[0] = 1
    factor = np.full((3, -(-cols // number.group)), 255, np.uint8) if number.group else None
    q = (signs * number.largest).astype(number.kind)
    net = Net(cols)
    layer = Affine(QuantisedMatrix(q, np.ones(3, np.float32), number_format, factor))
    model = net.model(y=(net.add(layer, "x"), 3))
    x = [signs[0], -signs[0], signs[1], signs[2] * np.arange(1, cols + 1) / cols]
    return model, np.array(x, np.float32) * 1000
