"""Train and measure models/ecg-forecast-gru: the next sample of an electrocardiogram, and faults it did not expect.

    python tools/train_ecg.py               train, then write model.onnx and io.npz
    python tools/train_ecg.py --evaluate    measure the stored model with edgernn on the end of the recording, with
                                            faults that are put into it, and draw roc.png

Needs edgernn[convert,plot], torch==2.13.0, and apt-get and dpkg of Debian 12, which fetch the data. One thread, two
minutes to train and one to measure.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from training import CACHE, ROOT, Floats, describe, export, main, stored
from vad_sound import package_folder

import edgernn

FOLDER = ROOT / "models" / "ecg-forecast-gru"
MODEL = FOLDER / "model.onnx"
RATE, HIDDEN = 360, 32
BLOCK = 36  # samples from one look at the score to the next
MEAN, STD = -0.17, 0.6  # mV; pipeline.toml has them too
TRAINED_ON = 180 * RATE  # samples; the rest of the 300 s is for the test
STEPS, BATCH, CHUNK, SETTLING, PEAK_RATE = 1000, 48, 360, 60, 5e-3

Fault = Callable[[np.random.Generator, Floats], Floats]


class Forecast(nn.Module):
    """Normalised samples (T, B, 1) to what comes next, (T, B, 1)."""

    def __init__(self) -> None:
        """Lay out the layers."""
        super().__init__()
        self.gru = nn.GRU(1, HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The next sample, as the change from this one."""
        return x + self.head(self.gru(x)[0])


def recording() -> Floats:
    """300 s of one lead in mV, (108000,): what scipy.misc.electrocardiogram gave, from Debian 12's python3-scipy."""
    folder = package_folder("python3-scipy", CACHE)
    with np.load(folder / "usr/lib/python3/dist-packages/scipy/misc/ecg.dat") as file:
        return ((file["ecg"].astype(np.float32) - 1024) / 200).astype(np.float32)  # 200 units a mV, zero at 1024


def normal(x: Floats) -> Floats:
    """Samples in mV as the model takes them."""
    return ((x - MEAN) / STD).astype(np.float32)


def fit(network: Forecast, x: Floats) -> None:
    """Train on random pieces of x, (T,), at random strength."""
    rng = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=PEAK_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=STEPS)
    losses = []
    for step in range(STEPS):
        starts = rng.integers(0, len(x) - CHUNK - 1, BATCH)
        pieces = np.stack([x[start : start + CHUNK + 1] for start in starts], axis=1)[..., None]
        pieces = torch.from_numpy(pieces * rng.uniform(0.8, 1.25, (1, BATCH, 1)).astype(np.float32))
        error = network(pieces[:-1]) - pieces[1:]
        loss = error[SETTLING:].abs().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 99:
            print(f"step {step + 1}  mean error {1000 * STD * np.mean(losses[-100:]):.2f} uV", flush=True)


def made_up(seconds: int) -> Floats:
    """Something like a heart in mV, (T,), of bell curves: 72 beats a minute of P, Q, R, S and T waves."""
    phase = np.arange(seconds * RATE) / RATE * 1.2 % 1
    waves = [(0.15, 0.25, 0.025), (-0.15, 0.36, 0.01), (1.4, 0.4, 0.012), (-0.3, 0.44, 0.012), (0.3, 0.65, 0.04)]
    x = sum(height * np.exp(-(((phase - middle) / width) ** 2) / 2) for height, middle, width in waves)
    return (x + MEAN - 0.1).astype(np.float32)


def train() -> None:
    """Train and write the model."""
    network = Forecast()
    fit(network, normal(recording()[:TRAINED_ON]))
    export(network, {"x": torch.from_numpy(normal(made_up(3)))[:, None, None]}, MODEL)


def pop(rng: np.random.Generator, x: Floats) -> Floats:
    """The electrode moves: a jump of 1 mV that dies away."""
    return x + rng.choice([-1, 1]) * np.exp(-np.arange(len(x)) / (0.2 * RATE))


def noise(rng: np.random.Generator, x: Floats) -> Floats:
    """Muscles: white noise of 0.1 mV."""
    return x + 0.1 * rng.standard_normal(len(x))


def hum(rng: np.random.Generator, x: Floats) -> Floats:
    """Mains: 50 Hz, 0.1 mV high."""
    return x + 0.1 * np.sin(2 * np.pi * (50 / RATE * np.arange(len(x)) + rng.random()))


def louder(rng: np.random.Generator, x: Floats) -> Floats:
    """The amplifier gains three times as much."""
    return 3 * x


