"""Stream: one running instance of a model. The only thing that changes.

In: a Model (planned once for this machine, however many streams it has) and frames. Out: answers. frames: what callers
give as arrays, or BadInput. runner: one arena. state: what save_state writes. May import: errors, layers, kernels,
planner.
"""

from edgernn.stream.stream import Stream

__all__ = ["Stream"]
