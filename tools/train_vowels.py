"""Train and measure models/vowels-gru: which of nine men said "ae", by 12 cepstrum coefficients a frame.

    python tools/train_vowels.py               train, then write model.onnx and io.npz
    python tools/train_vowels.py --evaluate    measure the stored model with edgernn on utterances it never saw

Needs edgernn[convert], torch==2.13.0 and pip, which fetches aeon's wheel for its data. One thread, one minute.
"""

import numpy as np
import torch
from torch import Tensor, nn
from training import ROOT, Floats, Recordings, archive, describe, export, main, stored

MODEL = ROOT / "models" / "vowels-gru" / "model.onnx"
CHANNELS, HIDDEN, SPEAKERS = 12, 48, 9
STEPS, BATCH, LONGEST = 1500, 64, 40


class Speaker(nn.Module):
    """Frames (T, B, 12) to log odds of the speakers (B, 9) at the last one."""

    def __init__(self, mean: Floats, scale: Floats) -> None:
        """Lay out the layers; `mean` and `scale`: of a frame, (12,) each."""
        super().__init__()
        self.mean, self.scale = nn.Buffer(torch.from_numpy(mean)), nn.Buffer(torch.from_numpy(scale))
        self.gru = nn.GRU(CHANNELS, HIDDEN)
        self.head = nn.Linear(HIDDEN, SPEAKERS)

    def states(self, x: Tensor) -> Tensor:
        """What the GRU remembers after each frame: (T, B, HIDDEN)."""
        return self.gru((x - self.mean) * self.scale)[0]

    def forward(self, x: Tensor) -> Tensor:
        """Log odds after the last frame."""
        return self.head(self.states(x)[-1])


def utterance(rng: np.random.Generator, x: Floats, spread: Floats) -> Floats:
    """Another take of an utterance: at another pace, with coefficients that are a little off."""
    frames = int(np.clip(round(len(x) * rng.uniform(0.8, 1.25)), 7, LONGEST))
    at = np.linspace(0, len(x) - 1, frames) + rng.uniform(-0.3, 0.3)
    made = np.stack([np.interp(at, np.arange(len(x)), channel) for channel in x.T], axis=1)
    off = 0.25 * rng.standard_normal(CHANNELS) + 0.25 * rng.standard_normal(made.shape)
    return (made + spread * off).astype(np.float32)


def batch(rng: np.random.Generator, recordings: Recordings, spread: Floats) -> tuple[Tensor, Tensor, Tensor]:
    """Utterances (LONGEST, B, 12), the number of the last frame of each (B,), speakers (B,) from 0."""
    x, last, speakers = np.zeros((LONGEST, BATCH, CHANNELS), np.float32), [], []
    for i, chosen in enumerate(rng.integers(0, len(recordings), BATCH)):
        made = utterance(rng, recordings[chosen][0], spread)
        x[: len(made), i] = made
        last.append(len(made) - 1)
        speakers.append(int(recordings[chosen][1]) - 1)
    return torch.from_numpy(x), torch.tensor(last), torch.tensor(speakers)


def fit(network: Speaker, recordings: Recordings, spread: Floats) -> None:
    """Train on what utterance makes of the recordings."""
    rng = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=STEPS)
    for step in range(STEPS):
        x, last, speakers = batch(rng, recordings, spread)
        remembered = network.states(x)[last, torch.arange(BATCH)]
        odds = network.head(nn.functional.dropout(remembered, 0.3))
        loss = nn.functional.cross_entropy(odds, speakers, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 250 == 249:
            print(f"step {step + 1}  loss {loss.item():.4f}", flush=True)


def made_up(mean: Floats, spread: Floats) -> Tensor:
    """An utterance of nobody, (25, 1, 12): the archive's own are not to be passed on with this model."""
    wander = np.random.default_rng(1).standard_normal((25, CHANNELS)).cumsum(axis=0) / 5
    return torch.from_numpy((mean + spread * wander).astype(np.float32))[:, None]


def train() -> None:
    """Train and write the model."""
    recordings = archive("JapaneseVowels", "TRAIN")
    frames = np.concatenate([x for x, _ in recordings])
    network = Speaker(frames.mean(axis=0), 1 / frames.std(axis=0))
    fit(network, recordings, frames.std(axis=0))
    export(network, {"x": made_up(frames.mean(axis=0), frames.std(axis=0))}, MODEL)


def evaluate() -> None:
    """Print accuracy on the archive's own test split."""
    describe(MODEL)
    test = archive("JapaneseVowels", "TEST")
    y = np.array([int(label) - 1 for _, label in test])
    for name, model in stored(MODEL).items():
        stream, answers = model.stream(), []
        for x, _ in test:
            stream.reset()
            answers.append(stream.run(x)[-1].argmax())
        print(f"{name}: {100 * (answers == y).mean():.1f} % of {len(y)} utterances")


if __name__ == "__main__":
    main(__doc__, train, evaluate)
