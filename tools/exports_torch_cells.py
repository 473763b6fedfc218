"""Torch models for the export zoo whose cells are called frame by frame: step graphs, and a scripted loop."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GruStep(nn.Module):
    """One frame through a GRU cell and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(6, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """A frame (1, 6) and a state (1, 16) to (1, 4) and a state."""
        h = self.cell(x, h)
        return self.out(h), h


class LstmStep(nn.Module):
    """One frame through an LSTM cell and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(6, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A frame (1, 6) and states (1, 16) to (1, 4) and states."""
        h, c = self.cell(x, (h, c))
        return self.out(h), h, c


class Scripted(nn.Module):
    """An LSTM written out, which torch.jit.script calls step by step: it takes from a list and fills another."""

    def __init__(self) -> None:
        super().__init__()
        self.frame, self.state, self.answer = nn.Linear(8, 64), nn.Linear(16, 64), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 8) -> (1, T, 4)."""
        frames, answers = x.unbind(1), torch.jit.annotate(list[Tensor], [])
        h, c = torch.zeros(x.size(0), 16), torch.zeros(x.size(0), 16)
        for step in range(len(frames)):
            i, f, g, o = (self.frame(frames[step]) + self.state(h)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            answers.append(self.answer(h))
        return torch.stack(answers, 1)


def scripted() -> nn.Module:
    """It as a module whose loop an exporter sees as a loop."""
    return torch.jit.script(Scripted())
