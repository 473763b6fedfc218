"""Sequences that look ahead, skip, pool, stack and meet again: streamed, they are the whole sequence, shifted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx_cases import graph, node, weights

from edgernn.errors import UnsupportedModel
from edgernn.importer import read
from edgernn.layers.base import Array
from edgernn.layers.definition import run
from edgernn.layers.model import Model
from edgernn.stream import Stream

CHANNELS = 4
Layer = tuple[Any, ...]


@dataclass
class Made:
    """A graph in the making: x (1, CHANNELS, T)."""

    rng: np.random.Generator
    value: str = "x"
    nodes: list[Any] = field(default_factory=list)
    held: dict[str, Array] = field(default_factory=dict)

    def const(self, array: Any) -> str:
        name = f"k{len(self.held)}"
        self.held[name] = np.asarray(array)
        return name

    def uniform(self, *shape: int) -> str:
        return self.const(self.rng.uniform(-0.6, 0.6, shape).astype(np.float32))

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(node(kind, " ".join(inputs), name, **attributes))
        return name

    def conv(self, x: str, kernel: int, groups: int = 1, **attributes: Any) -> str:
        w, b = self.uniform(CHANNELS, CHANNELS // groups, kernel), self.uniform(CHANNELS)
        return self.add("Tanh", self.add("Conv", x, w, b, group=groups, **attributes))

    def cropped(self, x: str, low: int, high: int, step: int = 1) -> str:
        ends = [[low], [-high if high else 2**31 - 1], [2], [step]]
        return self.add("Slice", x, *(self.const(np.array(n)) for n in ends))


def conv(m: Made, kernel: int, dilation: int, before: int, after: int, stride: int, groups: int) -> str:
    pads, strides = [before, after], [stride]
    return m.conv(m.value, kernel, groups, pads=pads, strides=strides, dilations=[dilation])


def same(m: Made, kernel: int, how: str) -> str:
    """A residual around a convolution that keeps the length."""
    if how == "lower" or how == "upper":
        y = m.conv(m.value, kernel, auto_pad=f"SAME_{how.upper()}")
    else:
        y = m.conv(m.value, 2 * kernel + 1, pads=[kernel, kernel])
    return m.add("Add", y, m.value)


def valid(m: Made, kernel: int, front: int) -> str:
    """A residual around a convolution that shortens, the other way cut to fit."""
    front = min(front, kernel - 1)
    return m.add("Add", m.conv(m.value, kernel), m.cropped(m.value, front, kernel - 1 - front))


def pool(m: Made, kind: str, kernel: int, before: int, after: int, stride: int, count: int) -> str:
    pads = [min(before, kernel - 1), min(after, kernel - 1)]
    extra = {"count_include_pad": count} if kind == "AveragePool" else {}
    return m.add(kind, m.value, kernel_shape=[kernel], pads=pads, strides=[stride], **extra)


def crop(m: Made, low: int, high: int, step: int) -> str:
    return m.cropped(m.value, low, high, step)


def pad(m: Made, before: int, after: int, how: str | float) -> str:
    pads, number = m.const(np.array([0, 0, before, 0, 0, after])), not isinstance(how, str)
    extra = [m.const(np.float32(how))] if number else []
    return m.add("Pad", m.value, pads, *extra, mode="constant" if number else how)


def stack(m: Made, factor: int) -> str:
    turned = m.add("Transpose", m.value, perm=[0, 2, 1])
    stacked = m.add("Reshape", turned, m.const(np.array([1, -1, factor * CHANNELS])))
    mixed = m.add("MatMul", stacked, m.uniform(factor * CHANNELS, CHANNELS))
    return m.add("Transpose", mixed, perm=[0, 2, 1])


def branches(m: Made, one: int, other: int) -> str:
    """Two ways of different delay that meet again."""
    ways = [m.conv(m.value, 2 * k + 1, pads=[k, k]) for k in (one, other)]
    return m.add("Mul", *ways)


small = st.integers(0, 3)
kernels, strides = st.integers(1, 4), st.sampled_from([1, 1, 2, 3])
LAYERS = st.one_of(
    st.tuples(st.just(conv), kernels, st.integers(1, 3), small, small, strides, st.sampled_from([1, 2, 4])),
    st.tuples(st.just(same), kernels, st.sampled_from(["lower", "upper", "pads"])),
    st.tuples(st.just(valid), kernels, small),
    st.tuples(
        st.just(pool), st.sampled_from(["MaxPool", "AveragePool"]), kernels, small, small, strides, st.integers(0, 1)
    ),
    st.tuples(st.just(crop), small, small, strides),
    st.tuples(st.just(pad), small, small, st.sampled_from([0.0, 0.5, "edge", "reflect"])),
    st.tuples(st.just(stack), st.integers(2, 3)),
    st.tuples(st.just(branches), small, small),
)


def made(layers: list[Layer], cell: bool, seed: int) -> bytes:
    m = Made(np.random.default_rng(seed))
    for function, *numbers in layers:
        m.value = function(m, *numbers)
    if cell:
        turned = m.add("Transpose", m.value, perm=[2, 0, 1])
        m.held.update(weights("GRU", CHANNELS, 3, seed=seed))
        m.nodes.append(node("GRU", f"{turned} W R B", "Y", hidden_size=3, linear_before_reset=1))
    else:
        m.nodes.append(node("Transpose", m.value, "Y", perm=[2, 0, 1]))
    return graph(m.nodes, {"x": (1, CHANNELS, "T")}, ["Y"], m.held).SerializeToString()


def converted(layers: list[Layer], cell: bool, seed: int) -> tuple[bytes, Model]:
    source = made(layers, cell, seed)
    try:
        return source, read(source)
    except UnsupportedModel as refused:
        # stacking must divide the length; what remembers nothing is no stream; what was cut off cannot come back
        known = ("does not divide", "nothing is carried", "adds steps to the end of a sequence that ends before")
        assert any(text in str(refused) for text in known), refused
        assume(False)
        raise


def whole_sequence(source: bytes, x: Array) -> Array:
    """ONNX Runtime's answers, (steps, size).

    Its optimiser is off: it makes Pad a part of MaxPool, where padding counts as less than any number.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    whole = onnxruntime.InferenceSession(source, options).run(None, {"x": np.ascontiguousarray(x.T[None])})[0]
    return whole.reshape(len(whole), -1)


