"""Train models/vad-gru, which hears from log-mels whether somebody speaks, on scenes that espeak-ng alone speaks in.

    python tools/train_vad_gru.py              train, then write model.onnx and io.npz
    python tools/eval_vad.py                   afterwards: every figure of the model's card

Needs torch==2.13.0, onnx and onnxruntime, and Debian's espeak-ng, wamerican and fortunes.
"""

import torch
from kws_models import Course, Gru, fit
from kws_scenes import SILENCE
from kws_sets import load
from torch import Tensor, nn
from train_kws import ROOT, finish, front_end

FOLDER = ROOT / "models" / "vad-gru"
HIDDEN, COURSE = 32, Course(epochs=(8,), batch=96, peak_rate=6e-3)


def main() -> None:
    """Train it: speech from the first word of an utterance until 0.15 s after its last; the next 0.15 s don't count."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    front = front_end(FOLDER)
    x, labels, counts = load(front)
    speech, weights = (
        torch.from_numpy(labels != SILENCE).float(),
        torch.from_numpy(counts | (labels != SILENCE)).float(),
    )

    def lesson(scores: Tensor, at: tuple[Tensor, Tensor]) -> Tensor:
        """The binary cross-entropy of the frames that count."""
        scenes, frames = at
        wanted, weight = (part[frames][:, scenes] for part in (speech, weights))
        return (
            nn.functional.binary_cross_entropy_with_logits(scores[..., 0], wanted, weight)
            * weight.numel()
            / weight.sum()
        )

    model = Gru(HIDDEN, 1)
    fit(model, torch.from_numpy(x), lesson, COURSE, front)
    finish(model, FOLDER)


if __name__ == "__main__":
    main()
