"""float16: half the bytes in the file, computed in float32."""

from __future__ import annotations

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array


def half(weight: Array) -> Array:
    """The nearest float16 to each weight, float32. Raises BadInput where one is not finite or too large (65,504)."""
    with np.errstate(over="ignore"):
        made = weight.astype(np.float16)
    if not np.isfinite(made).all():
        raise BadInput("weights that are not finite, or beyond 65,504, do not fit float16: choose another format")
    return made
