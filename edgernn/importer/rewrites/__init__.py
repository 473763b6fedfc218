"""Rewrites: a Graph as another that computes the same, in fewer kinds of nodes.

What exporters spell out (lists of tensors, windows cut out one by one, straight lines) becomes what a walk knows, and
what the user says of inputs and sizes becomes constants.
"""
