"""The small networks on log-mels that `train_kws.py` and `train_vad_gru.py` train: layers, export, and how they learn.

In: features (T, B, BANDS) with labels. Out: modules and ONNX files. Imports torch.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from kws_recurrence import LearningGru
from torch import Tensor, nn

from edgernn.layers.frontend import FrontEnd

BANDS = 40
MIXED = 40  # what a Crnn's convolutions make of a frame
State = Tensor
Loss = Callable[[Tensor, tuple[Tensor, Tensor]], Tensor]


class Gru(nn.Module):
    """One GRU and a linear layer: an answer for every frame."""

    hop = 1

    def __init__(self, hidden: int, outputs: int) -> None:
        """Lay out the layers."""
        super().__init__()
        self.gru = LearningGru(BANDS, hidden, 100)
        self.head = nn.Linear(hidden, outputs)

    def score(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Frames (T, B, BANDS) to scores (T, B, outputs), from and to a state (1, B, hidden)."""
        h, state = self.gru(x, state)
        return self.head(h), state

    def forward(self, x: Tensor) -> Tensor:
        """Frames (T, 1, BANDS) to scores (T, 1, outputs)."""
        return self.score(x, x.new_zeros(1, x.shape[1], self.gru.hidden_size))[0]


class Causal(nn.Sequential):
    """A convolution over bands and time, normalised over what is learnt from, ReLU; `apart`: each channel by itself."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1), apart: bool = True
    ) -> None:
        """Lay out the layers; kernel and stride in bands and frames."""
        if apart:
            parts = [nn.Conv2d(inputs, inputs, kernel, stride, groups=inputs, bias=False)]
            parts.append(nn.Conv2d(inputs, outputs, 1, bias=False))
        else:
            parts = [nn.Conv2d(inputs, outputs, kernel, stride, bias=False)]
        super().__init__(*parts, nn.BatchNorm2d(outputs, momentum=0.02), nn.ReLU())
        self.past = kernel[1] - stride[1]

    def forward(self, z: Tensor) -> Tensor:
        """(B, inputs, bands, T) to (B, outputs, fewer bands, T / stride); the past before z counts as 0."""
        return super().forward(nn.functional.pad(z, (self.past, 0)))


class Crnn(nn.Module):
    """Causal convolutions over bands and time that answer every `hop` frames, a GRU, a linear layer."""

    hop = 3
    SHAPES = (((5, 6), (2, hop)), ((3, 3), (1, 1)), ((4, 3), (2, 1)), ((3, 3), (1, 1)))  # kernels and strides

    def __init__(self, channels: Sequence[int], hidden: int, outputs: int) -> None:
        """Lay out the layers; channels: of the convolutions, before the one over all bands that are left."""
        super().__init__()
        layers, bands, inputs = [], BANDS, 1
        for count, (kernel, stride) in zip(channels, self.SHAPES, strict=False):
            layers.append(Causal(inputs, count, kernel, stride, apart=inputs > 1))
            bands, inputs = (bands - kernel[0]) // stride[0] + 1, count
        self.conv = nn.Sequential(*layers, Causal(inputs, MIXED, (bands, 1), apart=False))
        self.gru = LearningGru(MIXED, hidden)
        self.head = nn.Linear(hidden, outputs)

    def score(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Frames (T, B, BANDS) to scores (T / hop, B, outputs), from and to a state; the past before x counts as 0."""
        z = self.conv(x.permute(1, 2, 0)[:, None])[:, :, 0]  # (B, MIXED, T / hop)
        h, state = self.gru(z.permute(2, 0, 1), state)
        return self.head(h), state

    def forward(self, x: Tensor) -> Tensor:
        """Frames (T, 1, BANDS) to scores (T / hop, 1, outputs)."""
        return self.score(x, x.new_zeros(1, x.shape[1], self.gru.hidden_size))[0]


@dataclass(frozen=True)
class Course:
    """How long and how hard to train."""

    epochs: tuple[int, ...]  # of each cycle, in which the learning rate rises to its peak and falls to nothing
    batch: int = 48
    peak_rate: float = 5e-3
    chunk: int = 250  # frames between two steps; the state passes on
    strength: float = 1.0  # of what `varied` does to voices


def voices(count: int, strength: float) -> Tensor:
    """What frames (B, 1, BANDS) of log-mels are multiplied by to be of other voices (B, BANDS, BANDS).

    Each band is read from another place, as a mean over up to two bands on either side (formants as wide as those of
    another voice), and what rises above 0 rises more or less.
    """
    bands = torch.arange(BANDS)
    place = bands * (1 + 0.07 * strength * torch.randn(count, 1).clamp(-2, 2)) + 0.6 * strength * torch.randn(count, 1)
    place = place.clamp(0, BANDS - 1)[:, None]  # (B, 1, BANDS): where in x each band is read
    width = 1 + 1.2 * strength * torch.rand(count, 1, 1)
    mixing = (1 - (place - bands[:, None]).abs() / width).clamp(min=0)  # (B, BANDS, BANDS)
    return mixing / mixing.sum(dim=1, keepdim=True) * (1 + strength * (0.5 * torch.rand(count, 1, 1) - 0.2))


