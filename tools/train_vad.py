"""Train and measure the voice-activity model that `edgernn demo` runs.

    python tools/make_demo_sound.py         first: the sound whose frames and answers go into io.npz
    python tools/train_vad.py               train, then write models/vad-raw/model.onnx and io.npz
    python tools/train_vad.py --evaluate    measure the stored model.onnx with ONNX Runtime on voices it never heard

Needs torch==2.13.0, onnx and onnxruntime, Debian's apt-get and dpkg, and espeak-ng. Both runs use one thread.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import vad_sound as vs
from numpy.typing import NDArray
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "vad-raw" / "model.onnx"
CACHE = Path.home() / ".cache" / "edgernn-tools"
SPEECH = ROOT / "edgernn" / "demo" / "speech.wav"

SNRS = [30, 20, 10, 5, 0]  # dB, of active speech to noise
BINS = np.array([*range(2, 48), *range(48, 112, 2)])  # of 62.5 Hz; bin 0 and what leaks from it are left out
BANDS, HIDDEN = 32, 48
CLIPS, MIXTURES, SECONDS = 1500, 1800, 16
EPOCHS, BATCH, CHUNK, PEAK_RATE = 28, 45, 250, 5e-3

Floats = NDArray[np.float32]


def dft_weights() -> Tensor:
    """Hann window times cosine, then times sine, of each bin."""
    n = np.arange(vs.FRAME)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / vs.FRAME)
    angle = 2 * np.pi * np.outer(n, BINS) / vs.FRAME
    weights = window[:, None] * np.hstack([np.cos(angle), np.sin(angle)])
    return torch.tensor(weights, dtype=torch.float32)  # (FRAME, 2 K)


def band_weights() -> Tensor:
    """Triangles, evenly spaced in mel, that average squared cosine and sine parts into bands."""
    hertz = BINS * vs.RATE / vs.FRAME
    edges = 700 * (10 ** (np.linspace(*np.log10(1 + np.array([90, 7000]) / 700), BANDS + 2)) - 1)
    rise = np.minimum(edges[1:-1] - edges[:-2], edges[2:] - edges[1:-1]).clip(70)  # Hz: never between two bins
    triangles = (1 - np.abs(hertz[:, None] - edges[1:-1]) / rise).clip(0)
    triangles /= triangles.sum(axis=0)
    return torch.tensor(np.vstack([triangles, triangles]), dtype=torch.float32)  # (2 K, BANDS)


class Vad(nn.Module):
    """Raw frames (T, 1, FRAME) to the probability of speech (T, 1, 1)."""

    def __init__(self) -> None:
        """Lay out the fixed front end and the layers that learn."""
        super().__init__()
        self.dft = nn.Buffer(dft_weights())
        self.bank = nn.Buffer(band_weights())
        self.mean = nn.Buffer(torch.zeros(BANDS))
        self.scale = nn.Buffer(torch.ones(BANDS))
        self.dense = nn.Linear(BANDS, BANDS)
        self.gru = nn.GRU(BANDS, HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)

    def log_bands(self, x: Tensor) -> Tensor:
        """Log power of each band: (..., FRAME) -> (..., BANDS)."""
        parts = x @ self.dft
        return torch.log(torch.clamp((parts * parts) @ self.bank, min=1e-6))

    def classify(self, bands: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Log odds of speech and the last state: (T, B, BANDS), (1, B, HIDDEN) -> (T, B, 1), (1, B, HIDDEN)."""
        z = torch.relu(self.dense((bands - self.mean) * self.scale))
        h, state = self.gru(z, state)
        return self.head(h), state

    def forward(self, x: Tensor) -> Tensor:
        """Probability of speech for each frame."""
        odds, _ = self.classify(self.log_bands(x), torch.zeros(1, 1, HIDDEN))
        return torch.sigmoid(odds)


