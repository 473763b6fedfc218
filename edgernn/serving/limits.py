"""What a server gives each client, and all of them."""

from __future__ import annotations

from dataclasses import dataclass

from edgernn.errors import BadInput
from edgernn.layers.model import Model

SPEED = 4.0  # times as fast as its samples are taken, that a model with a front end may be fed
FRAMES = 1000.0  # a second, for a model of which only frames are known


@dataclass(frozen=True)
class Limits:
    """Raises BadInput for limits under which nobody could be served."""

    streams: int = 256  # connections at a time
    message: int = 1 << 20  # bytes
    rate: float = FRAMES  # frames a second and stream
    deadline: float = 0.01  # seconds: how long frames may wait for others
    keep: float = 300.0  # seconds: how long the state of a client that has gone is kept

    @property
    def parked(self) -> int:
        """How many states of clients that have gone are kept, the latest."""
        return max(1024, 4 * self.streams)

    def __post_init__(self) -> None:
        least = {"streams": 1, "message": 64, "rate": 0.1, "deadline": 0.0, "keep": 0.0}
        for name, bound in least.items():
            if not getattr(self, name) >= bound:
                raise BadInput(f"{name}={getattr(self, name)}: at least {bound} expected")


def usual_rate(model: Model) -> float:
    """Frames a second that a client of this model may send."""
    return SPEED / model.frontend.seconds if model.frontend else FRAMES
