"""Files whose description or tensors were changed: each is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tampered import DATA, FLOAT16, INT4, INT8, INT16, altered

from edgernn import BadModelFile
from edgernn.modelfile import container, validate
from edgernn.modelfile.description import encode


def node(described: dict[str, Any], name: str) -> dict[str, Any]:
    """A node of the description by name."""
    return next(item for item in described["nodes"] if item["name"] == name)


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
    "weight in integers": (lambda d, t: t.update({"3.weight": t["3.weight"].astype(np.int32)}), "float32 expected"),
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
    "outputs are null": (lambda d, t: node(d, "in").update(outputs=None), "outputs: None is not"),
    "outputs by place": (lambda d, t: node(d, "in").pop("outputs"), "nothing before it makes"),
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


def test_shared_tensors_that_stand_for_too_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgernn.modelfile.shared.LARGEST", 60)
    many = altered(lambda d, t: d.update(shared={str(i): "3.bias" for i in range(4)}))
    with pytest.raises(BadModelFile, match="more than 60 bytes"):
        validate(many)


BUILT = [np.arange(99), np.full(9, np.nan), np.ones((2, 3), bool)]


@pytest.mark.parametrize("built", BUILT, ids=lambda built: str(built.dtype))
def test_what_a_built_library_reads_is_no_part_of_the_model(built: np.ndarray) -> None:
    """So whatever it says, edgernn runs the weights that the hash covers and `inspect` shows."""
    assert container.pack(*encode(validate(altered(lambda d, t: t.update(built=built))))) == DATA