def varied(x: Tensor, floor: float, unit: float, strength: float) -> Tensor:
    """Scenes (T, B, BANDS), each with another voice, gain and tone, some bands missing, a third band-limited.

    A `unit` of x is about 20 dB.
    """
    count, bands = x.shape[1], torch.arange(BANDS)
    mixing = voices(count, strength)
    tone = nn.functional.interpolate(0.8 * unit * torch.randn(count, 1, 6), BANDS, mode="linear", align_corners=True)
    offset = tone + unit * torch.randn(count, 1, 1)  # (B, 1, BANDS)
    first, number = torch.randint(0, BANDS, (count, 1, 1)), torch.randint(0, 7, (count, 1, 1))
    there = ~((bands >= first) & (bands < first + number))
    top = torch.randint(26, 36, (count, 1, 1)) + BANDS * (torch.rand(count, 1, 1) < 0.65)
    offset = offset * there - 2 * unit * (bands >= top)
    return torch.baddbmm(offset, x.transpose(0, 1), mixing * there).transpose(0, 1).clamp(min=floor)


def follow(x: Tensor, frames: float, mean: Tensor, count: Tensor) -> Tensor:
    """Frames (T, B, BANDS) minus a running mean (B, BANDS) of `count` (B, 1) frames so far, as edgernn's front end."""
    made = []
    for t, frame in enumerate(x, 1):
        mean = torch.lerp(mean, frame, (1 / (count + t)).clamp(min=-math.expm1(-1 / frames)))
        made.append(frame - mean)
    return torch.stack(made)


def fit(model: nn.Module, x: Tensor, loss: Loss, course: Course, front: FrontEnd) -> None:
    """Train on scenes `x` (T, scenes, BANDS); loss(scores, (scenes, frames)) says how wrong the scores are.

    In every epoch a scene is heard anew: at another pace, and as `varied` says; a running mean of `front` comes off.

    Half of the scenes start in the state that another one ended in, so that the model stays right in long streams.
    """
    state, chunks = torch.zeros(1, course.batch, model.gru.hidden_size), int(0.8 * len(x)) // course.chunk
    floor = (math.log(front.log_floor) - front.mean[0]) / front.std[0]
    for epochs in course.epochs:
        steps = epochs * chunks * (x.shape[1] // course.batch)
        optimiser = torch.optim.AdamW(model.parameters(), lr=course.peak_rate, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, course.peak_rate, total_steps=steps, pct_start=0.15)
        for epoch in range(epochs):
            losses = []
            for scenes in torch.randperm(x.shape[1]).split(course.batch)[: x.shape[1] // course.batch]:
                state = state * (torch.rand(1, course.batch, 1) < 0.5)
                pace = 0.8 + 0.45 * torch.rand(1)  # slower or faster
                start = torch.rand(1) * (len(x) - pace * chunks * course.chunk)
                read = (start + pace * torch.arange(chunks * course.chunk)).long()
                z = varied(x[:, scenes][read].float(), floor, 5 / front.std[0], course.strength)
                if front.running:
                    z = follow(z, front.running / front.seconds, torch.zeros_like(z[0]), torch.zeros(course.batch, 1))
                for part, frames in zip(z.split(course.chunk), read.split(course.chunk), strict=True):
                    scores, state = model.score(part, state.detach())
                    error = loss(scores, (scenes, frames))
                    optimiser.zero_grad()
                    error.backward()
                    nn.utils.clip_grad_norm_(model.parameters(), 1)
                    optimiser.step()
                    schedule.step()
                    losses.append(error.item())
            print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}", flush=True)


class Probability(nn.Module):
    """The softmax of scores, or the sigmoid of a single one."""

    def forward(self, scores: Tensor) -> Tensor:
        """Scores (T, 1, n) to probabilities (T, 1, n)."""
        return torch.sigmoid(scores) if scores.shape[-1] == 1 else torch.softmax(scores, dim=-1)


def export(model: nn.Module, path: Path) -> None:
    """Write the ONNX file, with a free number of frames; `model` then answers with probabilities."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            nn.Sequential(model, Probability()).eval(), (torch.zeros(12, 1, BANDS),), str(path),
            dynamo=False, opset_version=17,
            input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "time"}, "y": {0: "time"}},
        )  # fmt: skip
