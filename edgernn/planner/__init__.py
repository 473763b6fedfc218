"""Model + backend -> Plan: a program of instructions, packed weights and the size of an arena.

In: a Model and a `contract.Backend`, which says how weights are packed. Out: an immutable Plan, valid for that backend.
lower: the builder's verbs as instructions on virtual buffers (program says what these are). moves: what only changes
place, and is not moved before it has to be. taps: convolutions by channel. states: what happens between frames. arena:
where buffers lie. plan: all of it together. May import: errors, layers, kernels.contract.
"""

from edgernn.planner.plan import Plan, make_plan

__all__ = ["Plan", "make_plan"]
