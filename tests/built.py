"""A model that was built for this machine, as a device has it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest
from cases import SIZES, frames
from conftest import stream_on

from edgernn.compiler import bundle, targets
from edgernn.kernels.isas import REFERENCE
from edgernn.layers.base import Array
from edgernn.quantiser import quantise

MODEL = quantise(SIZES["B"](), "int8")
X = frames(MODEL, 200)


def device(folder: Path) -> ModuleType:
    """The folder's own edgernn_device.py."""
    found = util.spec_from_file_location("edgernn_device", folder / "edgernn_device.py")
    assert found and found.loader
    module = util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@cache
def built() -> Path:
    """Size B in int8, once a process."""
    made = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    bundle.build(MODEL, "kws", targets.host(), made / "kws", "0.1.0")
    return made / "kws"


@pytest.fixture(scope="module")
def folder() -> Path:
    """Size B in int8, for this machine."""
    return built()


@pytest.fixture(scope="module")
def expected() -> Array:
    """The reference's answers to X."""
    made: Array = stream_on(REFERENCE, MODEL).run(X)
    return made


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A folder that a test may change."""
    return Path(shutil.copytree(folder, tmp_path / "copied"))
