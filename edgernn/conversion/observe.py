"""What flows through a model: its values on frames, seen by running it with more output ports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgernn.layers.base import Array, volume
from edgernn.layers.model import Model, Port


def observed(model: Model, recordings: Sequence[Mapping[str, Array]], values: Collection[str]) -> dict[str, Array]:
    """These values in every frame of the recordings (frames by input port), (T, size) each, from the first state on.

    Raises BadInput for frames that do not fit.
    """
    sizes = {name: volume(model.shapes[name]) for name in sorted(values)}
    ports = tuple(Port(f"value.{i}", name, size) for i, (name, size) in enumerate(sizes.items()))
    if not ports:
        return {}
    watched = replace(model, outputs=(*ports, replace(ports[0], name="again")))  # two or more: `run` gives a mapping
    parts = [watched.stream().run(recording) for recording in recordings]
    return {port.value: np.concatenate([part[port.name] for part in parts]) for port in ports}
