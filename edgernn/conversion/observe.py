"""What flows through a model: its values on frames, seen by running it with more output ports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgernn.layers.base import Array, volume
from edgernn.layers.model import Model, Port

MOST = 50_000_000  # numbers kept: 200 MB
CHUNK = 500  # frames run at once


def observed(model: Model, recordings: Sequence[Mapping[str, Array]], values: Collection[str]) -> dict[str, Array]:
    """These values in the frames of the recordings (frames by input port), (T, size) each; every k-th of very many.

    Each recording starts from the initial state. Raises BadInput for frames that do not fit.
    """
    sizes = {name: volume(model.shapes[name]) for name in sorted(values)}
    ports = tuple(Port(f"value.{i}", name, size) for i, (name, size) in enumerate(sizes.items()))
    if not ports:
        return {}
    outputs = (*ports, replace(ports[0], name="again"))  # two or more: `run` gives a mapping
    watched = replace(model, outputs=outputs, deciding=None)
    numbers = sum(sizes.values()) * sum(len(next(iter(recording.values()))) for recording in recordings)
    keep = -(-numbers // MOST)
    found: dict[str, list[Array]] = {name: [] for name in sizes}
    for recording in recordings:
        stream = watched.stream()
        for start in range(0, len(next(iter(recording.values()))), CHUNK):
            seen = stream.run({name: frames[start : start + CHUNK] for name, frames in recording.items()})
            for port in ports:
                found[port.value].append(seen[port.name][::keep])
    return {name: np.concatenate(parts) for name, parts in found.items()}
