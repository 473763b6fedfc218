"""Writes edgernn/demo/vad.edgernn, the model of `edgernn demo`, from models/vad-raw/model.onnx, in int8.

python tools/make_demo.py
"""

from __future__ import annotations

from pathlib import Path

import edgernn

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Convert the model and say what came out."""
    target = ROOT / "edgernn" / "demo" / "vad.edgernn"
    model = edgernn.convert(ROOT / "models" / "vad-raw" / "model.onnx", quantize="int8")
    model.save(target)
    print(model.summary())
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
