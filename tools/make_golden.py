"""Writes tests/golden: small model files, byte for byte what this version of edgernn must write and read.

python tools/make_golden.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgernn.layers.deciding import Deciding
from edgernn.layers.dense import Affine
from edgernn.layers.frontend import FrontEnd
from edgernn.layers.gru import GRU
from edgernn.layers.model import Model, Node, Port, State
from edgernn.layers.pointwise import Combine, Map
from edgernn.layers.take import Take
from edgernn.modelfile import save
from edgernn.quantiser import FORMATS, quantise

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "golden"
INPUT, HIDDEN = 3, 4
FILES = {"small": "none", **{f"small-{name}": name for name in FORMATS if name != "none"}}  # name -> number format

LISTENER = "small-listener"


def numbers(*shape: int) -> np.ndarray:
    """Float32 numbers within [-1, 1], multiples of 1/64, that look irregular and are the same for ever."""
    count = int(np.prod(shape))
    return (((np.arange(count) * 37 + 11 * count) % 129 - 64) / 64).astype(np.float32).reshape(shape)


def small_model() -> Model:
    """A GRU between two affine layers, with a leaky mean of the input beside it; two inputs and two outputs."""
    leak = Node("leak", Map("affine", 0.5, 0.0), ("mean",), ("decayed",))
    return Model(
        inputs=(Port("x", "x", INPUT), Port("gain", "gain", 1)),
        outputs=(Port("y", "y", 2), Port("mean", "mean.next", INPUT)),
        states=(
            State("mean", "mean.next", np.zeros(INPUT, np.float32)),
            State("h", "h.next", numbers(1, 1, HIDDEN)),
        ),
        nodes=(
            leak,
            Node("mean", Combine("add"), ("decayed", "x"), ("mean.next",)),
            Node("turn", Take(np.array([2, 1, 0, -1], np.int32), (4,), 0.25), ("mean.next",), ("turned",)),
            Node("in", Affine(numbers(HIDDEN, 4), numbers(HIDDEN)), ("turned",), ("u",)),
            Node("squash", Map("tanh"), ("u",), ("v",)),
            Node("gru", gru(), ("v", "h"), ("h.next",)),
            Node("out", Affine(numbers(2, HIDDEN)), ("h.next",), ("w",)),
            Node("scale", Combine("mul"), ("w", "gain"), ("y",)),
        ),
        origin={"producer": "tools/make_golden.py"},
    )


def gru() -> GRU:
    """A GRU whose weights are small enough that its gates stay open."""
    return GRU(numbers(3 * HIDDEN, HIDDEN) / 2, numbers(3 * HIDDEN, HIDDEN) / 4, numbers(4 * HIDDEN) / 8)


def small_listener() -> Model:
    """Mel bands, an affine layer, three labels: a model with features and decisions."""
    features = {"kind": "logmel", "preset": "kaldi", "rate": 16000, "bands": 4, "mean": [1.5], "std": [0.5, 1, 2, 4]}
    decisions = {"labels": ["yes", "no", "noise"], "activation": "softmax", "threshold": {"yes": 0.75, "no": 0.5}}
    more = {"ignored": ["noise"], "smoothing": 0.25, "release": 0.25, "refractory": 1, "minimum_duration": 0.125}
    return Model(
        inputs=(Port("x", "x", 4),),
        outputs=(Port("y", "y", 3),),
        states=(),
        nodes=(Node("out", Affine(numbers(3, 4), numbers(3)), ("x",), ("y",)),),
        frontend=FrontEnd.from_settings(features),
        deciding=Deciding.from_settings({**decisions, **more}),
    )


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    models = {name: quantise(small_model(), number_format) for name, number_format in FILES.items()}
    for name, model in {**models, LISTENER: small_listener()}.items():
        path = FOLDER / f"{name}.edgernn"
        save(model, path)
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
