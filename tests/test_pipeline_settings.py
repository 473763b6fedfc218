"""The settings of a pipeline in a model file: they are kept, they count, and what does not fit is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listeners import LISTENER, LOUD, listener
from make_golden import LISTENER as GOLDEN_LISTENER
from make_golden import small_listener

from edgernn import BadInput, BadModelFile, Model, load
from edgernn.layers.deciding import Deciding
from edgernn.layers.frontend import FrontEnd
from edgernn.modelfile import container, validate
from edgernn.modelfile.description import encode


def test_golden_bytes(tmp_path: Path) -> None:
    golden = Path(__file__).parent / "golden" / f"{GOLDEN_LISTENER}.edgernn"
    small_listener().save(tmp_path / "m.edgernn")
    assert (tmp_path / "m.edgernn").read_bytes() == golden.read_bytes()
    assert load(golden).settings == small_listener().settings


def test_settings_are_in_the_file_and_in_the_hash(tmp_path: Path) -> None:
    model = listener()
    model.save(tmp_path / "m.edgernn")
    loaded = load(tmp_path / "m.edgernn")
    assert (loaded.frontend, loaded.deciding, loaded.hash) == (model.frontend, model.deciding, model.hash)
    assert model.frontend is not None and model.deciding is not None
    bare = replace(model, frontend=None, deciding=None)
    hashes = {one.hash for one in (model, replace(model, deciding=None), bare)}
    hashes.add(replace(model, frontend=replace(model.frontend, preemphasis=0.5)).hash)
    hashes.add(replace(model, deciding=replace(model.deciding, refractory=1.0)).hash)
    assert len(hashes) == 5
    assert '"features"' not in encode(bare)[0] and '"decisions"' not in encode(bare)[0]


single = st.sampled_from([None, True, -1, 0, 3, 10**30, 0.5, float("nan"), float("inf"), "", "a", "kaldi", "mfcc"])
junk = single | st.lists(single, max_size=2) | st.dictionaries(st.sampled_from(["a", "x"]), single, max_size=2)
TABLES = [(FrontEnd, small_listener().settings["features"]), (Deciding, LOUD), (Deciding, {"kind": "anomaly"})]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TABLES), st.data())
def test_whatever_the_settings_hold_the_error_is_a_bad_input(
    of: tuple[Any, dict[str, Any]], data: st.DataObject
) -> None:
    kind, table = of
    names = st.sampled_from([*kind.__dataclass_fields__, "preset"])
    try:
        kind.from_settings({**table, **data.draw(st.dictionaries(names, junk, min_size=1, max_size=3))})
    except BadInput as error:
        assert str(error).startswith("[")


MISFITS: dict[str, Callable[[Model], Model]] = {
    r"\[features\] make 9 numbers a frame, the model takes 8": lambda m: replace(
        m,
        frontend=replace(m.frontend, bands=9),  # type: ignore[type-var]
    ),
    r"\[decisions\] need \[features\]": lambda m: replace(m, frontend=None),
    r"\[decisions\] have 1 labels, the model answers with 3": lambda m: replace(
        m, deciding=Deciding.from_settings(LOUD)
    ),
    r'kind "anomaly" is for models that .* takes 8 numbers and answers with 3': lambda m: replace(
        m, deciding=Deciding.from_settings({"kind": "anomaly"})
    ),
    "one output, this one has 2": lambda m: replace(m, outputs=(*m.outputs, replace(m.outputs[0], name="again"))),
}


@pytest.mark.parametrize("message", MISFITS)
def test_settings_that_do_not_fit_the_model(message: str) -> None:
    with pytest.raises(BadInput, match=message):
        MISFITS[message](LISTENER)


HOSTILE: dict[str, tuple[str, str, Any]] = {  # message -> table, setting, value
    "frame_length is 1000000000000": ("features", "frame_length", 10**12),
    "bands is 1000000000": ("features", "bands", 10**9),
    "mean is .*at most 4096": ("features", "mean", [0.0] * 5000),
    "rate is 0": ("features", "rate", 0),
    "n_fft is 1073741824": ("features", "n_fft", 1 << 30),
    "window is 3: a text": ("features", "window", 3),
    "has no setting 'x'": ("features", "x", 1),
    "log_floor is .*: a number": ("features", "log_floor", 10**400),
    "make 9 numbers a frame": ("features", "bands", 9),
    "lacks 'window'": ("features", "window", None),
    "'features' is not whole": ("features", "mean", None),
    "'features' is a table|a table of settings": ("features", "", 3),
    "'decisions' is not whole": ("decisions", "top", None),
    "smoothing is 1e\\+300": ("decisions", "smoothing", 1e300),
    "labels is .*: a list of at most": ("decisions", "labels", ["x"] * 5000),
    "threshold: 2 numbers": ("decisions", "threshold", [0.5, 0.5]),
    "release of 'a'": ("decisions", "release", [9.0, 0.1, 0.1]),
    "smoothing over 2.59e\\+07 numbers: at most": ("decisions", "smoothing", 86400.0),
    r"preset is \[\]": ("features", "preset", []),
    "'features' is not whole:": ("features", "preset", "kaldi"),
    "altered": ("decisions", "refractory", 2.0),
}


@pytest.mark.parametrize("message", HOSTILE)
def test_hostile_settings_in_a_file(message: str) -> None:
    table, name, value = HOSTILE[message]
    text, tensors = encode(LISTENER)
    described = json.loads(text)
    if not name:
        described[table] = value
    elif value is None:
        del described[table][name]
    else:
        described[table][name] = value
    with pytest.raises(BadModelFile, match=message):
        validate(container.pack(json.dumps(described), tensors))