def test_what_does_not_come_out_even_is_refused_and_no_step_graph() -> None:
    """It runs at some lengths, 1 among them, so of one frame all of it works."""
    layers: list[Layer] = [(conv, 1, 1, 0, 0, 2, 1), (pad, 1, 3, 0.0), (conv, 1, 1, 0, 0, 2, 1), (stack, 3)]
    with pytest.raises(UnsupportedModel, match="does not divide into"):
        read(made(layers, True, 0))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.lists(LAYERS, min_size=1, max_size=5),
    st.booleans(),
    st.lists(st.integers(1, 7), min_size=1, max_size=8),
    st.integers(0, 99),
)
def test_a_stream_is_the_whole_sequence_shifted(layers: list[Layer], cell: bool, chunks: list[int], seed: int) -> None:
    source, model = converted(layers, cell, seed)
    blocks = -(-(model.receptive_field + model.delay) // model.hop) + 12 * len(layers) + 20 + sum(chunks)
    x = np.random.default_rng(seed).standard_normal((model.hop * blocks, CHANNELS)).astype(np.float32)
    whole = whole_sequence(source, x)
    steps = model.outputs[0].size // whole.shape[1]
    stream, at, parts = Stream(model), 0, []
    while at < len(x):
        size = chunks[len(parts) % len(chunks)]
        parts.append(stream.run(x[at : at + size]))
        at += size
    streamed = np.concatenate(parts).reshape(-1, whole.shape[1])
    late = model.delay // model.hop * steps
    count = min(len(whole), len(streamed) - late)
    assert len(streamed) == blocks * steps and count >= 1
    assert not streamed[:late].any()
    assert np.abs(streamed[late : late + count] - whole[:count]).max() < 1e-5
    assert np.abs(run(model, x).reshape(streamed.shape) - streamed).max() < 1e-5


@pytest.mark.parametrize("kind", ["AveragePool", "MaxPool"])
def test_a_pool_behind_padding_in_front_comes_without_delay(kind: str) -> None:
    layers: list[Layer] = [(pad, 3, 0, 0.0), (pool, kind, 4, 0, 0, 1, 0)]
    model = read(made(layers, True, 0))
    x = np.random.default_rng(0).standard_normal((20, CHANNELS)).astype(np.float32)
    assert model.delay == 0
    assert np.abs(Stream(model).run(x) - whole_sequence(made(layers, True, 0), x)).max() < 1e-5


def test_a_mean_before_the_first_step_is_a_number() -> None:
    """A place that sees nothing yet, which a cell computes with and does not remember."""
    layers: list[Layer] = [(same, 1, "pads"), (pool, "AveragePool", 2, 1, 0, 1, 0)]
    model = read(made(layers, True, 0))
    assert model.delay == 1
    with np.errstate(invalid="raise"):
        run(model, np.ones((9, CHANNELS), np.float32))


def convolution_alone(*dims: int, kernel: tuple[int, ...]) -> bytes:
    w = np.random.default_rng(0).uniform(-1, 1, (dims[1], dims[1], *kernel)).astype(np.float32)
    return graph([node("Conv", "x w", "y")], {"x": dims}, ["y"], {"w": w}).SerializeToString()


def test_a_convolution_of_fixed_length_streams_where_one_axis_can_be_time() -> None:
    model = read(convolution_alone(1, 3, 20, kernel=(4,)))
    assert (model.inputs[0].size, model.delay, model.receptive_field) == (3, 3, 4)
    with pytest.raises(UnsupportedModel, match=r"nothing tells which axis is time.*axis 2 of 'x'; or .*axis 3 of 'x'"):
        read(convolution_alone(1, 3, 20, 10, kernel=(4, 2)))
