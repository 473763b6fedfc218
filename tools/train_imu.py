"""Train and measure models/imu-activity-lstm: what somebody does who wears a smart watch.

    python tools/train_imu.py               train, then write model.onnx and io.npz
    python tools/train_imu.py --evaluate    measure the stored model with edgernn on recordings it never saw

Needs edgernn[convert], torch==2.13.0 and pip, which fetches aeon's wheel for its data. One thread, half a minute.
"""

import numpy as np
import torch
from torch import Tensor, nn
from training import ROOT, Floats, Recordings, archive, describe, export, main, stored

import edgernn

MODEL = ROOT / "models" / "imu-activity-lstm" / "model.onnx"
RATE, CHANNELS, HIDDEN = 10, 6, 32  # frames a second; acceleration and rotation, x, y, z each
LABELS = ["Standing", "Walking", "Running", "Badminton"]
STEPS, BATCH, PARTS, PART = 500, 32, 3, (40, 90)  # of a scene: how many parts, and how many frames one may have
SETTLING = 5  # frames of a new activity whose answers do not count


class Activity(nn.Module):
    """Normalised frames (T, B, 6) to log odds of the activities (T, B, 4)."""

    def __init__(self) -> None:
        """Lay out the layers."""
        super().__init__()
        self.lstm = nn.LSTM(CHANNELS, HIDDEN)
        self.head = nn.Linear(HIDDEN, len(LABELS))

    def forward(self, x: Tensor) -> Tensor:
        """Log odds after each frame."""
        return self.head(self.lstm(x)[0])


def normalisation(recordings: Recordings) -> tuple[Floats, Floats]:
    """(mean, std), (6,) each: a frame becomes (frame - mean) / std."""
    frames = np.concatenate([x for x, _ in recordings])
    return frames.mean(axis=0).round(3), frames.std(axis=0).round(3)


def part(rng: np.random.Generator, x: Floats) -> Floats:
    """A piece of a recording, at another tempo and strength."""
    tempo = rng.uniform(0.8, 1.25)
    frames = int(min(rng.integers(*PART), (len(x) - 1) / tempo))
    at = rng.uniform(0, len(x) - 1 - (frames - 1) * tempo) + tempo * np.arange(frames)
    piece = np.stack([np.interp(at, np.arange(len(x)), channel) for channel in x.T], axis=1)
    return (piece * rng.uniform(0.8, 1.25) + 0.05 * rng.standard_normal(piece.shape)).astype(np.float32)


def scenes(rng: np.random.Generator, recordings: Recordings) -> tuple[Tensor, Tensor]:
    """BATCH scenes, in each of which one activity follows the other: (T, B, 6) and labels (T, B), -1: not judged."""
    longest = PARTS * PART[1]
    x, labels = np.zeros((longest, BATCH, CHANNELS), np.float32), np.full((longest, BATCH), -1)
    for scene in range(BATCH):
        at = 0
        for chosen in rng.integers(0, len(recordings), PARTS):
            piece = part(rng, recordings[chosen][0])
            x[at : at + len(piece), scene] = piece
            labels[at + SETTLING : at + len(piece), scene] = LABELS.index(recordings[chosen][1])
            at += len(piece)
    return torch.from_numpy(x), torch.from_numpy(labels)


def fit(network: Activity, recordings: Recordings) -> None:
    """Train on normalised recordings."""
    rng = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=STEPS)
    for step in range(STEPS):
        x, labels = scenes(rng, recordings)
        loss = nn.functional.cross_entropy(network(x).reshape(-1, len(LABELS)), labels.reshape(-1), ignore_index=-1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}  loss {loss.item():.4f}", flush=True)


def made_up() -> Tensor:
    """A watch that lies still, then is shaken, (100, 1, 6): the archive's recordings are not passed on with this."""
    rng = np.random.default_rng(1)
    time = np.arange(100)[:, None] / RATE
    shaken = (time > 4) * np.sin(2 * np.pi * (1.8 * time + rng.random(CHANNELS))) * rng.uniform(0.5, 2, CHANNELS)
    return torch.from_numpy((shaken + 0.05 * rng.standard_normal((100, CHANNELS))).astype(np.float32))[:, None]


def train() -> None:
    """Train and write the model."""
    recordings = archive("BasicMotions", "TRAIN")
    mean, std = normalisation(recordings)
    network = Activity()
    fit(network, [((x - mean) / std, label) for x, label in recordings])
    print(f"mean = {mean}\nstd = {std}")
    export(network, {"x": made_up()}, MODEL)


def evaluate() -> None:
    """Print accuracy on the archive's own test split, through the pipeline that pipeline.toml describes."""
    describe(MODEL)
    test = archive("BasicMotions", "TEST")
    y = np.array([LABELS.index(label) for _, label in test])
    order = np.random.default_rng(0).permutation(len(test))
    for name, model in stored(MODEL, MODEL.with_name("pipeline.toml")).items():
        for seconds in (2, 5, 10):
            right = [highest(model.pipeline(), x[: seconds * RATE]) for x, _ in test] == y
            print(f"{name}: {100 * right.mean():.1f} % of {len(y)} recordings right after {seconds} s")
        pipeline = model.pipeline()
        right = [highest(pipeline, test[i][0]) for i in order] == y[order]
        print(f"{name}: {100 * right.mean():.1f} % at the end of each in one stream, never reset")


def highest(pipeline: edgernn.Pipeline, x: Floats) -> int:
    """The activity with the highest score after these rows."""
    pipeline.feed(x)
    return LABELS.index(max(pipeline.scores, key=pipeline.scores.__getitem__))


if __name__ == "__main__":
    main(__doc__, train, evaluate)
