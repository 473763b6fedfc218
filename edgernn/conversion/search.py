"""quantize="auto": the smallest model that keeps a signal-to-noise ratio, format by format and layer by layer.

Each layer's noise is measured alone in each format, the rest in float32. Noises of different layers add up, nearly; so
layers start in the smallest format and are widened where that removes the most noise a byte, until the sum fits. What
the whole model then does is measured: widening goes on while it is too noisy, and each layer that can be narrowed again
without breaking the limit is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from edgernn.conversion.certificate import answers
from edgernn.layers.base import Array
from edgernn.layers.model import Model, Node
from edgernn.layers.summary import stored_bytes
from edgernn.quantiser import Moments, quantisable, quantised_node
from edgernn.quantiser.drift import drift
from edgernn.quantiser.squares import squares

# from the smallest on; int8x16 holds as many bytes as int8 and takes longer
LADDER = ("int4", "int8", "int8x16", "int16", "none")
Progress = Callable[[str], object]


def silent(text: str) -> None:
    """No progress is shown."""


@dataclass
class Search:
    """Looks for formats: `best` is what it comes to, node name -> format. What is `fixed` stays as it is."""

    model: Model
    frames: Mapping[str, Array]
    min_snr: float
    moments: Moments
    fixed: Mapping[str, str]
    progress: Progress = silent
    made: dict[tuple[str, str], Node] = field(default_factory=dict)
    noise: dict[tuple[str, str], float] = field(default_factory=dict)

    @cached_property
    def expected(self) -> dict[str, Array]:
        """The answers in float32, by output port."""
        return answers(self.model, self.frames)

    def best(self) -> dict[str, str]:
        """The format of each layer that may be quantised."""
        wide = squares(self.model)
        free = (n for n in self.model.nodes if quantisable(n) and n.name not in self.fixed)
        nodes = {node.name: node for node in free if not wide.intersection(node.inputs)}
        for node in self.model.nodes:
            if node.name in self.fixed:
                self.made[node.name, self.fixed[node.name]] = quantised_node(node, self.fixed[node.name], self.moments)
        for number, (name, node) in enumerate(nodes.items()):
            for format in LADDER:
                self.progress(f"layer {number + 1} of {len(nodes)}, {name} in {format}")
                self.made[name, format] = quantised_node(node, format, self.moments)
                self.noise[name, format] = self.measured({name: format}) if format != "none" else 0.0
        return self._narrowed(self._widened(dict.fromkeys(nodes, LADDER[0])))

    def measured(self, formats: Mapping[str, str]) -> float:
        """Noise of the model in these formats, as a share of the signal, at its worst output."""
        nodes = (self.made.get((n.name, formats.get(n.name, "none")), n) for n in self.model.nodes)
        return float(10 ** (-self.snr(replace(self.model, nodes=tuple(nodes))) / 10))

    def snr(self, model: Model) -> float:
        """Signal-to-noise ratio of a model at its worst output, dB."""
        found = answers(model, self.frames)
        return min(drift(found[name], right).snr for name, right in self.expected.items())

    def _fits(self, formats: Mapping[str, str]) -> bool:
        self.progress(f"the whole in {', '.join(sorted(set(formats.values())))}")
        return self.measured({**self.fixed, **formats}) <= 10 ** (-self.min_snr / 10)

    def _widened(self, formats: dict[str, str]) -> dict[str, str]:
        budget = 10 ** (-self.min_snr / 10)
        while formats.keys() - {name for name, format in formats.items() if format == "none"}:
            if sum(self.noise[item] for item in formats.items()) <= budget and self._fits(formats):
                break
            name, format = max(self._steps(formats), key=lambda step: self._gain(formats, *step))
            formats[name] = format
        return formats

    def _steps(self, formats: Mapping[str, str]) -> list[tuple[str, str]]:
        """Every layer with every wider format."""
        return [(n, wider) for n, format in formats.items() for wider in LADDER[LADDER.index(format) + 1 :]]

    def _gain(self, formats: Mapping[str, str], name: str, format: str) -> float:
        """Noise removed a byte."""
        removed = self.noise[name, formats[name]] - self.noise[name, format]
        return removed / (self.bytes(name, format) - self.bytes(name, formats[name]) + 1)

    def bytes(self, name: str, format: str) -> int:
        """Bytes of a layer's weights."""
        return stored_bytes(self.made[name, format].layer)

    def _narrowed(self, formats: dict[str, str]) -> dict[str, str]:
        for name in sorted(formats, key=lambda n: -self.bytes(n, formats[n])):
            for format in LADDER[: LADDER.index(formats[name])]:
                if self._fits({**formats, name: format}):
                    formats[name] = format
                    break
        return formats
