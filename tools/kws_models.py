"""The small networks on log-mels that `train_kws.py` and `train_vad_gru.py` train: layers, other voices, export.

In: features (T, B, BANDS). Out: modules and ONNX files. Imports torch.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from kws_recurrence import LearningGru
from torch import Tensor, nn

BANDS = 40


class Gru(nn.Module):
    """A GRU, a smaller one that hears it, and a linear layer on both: an answer for every frame."""

    hop = 1

    def __init__(self, hidden: int, above: int, outputs: int) -> None:
        """Lay out the layers; hidden and above: units of the first and of the second."""
        super().__init__()
        self.state_size = hidden + above
        self.gru, self.above = LearningGru(BANDS, hidden, 100), LearningGru(hidden, above, 100)
        self.head = nn.Linear(hidden + above, outputs)

    def score(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (T, B, BANDS) to scores (T, B, outputs), from and to a state (1, B, hidden + above)."""
        first, second = state.split([self.gru.hidden_size, self.above.hidden_size], dim=-1)
        h, first = self.gru(x, first.contiguous())
        over, second = self.above(h, second.contiguous())
        return self.head(torch.cat([h, over], dim=-1)), torch.cat([first, second], dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (T, 1, BANDS) to scores (T, 1, outputs)."""
        return self.score(x, x.new_zeros(1, x.shape[1], self.state_size))[0]


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

    def __init__(self, channels: Sequence[int], mixed: int, hidden: int, outputs: int) -> None:
        """Lay out the layers; channels: of the convolutions, and `mixed` of the one over all bands that are left."""
        super().__init__()
        layers, bands, inputs = [], BANDS, 1
        for count, (kernel, stride) in zip(channels, self.SHAPES, strict=False):
            layers.append(Causal(inputs, count, kernel, stride, apart=inputs > 1))
            bands, inputs = (bands - kernel[0]) // stride[0] + 1, count
        self.conv = nn.Sequential(*layers, Causal(inputs, mixed, (bands, 1), apart=False))
        self.gru, self.state_size = LearningGru(mixed, hidden), hidden
        self.head = nn.Linear(hidden, outputs)

    def score(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (T, B, BANDS) to scores (T / hop, B, outputs), from and to a state; the past before x counts as 0."""
        z = self.conv(x.permute(1, 2, 0)[:, None])[:, :, 0]  # (B, mixed, T / hop)
        h, state = self.gru(z.permute(2, 0, 1), state)
        return self.head(h), state

    def forward(self, x: Tensor) -> Tensor:
        """Frames (T, 1, BANDS) to scores (T / hop, 1, outputs)."""
        return self.score(x, x.new_zeros(1, x.shape[1], self.state_size))[0]


class Vad(nn.Module):
    """A causal convolution over all bands and some frames, a GRU, a linear layer: an answer for every frame."""

    hop = 1

    def __init__(self, width: int, kernel: int, hidden: int) -> None:
        """Lay out the layers; width and kernel: channels and frames of the convolution."""
        super().__init__()
        self.conv = Causal(1, width, (BANDS, kernel), apart=False)
        self.gru, self.state_size = LearningGru(width, hidden, 100), hidden
        self.head = nn.Linear(hidden, 1)

    def score(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (T, B, BANDS) to log odds (T, B, 1), from and to a state (1, B, hidden); the past before x is 0."""
        z = self.conv(x.permute(1, 2, 0)[:, None])[:, :, 0]  # (B, width, T)
        h, state = self.gru(z.permute(2, 0, 1), state)
        return self.head(h), state

    def forward(self, x: Tensor) -> Tensor:
        """Frames (T, 1, BANDS) to log odds (T, 1, 1)."""
        return self.score(x, x.new_zeros(1, x.shape[1], self.state_size))[0]


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
