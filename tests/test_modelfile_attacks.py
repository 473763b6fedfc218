"""Files made to hurt: each is refused by name, in bounded time and memory."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import numpy as safetensors_numpy

from edgernn import BadModelFile
from edgernn.modelfile import container, validate

GOLDEN = Path(__file__).parent / "golden"
DATA = (GOLDEN / "small.edgernn").read_bytes()
INT8, INT16, INT4, FLOAT16 = (
    (GOLDEN / f"small-{name}.edgernn").read_bytes() for name in ("int8", "int16", "int4", "float16")
)


def header_of(data: bytes) -> dict[str, Any]:
    """The parsed header of a safetensors file."""
    return dict(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]))


def with_header(data: bytes, header: bytes) -> bytes:
    """The file with another header."""
    return len(header).to_bytes(8, "little") + header + data[8 + int.from_bytes(data[:8], "little") :]


def parts(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(description, tensors) of a file, without any check."""
    return json.loads(header_of(data)["__metadata__"]["edgernn"]), safetensors_numpy.load(data)


def altered(change: Callable[[dict[str, Any], dict[str, np.ndarray]], None], data: bytes = DATA) -> bytes:
    """The file after a change of its description or tensors, with the hash as it was."""
    described, tensors = parts(data)
    change(described, tensors)
    return container.pack(json.dumps(described), tensors)


def node(described: dict[str, Any], name: str) -> dict[str, Any]:
    """A node of the description by name."""
    return next(item for item in described["nodes"] if item["name"] == name)


def flip(data: bytes, place: int) -> bytes:
    """One bit turned over."""
    return data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]


