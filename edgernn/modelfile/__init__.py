"""Model <-> one `.edgernn` file.

In: a Model or bytes. Out: bytes or a Model. May import: errors, layers, NumPy, safetensors.

The file is a safetensors file, so anything that reads those can look inside:

- 8 bytes, little-endian: the length of the header, at most MAX_HEADER.
- The header: JSON in ASCII, padded with spaces to a multiple of 8. For each tensor its dtype (F32, I32, F16, I16, I8
  or U8), shape and offsets; the tensors follow without holes, the wider first, each kind in the order of the names. So
  a tensor starts at a multiple of the size of its numbers.
- `__metadata__` holds one string under "edgernn": JSON with the keys format (2), inputs, outputs, states, nodes, origin
  and hash, and with those of `rhythm`, `features`, `decisions`, `alphabet`, `regular` and `shared` that there is
  something to say under; with no other.
- A port is {name, value, size, dtype, low, high}; a state {name, source} with its first value in tensor `state.<i>`, or
  {name, source, shape} where it begins with zeros. Format 1 has none of the latter; files in it are read too.
- A node is {name, layer, attributes, inputs, outputs}, in topological order; `layer` is a name in `layers.LAYERS`, and
  `attributes` holds every field of that layer which is neither a weight nor absent. A node without `outputs` makes one
  value, called by the node's index.
- Weights are tensors `<node index>.<field>`, float32 (int16 or int32 for a field named `index`, float16 for a matrix
  that is held so). Quantised ones are two, the integers and `<node index>.<field>.scale` (rows,), float32. The integers
  of int8 are `<node index>.<field>.q` (rows, cols); of the other formats the name goes on with the format: `.q.int8x16`
  (int8), `.q.int16` and `.q.int4`. The last is uint8 (rows, cols / 2): two numbers in a byte, plus 8, the first in the
  low bits, and 0 in the high bits of the last where cols is odd; beside it stands `<node index>.<field>.factor`, uint8
  (rows, cols / 32). `<node index>.<field>.reach` (1,), float32, is there where the activations' scale is fixed.
- `rhythm` is there where a model does not answer each frame by itself: hop, window, delay, receptive_field.
- `features` and `decisions` are there where a model has a front end or a decider: every setting that
  `layers.frontend.FrontEnd` and `layers.deciding.Deciding` have for the kind.
- `alphabet` is there where tokens stand for characters: a text, of which token n is the n-th character.
- `regular` is there where indices are regular: {name: loops that count them, instead of a tensor}; see `regular`.
- `shared` is there where tensors of 256 bytes or more are equal: {name: the tensor that is stored instead}.
- Tensor `built`, int64, is there in files that stand beside a built library: what `compiler.beside` says. It is no part
  of the model, and not looked at here.
- `hash` is `Model.hash`: sha256 over the graph, its attributes and weights.
- The same model always gives the same bytes. There is no pickle and no code in it.

`validate` is the only way in. Every other tensor is used exactly once, every number is finite, every scale and factor
above 0.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from edgernn.errors import BadModelFile
from edgernn.layers.model import Model
from edgernn.modelfile.container import pack, unpack
from edgernn.modelfile.description import decode, encode

if TYPE_CHECKING:
    from pathlib import Path

CERTAIN = 5000  # nodes and values that they name: so many fit whatever they are


def validate(data: bytes) -> Model:
    """The model in these bytes. Raises BadModelFile, naming the check that failed, and then nothing was loaded."""
    return decode(*unpack(data))


def load(path: str | Path) -> Model:
    """The model in a file. Raises BadModelFile when there is none or it is none, and OSError when it cannot be read."""
    path = os.fspath(path)  # a number would be a file that is open
    if not os.path.isfile(path):
        folder = "is a folder: name the .edgernn file that it was built of" if os.path.isdir(path) else "is not a file"
        raise BadModelFile(f"{path} {folder}" if os.path.exists(path) else f"there is no file {path}")
    with open(path, "rb") as file:
        data = file.read()
    try:
        return validate(data)
    except BadModelFile as error:
        raise BadModelFile(f"{path}: {error}") from None


def fits(model: Model) -> bool:
    """Whether the description of a model has few enough parts for `validate` to read."""
    if sum(1 + len(node.inputs) + len(node.outputs) for node in model.nodes) < CERTAIN:
        return True
    try:
        unpack(pack(*encode(model)))
    except BadModelFile:
        return False
    return True


def save(model: Model, path: str | Path) -> None:
    """Write the model to a file, whole or not at all: whatever fails, what was at `path` before is still there.

    Raises BadModelFile for a model that could not be read back, and OSError when the file cannot be written.
    """
    data = pack(*encode(model))
    validate(data)
    write_whole(path, data)


def write_whole(path: str | Path, data: bytes) -> None:
    """Write a file under a temporary name beside `path`, then rename it. Raises OSError, about `path` itself."""
    from pathlib import Path

    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)
