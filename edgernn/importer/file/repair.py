"""Repair: GRU nodes that PyTorch's exporter wrote with linear_before_reset=0, though PyTorch computes 1.

torch.onnx.export with dynamo=True takes its GRU from onnxscript, whose releases 0.5.7 to 0.7.0 leave the attribute out;
0.7.1 writes it. The biases of the file are PyTorch's own, so the attribute is all that is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import onnx

from edgernn.errors import BadInput
from edgernn.importer.file.graph import Graph
from edgernn.importer.file.read import load

LIKELY_WRONG = "this file is likely wrong: "
NAME = "linear_before_reset"


def suspicion(graph: Graph) -> str:
    """What to say of a file by PyTorch that has GRUs of this kind; '' where there is nothing to say."""
    producer = graph.origin["producer"]
    count = sum(o.kind == "GRU" and not o.attributes.get(NAME, 0) for o in graph.operators)
    bodies = [v for o in graph.operators for v in o.attributes.values() if isinstance(v, onnx.GraphProto)]
    count += sum(len([*resets_before(body.node)]) for body in bodies)
    if not count or not producer.startswith("pytorch"):
        return ""
    return (
        f"{LIKELY_WRONG}{count} GRU node{'s have' if count > 1 else ' has'} {NAME}=0, where PyTorch computes 1 "
        f"(written by {producer}; its exporter does so with onnxscript 0.5.7 to 0.7.0). ONNX Runtime computes what the "
        "file says, so comparing with it cannot tell. Repair it with --fix-torch-gru (fix_torch_gru=True), or export "
        "again with a newer onnxscript; --reference compares with PyTorch's own answers"
    )


def resets_before(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The GRU nodes that reset before the product, in subgraphs too."""
    for node in nodes:
        if node.op_type == "GRU" and not any(a.name == NAME and a.i for a in node.attribute):
            yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from resets_before(attribute.g.node)


def repair(model: onnx.ModelProto) -> int:
    """Set the attribute of all these nodes to 1; how many there were. Raises BadInput where there is none."""
    nodes = [*resets_before(model.graph.node), *(n for f in model.functions for n in resets_before(f.node))]
    if not nodes:
        raise BadInput(f"there is nothing to repair: the file has no GRU with {NAME}=0; convert it without that option")
    for node in nodes:
        kept = [attribute for attribute in node.attribute if attribute.name != NAME]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(NAME, 1)])
    return len(nodes)


def repaired(source: str | os.PathLike[str]) -> bytes:
    """A file that was converted with the repair, as it then is, its external data included."""
    made: list[bytes] = []

    def edit(model: onnx.ModelProto) -> None:
        repair(model)
        made.append(model.SerializeToString())

    load(source, edit)
    return made[0]
