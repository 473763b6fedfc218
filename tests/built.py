"""What was built, as a device has it."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from types import ModuleType


def device(folder: Path) -> ModuleType:
    """The folder's own edgernn_device.py."""
    found = util.spec_from_file_location("edgernn_device", folder / "edgernn_device.py")
    assert found and found.loader
    module = util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