def deep(described: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """A hundred lists in one another: deeper than any attribute, shallow enough to parse."""
    value: Any = 1
    for _ in range(100):
        value = [value]
    node(described, "leak")["attributes"]["alpha"] = value


def swap(described: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """Two values that need each other."""
    node(described, "in")["inputs"], node(described, "squash")["outputs"] = ["v"], ["v"]


def double(described: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    node(described, "squash")["outputs"] = ["u"]


CHANGES: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "hash": (lambda d, t: d.update(hash="0" * 64), "altered: its hash"),
    "attribute": (lambda d, t: node(d, "leak")["attributes"].update(alpha=0.75), "altered: its hash"),
    "value of a tensor": (lambda d, t: t.update({"3.bias": t["3.bias"] + 1}), "altered: its hash"),
    "initial state": (lambda d, t: t.update({"state.1": t["state.1"] + 1}), "altered: its hash"),
    "newer format": (lambda d, t: d.update(format=3), "upgrade edgernn"),
    "format is no number": (lambda d, t: d.update(format="1"), "format '1'"),
    "format is true": (lambda d, t: d.update(format=True), "format True"),
    "unknown key": (lambda d, t: d.update(code="import os"), "unknown key 'code'"),
    "missing key": (lambda d, t: d.pop("origin"), "lacks key 'origin'"),
    "nodes are no list": (lambda d, t: d.update(nodes={}), "'nodes' is not a list"),
    "node is no object": (lambda d, t: d["nodes"].append(3), "not a JSON object"),
    "origin is no object": (lambda d, t: d.update(origin=[]), "'origin' is not"),
    "unknown layer": (lambda d, t: node(d, "leak").update(layer="Exec"), "a layer 'Exec'"),
    "layer by path": (lambda d, t: node(d, "leak").update(layer="os.system"), "a layer 'os.system'"),
    "unknown attribute": (lambda d, t: node(d, "leak")["attributes"].update(gamma=1.0), "unknown attribute 'gamma'"),
    "missing attribute": (lambda d, t: node(d, "leak")["attributes"].pop("alpha"), "lacks 'alpha'"),
    "attribute of another type": (lambda d, t: node(d, "leak")["attributes"].update(alpha="0.5"), "is not float"),
    "attribute is true": (lambda d, t: node(d, "leak")["attributes"].update(alpha=True), "is not float"),
    "attribute too large": (lambda d, t: node(d, "turn")["attributes"].update(shape=[1 << 60]), "is not int"),
    "attribute too long": (lambda d, t: node(d, "turn")["attributes"].update(shape=[1] * 5000), "a list of 5000"),
    "unknown function": (lambda d, t: node(d, "leak")["attributes"].update(function="eval"), "no function 'eval'"),
    "weight as attribute": (lambda d, t: node(d, "in")["attributes"].update(weight=1.0), "unknown attribute 'weight'"),
    "negative shape": (lambda d, t: node(d, "turn")["attributes"].update(shape=[-2, -2]), "not well formed"),
    "deep nesting": (deep, "is not float"),
    "missing tensor": (lambda d, t: t.pop("3.weight"), "lacks 'weight'"),
    "missing state": (lambda d, t: t.pop("state.1"), "'state.1' is missing"),
    "state of no shape": (lambda d, t: d["states"][0].update(shape=3), "state 0, shape"),
    "state of another shape": (lambda d, t: d["states"][0].update(shape=[9]), "not well formed"),
    "state of a negative size": (lambda d, t: d["states"][0].update(shape=[-1, -4]), "without a tensor at most"),
    "enormous state": (lambda d, t: d["states"][0].update(shape=[1 << 50]), "without a tensor at most"),
    "state of too many axes": (lambda d, t: d["states"][0].update(shape=[1] * 99), "not well formed"),
    "state twice": (lambda d, t: d["states"][1].update(shape=[4]), "state.1' belongs to no layer"),
    "leftover tensor": (lambda d, t: t.update(extra=np.zeros(1, np.float32)), "'extra' belongs to no layer"),
    "tensor of a missing node": (lambda d, t: t.update({"99.weight": np.zeros(1, np.float32)}), "belongs to no layer"),
    "double precision": (lambda d, t: t.update({"3.bias": t["3.bias"].astype(np.float64)}), "is F64"),
    "index in float": (lambda d, t: t.update({"2.index": t["2.index"].astype(np.float32)}), "int32 expected"),
    "weight in integers": (lambda d, t: t.update({"3.weight": t["3.weight"].astype(np.int32)}), "float32 expected"),
    "index outside": (lambda d, t: t.update({"2.index": np.full(4, 9, np.int32)}), "outside"),
    "small index outside": (lambda d, t: t.update({"2.index": np.full(4, -7, np.int16)}), "outside"),
    "weight in small integers": (
        lambda d, t: t.update({"3.weight": t["3.weight"].astype(np.int16)}),
        "float32 expected",
    ),
    "not a number": (lambda d, t: t["3.bias"].fill(np.nan), "infinite or not a number"),
    "infinite": (lambda d, t: t["state.1"].fill(np.inf), "infinite or not a number"),
    "weight of another shape": (lambda d, t: t.update({"3.weight": t["3.weight"][:, :2]}), "does not fit"),
    "weight without axes": (lambda d, t: t.update({"3.weight": t["3.bias"]}), "not well formed"),
    "state of another size": (lambda d, t: t.update({"state.1": np.ones(9, np.float32)}), "not well formed"),
    "shared is a list": (lambda d, t: d.update(shared=["3.bias"]), "'shared' is not an object"),
    "shared with a number": (lambda d, t: d.update(shared={"3.bias": 3}), "'shared' is not an object"),
    "shared beside its own": (lambda d, t: d.update(shared={"3.bias": "3.weight"}), "says that '3.bias' is '3.weight'"),
    "shared with none": (lambda d, t: (d.update(shared={"3.bias": "9.x"}), t.pop("3.bias")), "is '9.x'"),
    "shared with itself": (lambda d, t: (d.update(shared={"3.bias": "3.bias"}), t.pop("3.bias")), "is '3.bias'"),
    "shared in a row": (lambda d, t: d.update(shared={"a": "3.bias", "b": "a"}), "says that 'b' is 'a'"),
    "shared by no layer": (lambda d, t: d.update(shared={"a": "3.bias"}), "'a' belongs to no layer"),
    "shared with other numbers": (
        lambda d, t: (d.update(shared={"3.bias": "state.1"}), t.pop("3.bias")),
        "altered|does not fit",
    ),
    "cycle": (swap, "nothing before it makes"),
    "duplicate value": (double, "two things make the value"),
    "duplicate input": (lambda d, t: d["inputs"].append(d["inputs"][0]), "two things make the value"),
    "two inputs of one name": (lambda d, t: d["inputs"][1].update(name="x"), "two inputs have one name"),
    "two outputs of one name": (lambda d, t: d["outputs"][1].update(name="y"), "two outputs have one name"),
    "no input": (lambda d, t: d.update(inputs=[]), "nothing before it makes"),
    "no output": (lambda d, t: d.update(outputs=[]), "at least one"),
    "output of another size": (lambda d, t: d["outputs"][0].update(size=3), "is not what value"),
    "input of no size": (lambda d, t: d["inputs"][1].update(size=0), "port 'gain'"),
    "input of a huge size": (lambda d, t: d["inputs"][1].update(size=1 << 40), "not well formed"),
    "port of another dtype": (lambda d, t: d["inputs"][0].update(dtype="object"), "port 'x'"),
    "tokens without bounds": (lambda d, t: d["inputs"][1].update(dtype="int64", low=1), "port 'gain'"),
    "tokens for numbers": (lambda d, t: d["inputs"][0].update(dtype="int64"), "tokens and numbers are not the same"),
    "tokens as output": (lambda d, t: d["outputs"][0].update(dtype="int64"), "port 'y'"),
    "name is a number": (lambda d, t: d["inputs"][0].update(name=1), "is not str"),
    "inputs are no names": (lambda d, t: node(d, "in").update(inputs=[["x"]]), "is not str"),
}

INT8_CHANGES: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "zero scale": (lambda d, t: t["3.weight.scale"].fill(0), "scale > 0"),
    "negative scale": (lambda d, t: np.negative(t["3.weight.scale"], out=t["3.weight.scale"]), "scale > 0"),
    "infinite scale": (lambda d, t: t["3.weight.scale"].fill(np.inf), "infinite"),
    "-128": (lambda d, t: t["3.weight.q"].fill(-128), "within -127..127"),
    "scales missing": (lambda d, t: t.pop("3.weight.scale"), "'3.weight.scale' is missing"),
    "too few scales": (lambda d, t: t.update({"3.weight.scale": t["3.weight.scale"][:2]}), "one scale > 0 a row"),
    "scale in integers": (lambda d, t: t.update({"3.weight.scale": np.ones(4, np.int8)}), "float32 expected"),
    "weight in float": (lambda d, t: t.update({"3.weight.q": np.ones((4, 4), np.float32)}), "int8 expected"),
    "both forms": (lambda d, t: t.update({"3.weight": np.ones((4, 4), np.float32)}), "belongs to no layer"),
    "bias in int8": (lambda d, t: t.update({"3.bias.q": t["3.weight.q"], "3.bias.scale": t.pop("3.bias")}), "belongs"),
}


KEY16, KEY4, FACTOR = "3.weight.q.int16", "3.weight.q.int4", "3.weight.factor"
WIDE_CHANGES: dict[str, tuple[bytes, Callable[[Any, Any], object], str]] = {
    "-32768": (INT16, lambda d, t: t[KEY16].fill(-32768), "within -32767..32767"),
    "int16 in int8": (INT16, lambda d, t: t.update({KEY16: t[KEY16].astype(np.int8)}), "int16 expected"),
    "int16 as another format": (INT16, lambda d, t: t.update({"3.weight.q.int8x16": t.pop(KEY16)}), "int8 expected"),
    "int8 as int8x16": (INT8, lambda d, t: t.update({"3.weight.q.int8x16": t.pop("3.weight.q")}), "altered: its hash"),
    "two formats": (INT16, lambda d, t: t.update({"3.weight.q": t[KEY16].astype(np.int8)}), "belongs to no layer"),
    "unknown format": (INT16, lambda d, t: t.update({"3.weight.q.int2": t.pop(KEY16)}), "lacks 'weight'"),
    "four bits of 0": (INT4, lambda d, t: t[KEY4].fill(0x09), "int4 within -7..7"),
    "four bits in one row": (INT4, lambda d, t: t[KEY4][1].fill(0x90), "int4 within -7..7"),
    "four bits without rows": (INT4, lambda d, t: t.update({KEY4: t[KEY4].reshape(-1)}), "one scale > 0 a row"),
    "odd columns": (INT4, lambda d, t: t.update({KEY4: t[KEY4] & np.array([255, 15], np.uint8)}), "does not fit"),
    "no factors": (INT4, lambda d, t: t.pop(FACTOR), "'3.weight.factor' is missing"),
    "too many factors": (
        INT4,
        lambda d, t: t.update({FACTOR: np.ones((4, 2), np.uint8)}),
        "one factor > 0 for each 32",
    ),
    "factor of 0": (INT4, lambda d, t: t[FACTOR].fill(0), "one factor > 0"),
    "signed factors": (INT4, lambda d, t: t.update({FACTOR: np.ones((4, 1), np.int8)}), "uint8 expected"),
    "factors of int8": (INT8, lambda d, t: t.update({FACTOR: np.ones((4, 1), np.uint8)}), "belongs to no layer"),
    "other factors": (INT4, lambda d, t: t[FACTOR].fill(9), "altered: its hash"),
    "reach of 0": (INT8, lambda d, t: t.update({"3.weight.reach": np.zeros(1, np.float32)}), "not one number > 0"),
    "two reaches": (INT4, lambda d, t: t.update({"3.weight.reach": np.ones(2, np.float32)}), "not one number > 0"),
    "a reach added": (INT4, lambda d, t: t.update({"3.weight.reach": np.ones(1, np.float32)}), "altered: its hash"),
    "float16 too large": (FLOAT16, lambda d, t: t["3.weight"].fill(np.inf), "infinite or not a number"),
    "float16 as float32": (
        FLOAT16,
        lambda d, t: t.update({"3.weight": np.float32(t["3.weight"])}),
        "altered: its hash",
    ),
    "bias in float16": (FLOAT16, lambda d, t: t.update({"3.bias": np.float16(t["3.bias"])}), "float32 expected"),
    "state in float16": (FLOAT16, lambda d, t: t.update({"state.1": np.float16(t["state.1"])}), "float32 expected"),
}


@pytest.mark.parametrize("attack", WIDE_CHANGES)
def test_altered_numbers(attack: str) -> None:
    data, change, message = WIDE_CHANGES[attack]
    with pytest.raises(BadModelFile, match=message):
        validate(altered(change, data))


@pytest.mark.parametrize("attack", CHANGES)
def test_altered_contents(attack: str) -> None:
    change, message = CHANGES[attack]
    with pytest.raises(BadModelFile, match=message):
        validate(altered(change))


@pytest.mark.parametrize("attack", INT8_CHANGES)
def test_altered_int8(attack: str) -> None:
    change, message = INT8_CHANGES[attack]
    with pytest.raises(BadModelFile, match=message):
        validate(altered(change, INT8))


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
    "tensor outside": (offsets(lambda h: h["2.index"].update(data_offsets=[0, 1 << 40])), "not a sound safetensors"),
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


def test_shared_tensors_that_stand_for_too_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgernn.modelfile.shared.LARGEST", 60)
    many = altered(lambda d, t: d.update(shared={str(i): "3.bias" for i in range(4)}))
    with pytest.raises(BadModelFile, match="more than 60 bytes"):
        validate(many)


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
