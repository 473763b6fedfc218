"""Readings: which axis of a graph's inputs is time, and how far each hypothesis was from the truth.

`time` lists the hypotheses, `again` walks the graph under one, `distance` says how it went; `windowed` is for what
needs the whole sequence.
"""
