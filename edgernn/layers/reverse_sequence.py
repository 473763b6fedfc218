"""ReverseSequence: each sequence of a frame from its last step to its first. Time cannot be turned round."""

from __future__ import annotations

import numpy as np

from edgernn.layers.axes import integers
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places, taken


@rule("ReverseSequence")
def reverse_sequence(
    g: Importing, input: Value, sequence_lens: Value, *, batch_axis: int = 1, time_axis: int = 0
) -> Value:
    """ONNX ReverseSequence: the first `sequence_lens` steps of each sequence; those behind them stay where they are."""
    if sorted((batch_axis, time_axis)) != [0, 1] or len(input.shape) < 2:
        g.refuse(f"batch_axis={batch_axis}, time_axis={time_axis}: 0 and 1 expected")
    if input.time == time_axis:
        g.refuse("turns the sequence round, which needs its end before its start", WINDOW)
    if input.time is not None or sequence_lens.const is None or sequence_lens.time is not None:
        g.refuse("how far it turns a sequence round is computed at run time", f"export without lengths, or {WINDOW}")
    index = np.moveaxis(places(input), batch_axis, 0).copy()  # (batch, steps, ...)
    lengths = integers(g, sequence_lens, "sequence_lens")
    if len(lengths) != len(index) or not all(0 <= n <= index.shape[1] for n in lengths):
        g.refuse(f"sequence_lens={lengths}: {len(index)} lengths up to {index.shape[1]} expected")
    for sequence, n in zip(index, lengths, strict=True):
        sequence[:n] = sequence[:n][::-1].copy()
    return taken(g, input, np.moveaxis(index, 0, batch_axis), None)