def frames(x: vs.Sound) -> Floats:
    """Cut sound into whole frames: (T, FRAME)."""
    return x[: len(x) // vs.FRAME * vs.FRAME].reshape(-1, vs.FRAME).astype(np.float32)


def training_mixture(rng: np.random.Generator, speech: list[vs.Sound], noises: list[vs.Noise]) -> tuple[Floats, Floats]:
    """One random scene: frames (T, FRAME) and labels (T,)."""
    n = SECONDS * vs.RATE
    count = rng.choice([0, 1, 3, 5, 7], p=[0.15, 0.15, 0.25, 0.25, 0.2])
    clips = [vs.vary_voice(rng, speech[i]) for i in rng.integers(0, len(speech), count)]
    clean = np.concatenate([vs.lay_out(rng, clips, (0.1, 2)), np.zeros(n)])[:n]
    snr = rng.uniform(-5, 35) if rng.random() < 0.93 else rng.uniform(35, 90)
    noise = noises[rng.integers(len(noises))](rng, n)
    if rng.random() < 0.5:
        second = noises[rng.integers(len(noises))](rng, n)
        noise = noise / noise.std() + second / second.std() * 10 ** rng.uniform(-1.5, 0)
    noise = vs.vary_channel(rng, noise)
    return frames(vs.mix(clean, noise, snr, rng.uniform(-45, -10))), vs.speech_labels(clean)


def training_set(model: Vad) -> tuple[Tensor, Tensor]:
    """Log bands (T, MIXTURES, BANDS) and labels (T, MIXTURES) of synthetic speech in synthetic noise."""
    rng = np.random.default_rng(0)
    speech = [vs.synthetic_speech(rng) for _ in range(CLIPS)]
    print(f"{sum(map(len, speech)) / vs.RATE / 60:.0f} minutes of synthetic speech", flush=True)
    noises = [vs.colour, vs.gusts, vs.hum, vs.clicks, vs.music, vs.music, vs.tones, *2 * [vs.babble(speech)]]
    bands, labels = [], []
    for _ in range(MIXTURES):
        x, y = training_mixture(rng, speech, noises)
        with torch.no_grad():
            bands.append(model.log_bands(torch.from_numpy(x)))
        labels.append(torch.from_numpy(y))
    return torch.stack(bands, dim=1), torch.stack(labels, dim=1)


def fit(model: Vad, bands: Tensor, labels: Tensor) -> None:
    """Train all but the fixed front end.

    Gain and tone of each scene vary anew in every epoch. The state passes from chunk to chunk of a scene, and half of
    the scenes start in the state that another one ended in, so that the model stays right in long streams.
    """
    model.mean.copy_(bands.mean(dim=(0, 1)))
    model.scale.copy_(1 / bands.std(dim=(0, 1)))
    batches = bands.shape[1] // BATCH
    steps = EPOCHS * batches * (len(bands) // CHUNK)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
    state = torch.zeros(1, BATCH, HIDDEN)
    for epoch in range(EPOCHS):
        losses = []
        for scenes in torch.randperm(bands.shape[1])[: batches * BATCH].split(BATCH):
            tilt = torch.linspace(-1, 1, BANDS) * torch.randn(BATCH, 1) + 1.5 * torch.randn(BATCH, 1)
            state = state * (torch.rand(1, BATCH, 1) < 0.5)
            x = (bands[:, scenes] + tilt).clamp(min=np.log(1e-6))
            for x_chunk, y_chunk in zip(x.split(CHUNK), labels[:, scenes].split(CHUNK), strict=True):
                odds, state = model.classify(x_chunk, state.detach())
                loss = nn.functional.binary_cross_entropy_with_logits(odds[..., 0], y_chunk)
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                losses.append(loss.item())
            state = state.detach()
        print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}", flush=True)


def update_gate_first(rows: Tensor) -> Floats:
    """PyTorch's gate order (reset, update, new) to that of ONNX (update, reset, new)."""
    reset, update, new = rows.detach().chunk(3)
    return torch.cat([update, reset, new]).numpy()


def weights(model: Vad) -> dict[str, Floats]:
    """The initializers of the ONNX file."""
    gru, dense, head = model.gru, model.dense, model.head
    return {
        "dft": model.dft.numpy(),  # (FRAME, 2 K)
        "bank": model.bank.numpy(),  # (2 K, BANDS)
        "floor": np.float32(1e-6),
        "mean": model.mean.numpy(),
        "scale": model.scale.numpy(),
        "dense_weight": dense.weight.detach().T.numpy(),
        "dense_bias": dense.bias.detach().numpy(),
        "gru_W": update_gate_first(gru.weight_ih_l0)[None],  # (1, 3 HIDDEN, BANDS)
        "gru_R": update_gate_first(gru.weight_hh_l0)[None],  # (1, 3 HIDDEN, HIDDEN)
        "gru_B": np.concatenate([update_gate_first(gru.bias_ih_l0), update_gate_first(gru.bias_hh_l0)])[None],
        "axis": np.array([1]),
        "head_weight": head.weight.detach().T.numpy(),
        "head_bias": head.bias.detach().numpy(),
    }


def export(model: Vad, path: Path) -> None:
    """Write the ONNX file, with a free number of frames and a batch of 1.

    Node by node, for PyTorch's exporter would add shape arithmetic for the zero state.
    """
    node = onnx.helper.make_node
    nodes = [
        node("MatMul", ["x", "dft"], ["parts"], "dft"),
        node("Mul", ["parts", "parts"], ["power"], "power"),
        node("MatMul", ["power", "bank"], ["bands"], "bank"),
        node("Max", ["bands", "floor"], ["floored"], "floor"),
        node("Log", ["floored"], ["logs"], "log"),
        node("Sub", ["logs", "mean"], ["centred"], "centre"),
        node("Mul", ["centred", "scale"], ["normal"], "normalise"),
        node("MatMul", ["normal", "dense_weight"], ["product"], "dense"),
        node("Add", ["product", "dense_bias"], ["sum"], "dense_bias"),
        node("Relu", ["sum"], ["z"], "relu"),
        node("GRU", ["z", "gru_W", "gru_R", "gru_B"], ["Y"], "gru", hidden_size=HIDDEN, linear_before_reset=1),
        node("Squeeze", ["Y", "axis"], ["h"], "squeeze"),
        node("MatMul", ["h", "head_weight"], ["score"], "head"),
        node("Add", ["score", "head_bias"], ["odds"], "head_bias"),
        node("Sigmoid", ["odds"], ["y"], "probability"),
    ]
    ports = [onnx.helper.make_tensor_value_info(name, 1, ["T", 1, size]) for name, size in (("x", vs.FRAME), ("y", 1))]
    tensors = [onnx.numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in weights(model).items()]
    graph = onnx.helper.make_graph(nodes, "vad-raw", ports[:1], ports[1:], tensors)
    file = onnx.helper.make_model(
        graph, producer_name="train_vad.py", ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)]
    )
    onnx.checker.check_model(file, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(file, path)


def run_model(x: Floats) -> Floats:
    """Answers of the stored model in ONNX Runtime: (T, FRAME) -> (T, 1)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x[:, None]})[0][:, 0]


def scenery(rng: np.random.Generator, make: vs.Noise, n: int) -> vs.Sound:
    """Noise of one kind, different every 20 s."""
    parts = [make(rng, 20 * vs.RATE) for _ in range(n // (20 * vs.RATE) + 1)]
    return np.concatenate([part / part.std() for part in parts])[:n]


def measure(rng: np.random.Generator, name: str, clips: list[vs.Sound], noises: dict[str, vs.Noise]) -> None:
    """Print how well speech is found in one long stream made of `clips`, in each kind of noise."""
    clean = vs.lay_out(rng, clips, (0.3, 3))
    y = vs.speech_labels(clean)
    print(f"\n{name}: {len(y) * vs.FRAME / vs.RATE / 60:.1f} minutes, speech in {y.mean():.0%} of frames")
    print("accuracy % / ROC AUC   " + "".join(f"{snr:>12d} dB" for snr in SNRS) + "   false alarms % in noise alone")
    rows = []
    for kind, make in noises.items():
        noise = scenery(rng, make, len(clean))
        answers = [run_model(frames(vs.mix(clean, noise, snr, -25)))[:, 0] for snr in SNRS]
        row = [figure for p in answers for figure in (100 * ((p > 0.5) == y).mean(), vs.ranking(p, y))]
        alarms = 100 * (run_model(frames(vs.mix(0 * clean, noise, 0, -25))) > 0.5).mean()
        rows.append([*row, alarms])
        print(f"{kind:23s}" + (len(SNRS) * "   {:5.1f} / {:.3f}").format(*row) + f"   {alarms:5.1f}", flush=True)
    mean = np.mean(rows, axis=0)
    print(f"{'mean':23s}" + (len(SNRS) * "   {:5.1f} / {:.3f}").format(*mean[:-1]) + f"   {mean[-1]:5.1f}")


def evaluate() -> None:
    """Print frame accuracy and ROC AUC on real voices, by noise and SNR."""
    rng = np.random.default_rng(7)
    noises = {
        "white to brown noise": vs.colour, "gusts": vs.gusts, "hum": vs.hum, "clicks": vs.clicks, "tones": vs.tones,
        "music (synthetic)": vs.music, "music (recorded)": vs.recorded(vs.music_sounds(CACHE)),
        "babble": vs.babble([vs.synthetic_speech(rng) for _ in range(60)]),
    }  # fmt: skip
    measure(rng, "pocketsphinx", vs.pocketsphinx_sounds(CACHE) * 4, noises)
    measure(rng, "asterisk", vs.asterisk_sounds(CACHE, 120), noises)


def main() -> None:
    """Train, or measure what was trained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluate", action="store_true", help="measure the stored model")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    start = time.monotonic()
    if parser.parse_args().evaluate:
        evaluate()
        return
    model = Vad()
    bands, labels = training_set(model)
    print(f"scenes ready after {time.monotonic() - start:.0f} s; speech in {labels.mean():.0%} of frames", flush=True)
    fit(model, bands, labels)
    export(model, MODEL)
    x = frames(vs.read_sound(SPEECH))
    y = run_model(x)
    with torch.no_grad():
        difference = np.abs(model(torch.from_numpy(x)[:, None])[:, 0].numpy() - y).max()
    np.savez_compressed(MODEL.with_name("io.npz"), x=x, y=y)
    print(f"{MODEL.stat().st_size} bytes, {difference:.1e} from PyTorch, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
