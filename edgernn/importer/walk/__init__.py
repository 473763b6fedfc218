"""The walk: each node of a Graph becomes layers, under one hypothesis about time; every problem is collected.

`build` is the walk; `binding` hands nodes to the rules of `edgernn.layers`. The others are for what isn't one node at a
time: constants and sizes (`known`), numbers of steps (`positions`, `counting`), single steps (`moments`), loops and
branches with their bodies, and graphs that hold each step anew (`unrolled`, `rollup`).
"""
