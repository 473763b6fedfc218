"""Files made to hurt, byte by byte: each is refused by name, in bounded time and memory."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tampered import DATA, INT4, INT8, header_of, with_header

from edgernn import BadModelFile
from edgernn.modelfile import validate


def flip(data: bytes, place: int) -> bytes:
    """One bit turned over."""
    return data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]


def metadata(text: str) -> bytes:
    """The file with another text in its metadata."""
    header = header_of(DATA)
    header["__metadata__"] = {"edgernn": text}
    return with_header(DATA, json.dumps(header).encode())


def offsets(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The file after a change of its header."""
    header = header_of(DATA)
    change(header)
    return with_header(DATA, json.dumps(header).encode())


TEXT = header_of(DATA)["__metadata__"]["edgernn"]
BYTES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "seven bytes": (DATA[:7], "truncated"),
    "header cut": (DATA[:400], "truncated"),
    "tensors cut": (DATA[:-1], "not a sound safetensors file"),
    "something appended": (DATA + b"\0", "not a sound safetensors file"),
    "tensor byte": (flip(DATA, len(DATA) - 3), "altered|infinite|outside"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(99), "not an edgernn model file"),
    "ONNX": (b"\x08\x08\x12\x07pytorch" + bytes(99), "not an edgernn model file"),
    "huge header": ((1 << 62).to_bytes(8, "little") + b"{}", "not an edgernn model file"),
    "header beyond the end": ((50_000_000).to_bytes(8, "little") + b"{}", "does not fit"),
    "header is a list": (with_header(DATA, b"[]"), "not an edgernn model file"),
    "header is no JSON": (with_header(DATA, b"{]"), "not a sound safetensors file"),
    "header is not UTF-8": (with_header(DATA, b'{"\xff":1}'), "not ASCII"),
    "no metadata": (offsets(lambda h: h.pop("__metadata__")), "holds no edgernn model"),
    "other metadata": (offsets(lambda h: h["__metadata__"].update(more="")), "holds no edgernn model"),
    "overlapping tensors": (offsets(lambda h: h["state.1"].update(data_offsets=[0, 16])), "not a sound safetensors"),
    "tensor outside": (offsets(lambda h: h["3.bias"].update(data_offsets=[0, 1 << 40])), "not a sound safetensors"),
    "shape disagrees": (offsets(lambda h: h["3.bias"].update(shape=[5])), "not a sound safetensors"),
    "shape overflows": (offsets(lambda h: h["3.bias"].update(shape=[1 << 62, 8])), "not a sound safetensors"),
    "text is no JSON": (metadata(TEXT[:-1]), "not JSON"),
    "text is a list": (metadata("[]"), "not a JSON object"),
    "key twice": (metadata(TEXT[:-1] + ',"format":1}'), "stands twice"),
    "NaN in the text": (metadata(TEXT.replace("0.5", "NaN")), "NaN is not a number"),
    "overflow in the text": (metadata(TEXT.replace("0.5", "1e999")), "is not float"),
    "endless integer": (metadata(TEXT.replace('"format":2', '"format":' + "1" * 9999)), "not JSON"),
    "text 100,000 deep": (metadata("[" * 100_000), "not JSON"),
    "half a surrogate": (metadata(TEXT.replace('"leak"', '"\\ud800"')), "is not str"),
}


@pytest.mark.parametrize("attack", BYTES)
def test_altered_bytes(attack: str) -> None:
    data, message = BYTES[attack]
    with pytest.raises(BadModelFile, match=message):
        validate(data)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([INT8, INT4]), st.integers(0, min(len(INT8), len(INT4)) - 1), st.integers(1, 255))
def test_any_byte_changed(file: bytes, place: int, change: int) -> None:
    data = file[:place] + bytes([file[place] ^ change]) + file[place + 1 :]
    with contextlib.suppress(BadModelFile):
        assert validate(data).hash == validate(file).hash


BOMBS = {
    "lists": '{"x":[' + ",".join(["[]"] * 1_000_000) + "]}",
    "objects": '{"x":[' + ",".join(["{}"] * 1_000_000) + "]}",
    "keys": "{" + ",".join(f'"{i:x}":0' for i in range(500_000)) + "}",
    "numbers": '{"x":[' + ",".join(["1.5"] * 1_000_000) + "]}",
    "one string": '{"x":"' + "a" * 4_000_000 + "\\ud83d\\ude00" + '"}',
    "escapes": '{"x":"' + "\\u0041" * 500_000 + '"}',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_bounded(bomb: str) -> None:
    data = metadata(BOMBS[bomb])
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(BadModelFile):
        validate(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 10 * len(data) + 30_000_000
    assert time.monotonic() - start < 10
