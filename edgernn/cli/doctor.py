"""edgernn doctor: what this machine has, what was chosen and why, what is missing and how to get it."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import click

from edgernn.cli.console import as_json

PARTS = {
    "numpy": "",
    "safetensors": "",
    "numba": "jit",
    "llvmlite": "jit",
    "onnx": "convert",
    "onnxruntime": "convert",
    "soundfile": "audio",
    "soxr": "audio",
    "sounddevice": "audio",
    "paho-mqtt": "sensors",
    "pyserial": "sensors",
    "matplotlib": "plot",
    "ziglang": "build",
    "starlette": "serve",
    "uvicorn": "serve",
    "prometheus-client": "serve",
    "numba-cuda": "cuda",
}
PURPOSE = {
    "": "running at all",
    "jit": "compiling kernels here, where none came with edgernn",
    "convert": "converting ONNX files",
    "audio": "microphones, sound that is not 16-bit PCM, sound of another rate",
    "sensors": "MQTT topics and serial lines",
    "plot": "drawings",
    "build": "building for other machines",
    "serve": "serving many clients",
    "cuda": "running on an NVIDIA GPU",
}


@click.command()
@as_json
def command(as_json: bool) -> None:
    """Show this machine: processor, instruction set and kernels and why they were chosen, cache, optional parts."""
    import edgernn
    from edgernn.cli import console
    from edgernn.kernels import library

    machine = {
        "edgernn": edgernn.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        **library.describe(),
    }
    versions = {name: version(name) for name in PARTS}
    if as_json:
        console.print_json({**machine, "versions": versions})
        return
    rows = [(name, text(value)) for name, value in machine.items()]
    rows += [(name, number or absent(name)) for name, number in versions.items()]
    console.out().print(console.table(("", ""), rows))


def text(value: Any) -> str:
    """A value as a person would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


def version(package: str) -> str | None:
    """The installed version of a package, without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def absent(package: str) -> str:
    """What a missing package would be for, and how to get it."""
    extra = PARTS.get(package, "")
    command = f'pip install "edgernn[{extra}]"' if extra else "pip install edgernn"
    return f"not installed; for {PURPOSE[extra]}: {command}"
