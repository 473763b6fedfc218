"""Torch models of the export zoo with convolutions, pooling or windows, most of them over time.

In: nothing. Out: the modules that `exports_torch` builds. May import: torch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class DualPath(nn.Module):
    """A mask for each of 17 bands: a convolution over frequency, a GRU over frequency to and fro, one over time."""

    def __init__(self, channels: int = 6, hidden: int = 8) -> None:
        super().__init__()
        self.inner = nn.Conv2d(1, channels, (1, 5), stride=(1, 2), padding=(0, 2))
        self.intra = nn.GRU(channels, hidden // 2, batch_first=True, bidirectional=True)
        self.between = nn.Linear(hidden, channels)
        self.inter = nn.GRU(channels, hidden, batch_first=True)
        self.after = nn.Linear(hidden, channels)
        self.out = nn.Linear(9 * channels, 17)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, bands) to masked frames of the same shape."""
        y = torch.relu(self.inner(x[:, None]))  # (1, C, T, F)
        y = y.permute(0, 2, 3, 1)  # (1, T, F, C)
        _, steps, bands, channels = y.shape
        within, _ = self.intra(y.reshape(steps, bands, channels))  # each frame is a sequence over its bands
        y = y + self.between(within).reshape(1, steps, bands, channels)
        across = y.permute(0, 2, 1, 3).reshape(bands, steps, channels)  # each band is a sequence over time
        across = self.after(self.inter(across)[0]).reshape(1, bands, steps, channels)
        y = y + across.permute(0, 2, 1, 3)
        return torch.sigmoid(self.out(y.flatten(2))) * x


class Crnn(nn.Module):
    """Convolution over time and frequency, pooling of both, convolution, GRU on the channels of all bands."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=(1, 2), padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.back = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.gru = nn.GRU(12, 8, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (B, T, 8) to (B, T / 2, 3)."""
        y = self.back(self.front(x[:, None]))
        batch, channels, steps, bands = y.shape
        y = y.permute(0, 2, 1, 3).reshape(batch, steps, channels * bands)
        return self.out(self.gru(y)[0])


class Convolved(nn.Module):
    """Convolutions over time, then a recurrent layer and a dense layer on every step they leave."""

    def __init__(self, kind: Callable[..., nn.RNNBase], *convolutions: tuple[int, int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(8, 8, k, stride=stride, padding=k // 2) for k, stride in convolutions)
        self.rnn = kind(8, 8, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, 8) to (1, T / strides, 3)."""
        y = x.transpose(1, 2)
        for conv in self.convs:
            y = torch.relu(conv(y))
        return self.out(self.rnn(y.transpose(1, 2))[0])


class Tcn(nn.Module):
    """Dilated causal convolutions with weight normalisation and a residual around each; the padding is cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(nn.Conv1d(8, 8, 3, padding=2 * d, dilation=d)) for d in (1, 2, 4)
        )
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, 8) to (1, T, 3)."""
        y = x.transpose(1, 2)
        for conv, dilation in zip(self.convs, (1, 2, 4), strict=True):
            y = torch.relu(y + conv(y)[:, :, : -2 * dilation])
        return self.out(y.transpose(1, 2))


class WaveNet(nn.Module):
    """Gated dilated convolutions without padding; each skip is cut to what the last one leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=d) for d in (1, 2, 4))
        self.skips = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(3))
        self.out = nn.Conv1d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, 8) to (1, T - 7, 3)."""
        y, kept = x.transpose(1, 2), []
        for gate, skip in zip(self.gates, self.skips, strict=True):
            a, b = gate(y).chunk(2, 1)
            h = torch.tanh(a) * torch.sigmoid(b)
            kept.append(skip(h))
            y = y[:, :, -h.shape[2] :] + h
        total = sum(each[:, :, -y.shape[2] :] for each in kept)
        return self.out(torch.relu(total)).transpose(1, 2)


class Separable(nn.Module):
    """Depthwise-separable convolutions over time and frequency, as in MobileNet; the mean of the bands into a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4), nn.Hardswish(),
            nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(4), nn.ReLU6(),
            nn.Conv2d(4, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(),
            nn.Conv2d(6, 6, 3, stride=(2, 1), padding=1, groups=6, bias=False), nn.BatchNorm2d(6), nn.ReLU6(),
            nn.Conv2d(6, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
        )  # fmt: skip
        self.gru = nn.GRU(8, 8, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (B, T, 8) to (B, T / 4, 3)."""
        y = self.front(x[:, None]).mean(3).permute(0, 2, 1)
        return self.out(self.gru(y)[0])


class Unfolded(nn.Module):
    """Three frames as one, each one further on, into a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(24, 8, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, 8) to (1, T - 2, 3)."""
        return self.out(self.gru(x.unfold(1, 3, 1).flatten(2))[0])


class Deltas(nn.Module):
    """Pre-emphasis, half of the channels a step late, and differences between steps, all by assignment, into a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(16, 8, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, 8) to (1, T, 3)."""
        x = torch.cat([x[:, :1], x[:, 1:] - 0.97 * x[:, :-1]], 1)
        late = x.clone()
        late[:, 1:, :4] = x[:, :-1, :4]
        delta = torch.zeros_like(x)
        delta[:, 1:] = x[:, 1:] - x[:, :-1]
        return self.out(self.gru(torch.cat([late, delta], 2))[0])


class Replicated(nn.Module):
    """Causal convolutions that begin with copies of the first step, a mask, a GRU, and twice as many steps of it."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(8, 8, 3, dilation=d) for d in (1, 2))
        self.gru = nn.GRU(8, 8, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, 8) to (1, 2 T, 3)."""
        y = x.transpose(1, 2)
        for conv in self.convs:
            y = torch.tanh(conv(nn.functional.pad(y, (2 * conv.dilation[0], 0), mode="replicate")))
        y = y.transpose(1, 2).clone()
        y[y < -0.5] = -0.5
        states = self.gru(y)[0].transpose(1, 2)
        return self.out(nn.functional.interpolate(states, scale_factor=2, mode="linear").transpose(1, 2))


class Squeezed(nn.Module):
    """Squeeze and excitation: the mean of the whole sequence weights every step, so it can't be streamed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 8, 3, padding=1)
        self.gate = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8), nn.Sigmoid())
        self.gru = nn.GRU(8, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, 8) to (1, T, 8)."""
        y = torch.relu(self.conv(x.transpose(1, 2)))
        y = y * self.gate(y.mean(2))[:, :, None]
        states: Tensor = self.gru(y.transpose(1, 2))[0]
        return states
