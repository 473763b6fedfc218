"""States: which inputs of a graph are states, and which outputs replace them.

`state` decides, by dataflow (`trace`, `ends`), names (`naming`) and what cells prove (`proof`).
"""
