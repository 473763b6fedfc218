"""Train the digit spotters models/kws-digits-gru and models/kws-digits-crnn on synthesised speech.

    python tools/train_kws.py --model gru      (or crnn) make scenes, train, write model.onnx and io.npz
    python tools/eval_kws.py --model gru       afterwards: every figure of the model's card

Needs torch==2.13.0, onnx and onnxruntime, and Debian's espeak-ng, wamerican and fortunes. One thread; the scenes, which
both models share, are made once and kept in the user's cache. The front end is the one that pipeline.toml, beside the
model, gives to edgernn.
"""

import argparse
import math
import time
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import vad_sound as vs
from espeak import Espeak
from kws_models import Course, Crnn, Gru, Loss, export, fit
from kws_scenes import DIGITS, FRAME, HOP, SECONDS, Scene, Speaker, make_scene, training_noises
from numpy.typing import NDArray
from torch import Tensor, nn

from edgernn.layers.frontend import FrontEnd
from edgernn.pipelines.features import Extractor

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path.home() / ".cache" / "edgernn-tools"
SCENES = 3600
MODELS = {  # name -> its layers and how long it trains
    "gru": (lambda: Gru(64, 12), Course(epochs=(12, 12, 9), batch=96, peak_rate=6e-3)),
    "crnn": (lambda: Crnn(28, 6, 3, 44, 12), Course(epochs=(16, 24), batch=96, peak_rate=8e-3, chunk=252)),
}
DIGIT_WEIGHT = 3.0  # of frames that ask for a digit


def front_end(folder: Path) -> FrontEnd:
    """The settings that stand beside the model."""
    return FrontEnd.from_settings(tomllib.loads((folder / "pipeline.toml").read_text())["features"])


def make_scenes(front: FrontEnd, path: Path) -> None:
    """Write frames (T, SCENES, bands) float16, labels and whether they count (T, SCENES) to `path`.

    The frames are as before mean and std are taken off: models with other ones share the file.
    """
    if (front.frame_length, front.hop_length) != (FRAME, HOP):
        raise SystemExit(f"kws_scenes labels frames of {FRAME} samples every {HOP}; pipeline.toml has others")
    speaker, rng = Speaker(CACHE / "espeak"), np.random.default_rng(0)
    noises = training_noises(rng, speaker)
    shape = (*Scene(SECONDS).labels.shape, SCENES)
    x, y, counts = np.empty((*shape, front.size), np.float16), np.empty(shape, np.int8), np.empty(shape, bool)
    for k in range(SCENES):
        sound, scene = make_scene(rng, speaker, noises)
        x[:, k] = Extractor(front.normalised((), ())).feed(sound.astype(np.float32))
        y[:, k], counts[:, k] = scene.labels, scene.counts
        if k % 600 == 0:
            print(f"{k} of {SCENES} scenes", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x=x, y=y, counts=counts)


def load_scenes(front: FrontEnd) -> tuple[Tensor, NDArray[np.int8], NDArray[np.bool_]]:
    """Frames, labels and whether they count; made and kept the first time."""
    path = CACHE / f"kws-scenes-{SCENES}.npz"
    if not path.exists():
        make_scenes(front, path)
    data = np.load(path)
    print(f"{SCENES * SECONDS / 3600:.0f} hours of scenes", flush=True)
    x = (data["x"].astype(np.float32) - front.mean) / front.std
    return torch.from_numpy(x.astype(np.float16)), data["y"], data["counts"]


def counting() -> NDArray[np.float32]:
    """A plain voice that counts from zero to nine in a little noise."""
    espeak, rng = Espeak(CACHE / "espeak"), np.random.default_rng(5)
    espeak.plain_voice()
    said = espeak.speak([f"{digit}," for digit in DIGITS]).sound
    clean = np.concatenate([np.zeros(8000), said * 10 ** (-vs.speech_level(said) / 20), np.zeros(8000)])
    return vs.mix(clean, vs.colour(rng, len(clean)), 25, -25).astype(np.float32)


def write_example(front: FrontEnd, folder: Path) -> None:
    """Write io.npz: the frames of a voice that counts (T, bands) and ONNX Runtime's answers (T // hop, n_out)."""
    frames = Extractor(front).feed(counting())
    (answers,) = onnxruntime.InferenceSession(folder / "model.onnx").run(None, {"x": frames[:, None]})
    np.savez_compressed(folder / "io.npz", x=frames, y=answers[:, 0])


def train(model: nn.Module, x: Tensor, lesson: Loss, course: Course, folder: Path) -> None:
    """Train on scenes, then write model.onnx and io.npz into `folder`."""
    start = time.monotonic()
    front = front_end(folder)
    fit(model, x, lesson, course, (math.log(front.log_floor) - front.mean[0]) / front.std[0])
    export(model, folder / "model.onnx")
    write_example(front, folder)
    parameters = sum(weight.numel() for weight in model.parameters())
    print(f"{parameters} parameters, trained in {time.monotonic() - start:.0f} s")


class Lesson:
    """The cross-entropy of the frames that count."""

    def __init__(self, labels: NDArray[np.int8], counts: NDArray[np.bool_], hop: int) -> None:
        """Labels and counts (T, scenes) of frames; a score is held against the last of its `hop` frames."""
        weights = np.where(labels < len(DIGITS), DIGIT_WEIGHT, 1.0) * counts
        self.labels, self.weights = torch.from_numpy(labels), torch.from_numpy(weights.astype(np.float32))
        self.hop = hop

    def __call__(self, scores: Tensor, at: tuple[Tensor, Tensor]) -> Tensor:
        """How wrong `scores` (T / hop, B, classes) are in these scenes and frames."""
        scenes, frames = at
        labels, weights = (part[frames][:, scenes][self.hop - 1 :: self.hop] for part in (self.labels, self.weights))
        errors = nn.functional.cross_entropy(scores.flatten(0, 1), labels.long().flatten(), reduction="none")
        return (errors * weights.flatten()).sum() / weights.sum()


def main() -> None:
    """Train one model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, required=True)
    name = parser.parse_args().model
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder = ROOT / "models" / f"kws-digits-{name}"
    x, labels, counts = load_scenes(front_end(folder))
    make, course = MODELS[name]
    model = make()
    train(model, x, Lesson(labels, counts, model.hop), course, folder)


if __name__ == "__main__":
    main()