def lost(rng: np.random.Generator, x: Floats) -> Floats:
    """Every tenth packet of 20 samples is lost, and the sample before held."""
    place = np.arange(len(x))
    return x[np.where(place // 20 % 10 == 5, place // 20 * 20 - 1, place)]


def off(rng: np.random.Generator, x: Floats) -> Floats:
    """The lead falls off: a constant -2 mV."""
    return np.full_like(x, -2)


FAULTS = {
    "electrode pops, 1 mV": pop, "muscle noise, 0.1 mV": noise, "50 Hz hum, 0.1 mV": hum, "gain times 3": louder,
    "lost packets": lost, "lead off": off,
}  # fmt: skip
LASTING, APART, AFTER = 1.0, 8.0, 0.5  # seconds of a fault, from one to the next, and in which it may still be told


def scores(model: edgernn.Model, x: Floats) -> Floats:
    """The score after each tenth of a second of x, (T,) in mV."""
    pipeline, found = model.pipeline(), []
    for block in x[: len(x) // BLOCK * BLOCK].reshape(-1, BLOCK):
        pipeline.feed(block)
        found.append(pipeline.scores["anomaly"])
    return np.array(found, np.float32)


def highest(found: Floats, places: NDArray[np.intp]) -> Floats:
    """The highest score from each place (a sample) until a fault there would be over."""
    blocks = int((LASTING + AFTER) * RATE / BLOCK)
    return np.array([found[place // BLOCK : place // BLOCK + blocks].max() for place in places])


def with_faults(model: edgernn.Model, x: Floats, fault: Fault) -> tuple[Floats, Floats]:
    """(the highest score at each fault, that at the same places without it): one fault every APART seconds, 4 runs."""
    rng = np.random.default_rng(0)
    clean, found, without = scores(model, x), [], []
    for _ in range(4):
        places = np.arange(10 * RATE, len(x) - 2 * RATE, int(APART * RATE)) + rng.integers(0, 2 * RATE)
        broken = x.copy()
        for place in places:
            piece = slice(place, place + int(LASTING * RATE))
            broken[piece] = fault(rng, x[piece])
        found.append(highest(scores(model, broken), places))
        without.append(highest(clean, places))
    return np.concatenate(found), np.concatenate(without)


def area(found: Floats, without: Floats) -> float:
    """The area under the ROC curve: how often a fault scores above the same place without it, or without any."""
    above, equal = found[:, None] > without, found[:, None] == without
    return float(above.mean() + equal.mean() / 2)


def evaluate() -> None:
    """Print the error of the forecast and how well faults are found in the end of the recording; draw roc.png."""
    describe(MODEL)
    x = recording()[TRAINED_ON:]
    curves = {}
    for name, model in stored(MODEL, FOLDER / "pipeline.toml").items():
        forecast = model.stream().run(normal(x)[:, None])[:-1, 0]
        error, still = (1000 * STD * np.abs(normal(x)[1:] - y)[RATE:].mean() for y in (forecast, normal(x)[:-1]))
        print(f"{name}: mean error {error:.2f} uV; {still:.2f} uV with the last sample as the forecast")
        seen, unseen = (len(model.pipeline().feed(part)) for part in (recording()[:TRAINED_ON], x))
        print(f"{name}: without faults {seen} decisions in the 180 s trained on, {unseen} in the 120 s tested on")
        for fault, make in FAULTS.items():
            found, without = with_faults(model, x, make)
            told = 100 * (found >= model.deciding.threshold[0]).mean()
            print(f"{name}: {fault}: area {area(found, without):.3f}, {told:.0f} % of {len(found)} told", flush=True)
            curves[name, fault] = found, without
    draw({fault: curves["float", fault] for fault in FAULTS})


def draw(curves: dict[str, tuple[Floats, Floats]]) -> None:
    """The ROC curves as roc.png."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    for fault, (found, without) in curves.items():
        thresholds = np.sort(np.concatenate([found, without, [np.inf]]))[::-1]
        rates = [[(side >= threshold).mean() for threshold in thresholds] for side in (without, found)]
        axes.plot(*rates, label=f"{fault}: {area(found, without):.3f}")
    axes.set(xlabel="places without a fault that score as high", ylabel="faults found", title="Faults in an ECG")
    axes.legend(loc="lower right", title="area under the curve")
    figure.savefig(FOLDER / "roc.png", dpi=80)


if __name__ == "__main__":
    main(__doc__, train, evaluate)
