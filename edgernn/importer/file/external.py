"""External data: weights in files of their own, which must lie in the model's folder. Nothing else is opened."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import onnx

from edgernn.errors import BadModelFile

LARGEST = 2**31  # bytes of external data in all


def embed(model: onnx.ModelProto, folder: Path | None) -> int:
    """Move external data into the model; returns how many bytes.

    Raises BadModelFile for a file that is elsewhere, a link, or too short.
    """
    total = 0
    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        if folder is None:
            raise BadModelFile(
                f"the weights of '{tensor.name}' are in another file; give the path of the model instead"
            )
        fields = {entry.key: entry.value for entry in tensor.external_data}
        size = _size(tensor)
        total += size
        if total > LARGEST:
            raise BadModelFile("the external data hold more than 2 GB")
        tensor.raw_data = _read(folder, tensor.name, fields, size)
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    return total


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of the file, those of subgraphs and functions too."""
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes.extend(graph.node)
            continue
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors) if attribute.HasField("t") else attribute.tensors
            graphs.extend([attribute.g, *attribute.graphs] if attribute.HasField("g") else attribute.graphs)


def _size(tensor: onnx.TensorProto) -> int:
    if any(n < 0 for n in tensor.dims):
        raise BadModelFile(f"the tensor '{tensor.name}' has a negative dimension; export the model again")
    return int(math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _read(folder: Path, name: str, fields: dict[str, str], size: int) -> bytes:
    """The bytes of one tensor."""
    location = fields.get("location", "")
    try:
        offset, length = int(fields.get("offset", "0")), int(fields.get("length", size))
    except ValueError:
        raise BadModelFile(f"the weights of '{name}' have no readable offset and length") from None
    with _opened(folder, name, location) as file:
        if offset < 0 or length != size or offset + size > os.fstat(file.fileno()).st_size:
            raise BadModelFile(f"'{location}' does not hold the {size} bytes of '{name}' at {offset}; copy it again")
        file.seek(offset)
        data = file.read(size)
    if len(data) != size:
        raise BadModelFile(f"'{location}' became shorter while it was read; copy it again")
    return data


def _opened(folder: Path, name: str, location: str) -> BinaryIO:
    """The file of that name in the folder: no way up, no link of either kind, a regular file.

    Each part of the way is opened within the one before and looked at once it is open, so that nothing can be put in
    its place in between.
    """
    parts = Path(location).parts
    if not parts or Path(location).is_absolute() or ".." in parts or "\0" in location or "\\" in location:
        raise BadModelFile(f"the weights of '{name}' point outside the model's folder ('{location}'): refused")
    try:
        inner = os.open(folder, os.O_RDONLY)
        for part in parts:
            outer = inner
            try:
                inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=outer)
            finally:
                os.close(outer)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadModelFile(
                f"'{location}', the weights of '{name}', is a link: refused; copy the file itself"
            ) from None
        raise BadModelFile(f"'{location}', the weights of '{name}', is not beside the model; copy it there") from None
    found = os.fstat(inner)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(inner)
        raise BadModelFile(f"'{location}', the weights of '{name}', is not a plain file of its own: refused")
    return os.fdopen(inner, "rb")
