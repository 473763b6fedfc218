"""Microseconds a frame of networks with convolutions over time, edgernn beside ONNX Runtime, on one thread.

    python tools/bench_convolutions.py [--chunks N] [--readme]

A network is written twice with the same weights: for whole sequences, which edgernn streams, and for one frame a call
with every past frame that a convolution needs as an input and an output, as one has to write it for ONNX Runtime. Both
must give the same answers. Everything else is as in tools/bench.py; --readme writes the table into README.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests")]
from bench import CHUNK, measure  # noqa: E402
from bench_report import END, into_readme, machine, markdown, versions  # noqa: E402
from contenders import edgernn_contenders, onnxruntime_contenders  # noqa: E402

import edgernn  # noqa: E402
from edgernn.layers.model import Model  # noqa: E402

BEGIN = "<!-- made by tools/bench_convolutions.py -->"
BANDS, CLASSES = 40, 12


class Graph:
    """A network: x (1, T, BANDS) to y (1, T, CLASSES); `step`: T is 1, and there are states."""

    def __init__(self, step: bool) -> None:
        self.step, self.rng = step, np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.states: list[tuple[str, list[int]]] = []

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        """A node; the name of its first output."""
        self.nodes.append(helper.make_node(operator, inputs, [f"v{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def tensor(self, values: object, kind: type = np.int64) -> str:
        """A constant."""
        self.tensors.append(numpy_helper.from_array(np.asarray(values, kind), f"w{len(self.tensors)}"))
        return self.tensors[-1].name

    def random(self, *shape: int) -> str:
        """Weights that keep numbers at their size."""
        return self.tensor(self.rng.standard_normal(shape) * np.prod(shape[1:]) ** -0.5, np.float32)

    def state(self, *shape: int) -> str:
        """What a call is given of the one before."""
        self.states.append((f"s{len(self.states)}", list(shape)))
        return self.states[-1][0]

    def past(self, z: str, shape: tuple[int, ...], count: int) -> str:
        """z (1, *shape, 1) behind the `count` steps before it."""
        state = self.state(1, *shape, count)
        held = self.add("Concat", state, z, axis=-1)
        last = [self.tensor([n]) for n in (-count, 2**31, -1)]
        self.nodes.append(helper.make_node("Slice", [held, *last], [f"{state}.new"]))
        return held

    def conv(self, z: str, shape: tuple[int, ...], out: int, kernel: tuple[int, ...], **options: int) -> str:
        """A convolution of z (1, *shape, T), whose kernel's last axis is over time, and causal.

        options: `stride` over bands, `gap` between steps, `groups`, and `pad`, bands on both sides.
        """
        stride, gap, groups = (options.get(name, 1) for name in ("stride", "gap", "groups"))
        pad, past = options.get("pad", 0), gap * (kernel[-1] - 1)
        if past and self.step:
            z, past = self.past(z, shape, past), 0
        flat = len(kernel) == 1
        where = {"strides": [stride, 1][flat:], "dilations": [1, gap][flat:]}
        pads = [past, 0] if flat else [pad, past, pad, 0]
        weights = self.random(out, shape[0] // groups, *kernel)
        bias = self.tensor(self.rng.standard_normal(out), np.float32)
        return self.add("Conv", z, weights, bias, group=groups, pads=pads, **where)

    def relu(self, z: str) -> str:
        """The ReLU of z."""
        return self.add("Relu", z)

    def dense(self, z: str, n_in: int) -> str:
        """A linear layer on (1, T, n_in) or (T, 1, n_in)."""
        return self.add("MatMul", z, self.random(n_in, CLASSES))

    def bands_first(self) -> str:
        """x as (1, BANDS, T)."""
        return self.add("Transpose", "x", perm=[0, 2, 1])

    def finished(self, y: str) -> onnx.ModelProto:
        """The file's model."""
        self.nodes.append(helper.make_node("Identity", [y], ["y"]))
        time, number = 1 if self.step else "T", TensorProto.FLOAT
        ends = [
            helper.make_tensor_value_info(*end)
            for end in (("x", number, [1, time, BANDS]), ("y", number, [1, time, CLASSES]))
        ]
        old = [helper.make_tensor_value_info(name, number, shape) for name, shape in self.states]
        new = [helper.make_tensor_value_info(f"{name}.new", number, shape) for name, shape in self.states]
        graph = helper.make_graph(self.nodes, "g", [ends[0], *old], [ends[1], *new], self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def tcn(g: Graph) -> str:
    """Six residual convolutions over time with growing gaps (arXiv 1803.01271)."""
    z = g.conv(g.bands_first(), (BANDS,), 64, (1,))
    for k in range(6):
        z = g.add("Add", z, g.relu(g.conv(z, (64,), 64, (3,), gap=2**k)))
    return g.add("Transpose", g.conv(z, (64,), CLASSES, (1,)), perm=[0, 2, 1])


def ds_cnn(g: Graph) -> str:
    """A convolution, then four by channel with one across channels each (arXiv 1711.07128)."""
    z = g.relu(g.conv(g.add("Unsqueeze", g.bands_first(), g.tensor([1])), (1, BANDS), 64, (4, 10), stride=2))
    for _ in range(4):
        z = g.relu(g.conv(z, (64, 19), 64, (3, 3), groups=64, pad=1))
        z = g.relu(g.conv(z, (64, 19), 64, (1, 1)))
    return g.dense(g.add("Transpose", g.add("ReduceMean", z, axes=[2], keepdims=0), perm=[0, 2, 1]), 64)


def crnn(g: Graph) -> str:
    """Two convolutions over bands and time, then a GRU (arXiv 1703.05390)."""
    z = g.relu(g.conv(g.add("Unsqueeze", g.bands_first(), g.tensor([1])), (1, BANDS), 16, (3, 3), stride=2))
    z = g.relu(g.conv(z, (16, 19), 32, (3, 3), stride=2))
    z = g.add("Transpose", g.add("Reshape", z, g.tensor([1, 32 * 9, -1])), perm=[2, 0, 1])
    h = [g.state(1, 1, 64)] if g.step else []
    bias = g.tensor(np.zeros((1, 6 * 64)), np.float32)
    weights = g.random(1, 3 * 64, 32 * 9), g.random(1, 3 * 64, 64), bias
    y = g.add("GRU", z, *weights, *(["", *h] if h else []), hidden_size=64, linear_before_reset=1)
    if h:
        g.nodes[-1].output.append(f"{h[0]}.new")
    return g.add("Transpose", g.dense(g.add("Squeeze", y, g.tensor([1])), 64), perm=[1, 0, 2])


NETWORKS: dict[str, Callable[[Graph], str]] = {
    "TCN: 6 of 64 channels": tcn,
    "DS-CNN: 64 channels, 19 bands": ds_cnn,
    "2 convolutions, GRU 64": crnn,
}


def written(make: Callable[[Graph], str], step: bool) -> onnx.ModelProto:
    """A network as a file's model."""
    graph = Graph(step)
    return graph.finished(make(graph))


def check(model: Model, step: onnx.ModelProto, frames: np.ndarray) -> None:
    """Raises SystemExit where the answers differ."""
    import onnxruntime

    session = onnxruntime.InferenceSession(step.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()}
    answers = []
    for x in frames:
        y, *new = session.run(None, feed | {"x": x[None, None]})
        feed.update(zip([i.name for i in session.get_inputs()[1:]], new, strict=True))
        answers.append(y[0, 0])
    apart = np.abs(model.stream().run(frames).reshape(len(frames), CLASSES) - np.array(answers)).max()
    if not apart < 1e-4:
        raise SystemExit(f"the answers of edgernn and ONNX Runtime are {apart} apart")


def figures(make: Callable[[Graph], str], chunks: int) -> dict[str, float]:
    """What each contender takes for a network."""
    frames = np.random.default_rng(1).standard_normal((CHUNK, BANDS)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(written(make, step=False), Path(folder) / "sequence.onnx")
        model = edgernn.convert(Path(folder) / "sequence.onnx")
    step = written(make, step=True)
    check(model, step, frames[:150])
    found = edgernn_contenders(model) | onnxruntime_contenders(step, model)
    return {"multiply-accumulates": model.macs, **measure(found, frames, chunks)}


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=41)
    parser.add_argument("--readme", action="store_true")
    arguments = parser.parse_args()
    results = {name: figures(make, arguments.chunks) for name, make in NETWORKS.items()}
    macs, *names = dict.fromkeys(name for one in results.values() for name in one)
    rows = [[name, *(f"{one[name]:.2f}" for one in results.values())] for name in names]
    made = markdown(
        "microseconds a frame", list(results), [[macs, *(f"{one[macs]:,.0f}" for one in results.values())], *rows]
    )
    where = f"Measured on {machine()}{versions().split(', LiteRT')[0]}; as above."
    print(made)
    if arguments.readme:
        into_readme(f"{BEGIN}\n{where}\n\n{made}\n{END}")


if __name__ == "__main__":
    main()
