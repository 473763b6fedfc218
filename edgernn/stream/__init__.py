"""Stream: one running instance of a model, and Pool: many of them stepped together. The only things that change.

In: a Model (planned once for this machine, however many streams it has) and frames. Out: answers. frames: what callers
give as arrays, or BadInput. runner: one arena. tiles: those of a pool. memory: how many fit. state: what save_state
writes. May import: errors, layers, kernels, planner.
"""

from edgernn.stream.pool import Pool
from edgernn.stream.stream import Stream

__all__ = ["Pool", "Stream"]
