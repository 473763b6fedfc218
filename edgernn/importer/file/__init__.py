"""The file: an ONNX file's bytes as a Graph, with all that is constant worked out.

In: a path or bytes. Out: `graph.Graph`: nodes in their order, constants as arrays, functions put in place.
`wire` and `nodes` check before anything is made of it; `evaluate` works out constants, within a budget; `symbolic` and
`dims` do so where the unknown number of steps is among them.
"""
