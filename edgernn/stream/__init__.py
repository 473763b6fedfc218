"""Stream: one running instance of a model, and Pool: many of them stepped together. The only things that change.

In: a Model (planned once for this machine, however many streams it has) and frames. Out: answers. frames: what callers
give as arrays, or BadInput. runner: one arena. tiles: those of a pool. helper: its threads. memory: how many fit.
state: what save_state writes. May import: errors, layers, kernels, planner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgernn.stream.stream import Stream

if TYPE_CHECKING:
    from edgernn.stream.pool import Pool

__all__ = ["Pool", "Stream"]


def __getattr__(name: str) -> Any:
    """Pool is loaded when it is first asked for."""
    if name != "Pool":
        raise AttributeError(f"module 'edgernn.stream' has no attribute '{name}'")
    from edgernn.stream.pool import Pool

    return Pool
