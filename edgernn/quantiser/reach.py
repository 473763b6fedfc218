"""How large the numbers are that a matrix meets, from samples of them: where static activation scales end.

A static scale costs no search for the largest number in every frame, and cuts off what lies beyond its reach. There are
three estimators:

    max         nothing that was seen is cut off
    percentile  all but one in 10,000
    mse         what makes the mean squared error of 8-bit numbers least: cutting off against coarser steps
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from edgernn.layers.base import Array, QuantisedMatrix
from edgernn.layers.model import Model
from edgernn.quantiser.meets import met

PERCENTILE = 99.99
SHARES = np.arange(0.3, 1.01, 0.02)  # of the largest number, tried by `mse`
SATURATES = 1.5  # times its reach, from which on what a layer meets is worth a note


def largest(samples: Array) -> float:
    """The largest of |samples|, (n,)."""
    return float(np.abs(samples).max(initial=0.0))


def percentile(samples: Array) -> float:
    """The number that all but one in 10,000 of |samples|, (n,), stay below."""
    return float(np.percentile(np.abs(samples), PERCENTILE)) if len(samples) else 0.0


def least_error(samples: Array) -> float:
    """Of some shares of the largest number, the one that rounds and cuts off samples, (n,), with the least error."""
    candidates = largest(samples) * SHARES
    steps = np.maximum(candidates / 127, np.finfo(np.float32).tiny)
    errors = [np.square(np.rint(samples / s).clip(-127, 127) * s - samples).mean() for s in steps]
    return float(candidates[int(np.argmin(errors))])


ESTIMATORS: dict[str, Callable[[Array], float]] = {"max": largest, "percentile": percentile, "mse": least_error}


def static_scales(model: Model, samples: Mapping[str, Array], estimator: str) -> tuple[Model, list[str]]:
    """(the model with static activation scales, a note on each layer that saturates).

    samples: numbers, (n,), of every value that a quantised matrix meets; estimator: one of ESTIMATORS.
    """
    reaches = {value: ESTIMATORS[estimator](numbers) for value, numbers in samples.items()}
    notes, nodes = [], []
    for node in model.nodes:
        changed = {}
        for field, weight in node.layer.weights():
            if node.layer.vocabulary or not isinstance(weight, QuantisedMatrix):
                continue
            value = met(node, field)
            reach = max(reaches[value], 1e-20)
            changed[field] = replace(weight, reach=np.array([reach], np.float32))
            most = largest(samples[value])
            if most > SATURATES * reach:
                share = (np.abs(samples[value]) > reach).mean()
                what = f"{share:.2%} of what its {field} meets is cut off at {reach:.3g}, numbers of up to {most:.3g}"
                notes.append(f"'{node.name}' saturates: {what}")
        nodes.append(replace(node, layer=replace(node.layer, **changed)) if changed else node)
    return replace(model, nodes=tuple(nodes)), notes
