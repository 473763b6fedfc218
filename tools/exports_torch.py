"""Torch models of the export zoo, each written by both of torch's ONNX exporters.

In: nothing but a seed. Out: `makers()`, a function per file, which writes the file and returns its arrays.
May import: torch, numpy. Run by make_exports.py.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from exports_torch_cells import GruStep, LstmStep, scripted
from exports_torch_convolved import (
    Convolved,
    Crnn,
    Deltas,
    DualPath,
    Replicated,
    Separable,
    Squeezed,
    Tcn,
    Unfolded,
    WaveNet,
)
from torch import Tensor, nn

Arrays = dict[str, np.ndarray]
Axes = dict[str, dict[int, str]]

EXAMPLE_STEPS = 12  # length of the exported example
SAVED_STEPS = 30  # length of the saved sequence: differs, so a length frozen by an exporter shows
EXPORTERS = ("torchscript", "dynamo")

TIME_SECOND: Axes = {"x": {1: "time"}, "y": {1: "time"}}
TIME_FIRST: Axes = {"x": {0: "time"}, "y": {0: "time"}}
TIME_TWICE: Axes = {"x": {1: "time"}, "y": {1: "twice"}}
BATCH_TIME: Axes = {"x": {0: "batch", 1: "time"}, "y": {0: "batch", 1: "time"}}
BATCH_LAST: Axes = {"x": {0: "batch", 1: "time"}, "y": {0: "batch"}}


class Tagger(nn.Module):
    """Embedding, LSTM, dense relu, dense softmax: a label for every token."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 128)
        self.lstm = nn.LSTM(128, 64, batch_first=True)
        self.hidden = nn.Linear(64, 64)
        self.out = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, T) to label probabilities (B, T, 10)."""
        states, _ = self.lstm(self.embed(x))
        return torch.softmax(self.out(torch.relu(self.hidden(states))), dim=-1)


class Classifier(nn.Module):
    """Embedding, LSTM, dense on the last step: one answer for the whole sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(1000, 64)
        self.lstm = nn.LSTM(64, 128, batch_first=True)
        self.out = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, T) to scores (B, 10)."""
        states, _ = self.lstm(self.embed(x))
        y: Tensor = self.out(states[:, -1])
        return y


class Paired(nn.Module):
    """Two tokens a frame, the sum of what each stands for, a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 12)
        self.gru = nn.GRU(12, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (1, T, 2) to (1, T, 8)."""
        states: Tensor = self.gru(self.embed(x).sum(2))[0]
        return states


class Stack(nn.Module):
    """Recurrent layers of one kind, then a dense layer (with softmax if asked for) on every step."""

    def __init__(
        self, kind: Callable[..., nn.RNNBase], sizes: tuple[int, int, int], layers: int, softmax: bool = False
    ) -> None:
        super().__init__()
        n_in, hidden, n_out = sizes
        self.rnn = kind(n_in, hidden, num_layers=layers, batch_first=True)
        self.out = nn.Linear(hidden, n_out)
        self.softmax = softmax

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, n_in) to (1, T, n_out)."""
        states, _ = self.rnn(x)
        y = self.out(states)
        return torch.softmax(y, dim=-1) if self.softmax else y


class Bare(nn.Module):
    """A GRU and nothing else, in one of torch's two layouts."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 16, batch_first=batch_first)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, 6) or (T, 1, 6) to states of 16 in the same layout."""
        states: Tensor = self.gru(x)[0]
        return states


class StatefulLstm(nn.Module):
    """An LSTM over a sequence whose first and last states are the graph's own inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, x: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (T, 1, 6) and states (1, 1, 16) to (T, 1, 4) and states."""
        states, (hn, cn) = self.lstm(x, (h0, c0))
        return self.out(states), hn, cn


class Denoiser(nn.Module):
    """A mask for each band of a spectrum: two GRU layers with a residual around them and a concatenated skip."""

    def __init__(self, bands: int = 20, hidden: int = 24) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(bands)
        self.inner = nn.Linear(bands, hidden)
        self.gru = nn.GRU(hidden, hidden, num_layers=2, batch_first=True)
        self.out = nn.Linear(hidden + bands, bands)

    def forward(self, x: Tensor) -> Tensor:
        """Frames (1, T, bands) to masked frames of the same shape."""
        normal = self.norm(x)
        inner = torch.relu(self.inner(normal))
        states, _ = self.gru(inner)
        mask = torch.sigmoid(self.out(torch.cat([states + inner, normal], dim=-1)))
        return mask * x


def tokens(vocabulary: int, batch: int, steps: int) -> dict[str, Tensor]:
    """Random token numbers, (batch, steps)."""
    return {"x": torch.randint(0, vocabulary, (batch, steps))}


def pairs(vocabulary: int, batch: int, steps: int) -> dict[str, Tensor]:
    """Random token numbers, (batch, steps, 2)."""
    return {"x": torch.randint(0, vocabulary, (batch, steps, 2))}


def frames(
    shape: tuple[int | None, ...], states: Mapping[str, tuple[int, ...]], batch: int, steps: int
) -> dict[str, Tensor]:
    """Random frames of `shape`, None standing for the time axis, and random states; `batch` is not used."""
    x = torch.randn([steps if size is None else size for size in shape])
    return {"x": x} | {name: torch.randn(size) / 2 for name, size in states.items()}


@dataclass(frozen=True)
class Recipe:
    """One model: how to build it, its inputs for a batch and a length, its outputs, and which axes are free."""

    build: Callable[[], nn.Module]
    inputs: Callable[[int, int], dict[str, Tensor]]
    free: Axes
    outputs: tuple[str, ...] = ("y",)
    frozen_in_dynamo: bool = False  # the file runs at the example's length only
    exporters: tuple[str, ...] = EXPORTERS
    fixed: bool = False  # exported for the example's length, although the model takes any


def recipes(vocabulary: int) -> dict[str, Recipe]:
    """All torch models by name, the tagger with `vocabulary` words."""
    eight = partial(frames, (1, None, 8), {})
    gru, lstm = {"h": (1, 16)}, {"h": (1, 16), "c": (1, 16)}
    states = {"h0": (1, 1, 16), "c0": (1, 1, 16)}
    return {
        "classifier": Recipe(Classifier, partial(tokens, 1000), BATCH_LAST),
        "tagger": Recipe(partial(Tagger, vocabulary), partial(tokens, vocabulary), BATCH_TIME, frozen_in_dynamo=True),
        "elman": Recipe(partial(Stack, nn.RNN, (8, 32, 6), 1, True), eight, TIME_SECOND, frozen_in_dynamo=True),
        "deep_rnn": Recipe(partial(Stack, nn.RNN, (8, 24, 4), 3), eight, TIME_SECOND, frozen_in_dynamo=True),
        "deep_gru": Recipe(partial(Stack, nn.GRU, (8, 20, 4), 3), eight, TIME_SECOND),
        "deep_lstm": Recipe(partial(Stack, nn.LSTM, (8, 16, 4), 3), eight, TIME_SECOND),
        "gru_batch_first": Recipe(partial(Bare, True), partial(frames, (1, None, 6), {}), TIME_SECOND),
        "gru_time_first": Recipe(partial(Bare, False), partial(frames, (None, 1, 6), {}), TIME_FIRST, ("y",), True),
        "lstm_state": Recipe(StatefulLstm, partial(frames, (None, 1, 6), states), TIME_FIRST, ("y", "hn", "cn"), True),
        "gru_cell_step": Recipe(GruStep, partial(frames, (1, 6), gru), {}, ("y", "h_out")),
        "lstm_cell_step": Recipe(LstmStep, partial(frames, (1, 6), lstm), {}, ("y", "h_out", "c_out")),
        "dual_path": Recipe(DualPath, partial(frames, (1, None, 17), {}), TIME_SECOND),
        "denoiser": Recipe(Denoiser, partial(frames, (1, None, 20), {}), TIME_SECOND),
        "crnn": Recipe(Crnn, eight, BATCH_TIME, exporters=("torchscript",)),
        "same_gru": Recipe(partial(Convolved, nn.GRU, (5, 1)), eight, TIME_SECOND),
        "subsampled": Recipe(partial(Convolved, nn.LSTM, (3, 2), (3, 2)), eight, TIME_SECOND),
        "same_rnn": Recipe(
            partial(Convolved, nn.RNN, (3, 1)), eight, TIME_SECOND, frozen_in_dynamo=True, exporters=("dynamo",)
        ),
        "tcn": Recipe(Tcn, eight, TIME_SECOND),
        "wavenet": Recipe(WaveNet, eight, TIME_SECOND, exporters=("torchscript",)),
        "separable": Recipe(Separable, eight, BATCH_TIME, exporters=("torchscript",)),
        "unfolded": Recipe(Unfolded, eight, TIME_SECOND, fixed=True, exporters=("dynamo",)),
        "deltas": Recipe(Deltas, eight, TIME_SECOND),
        "paired": Recipe(Paired, partial(pairs, 50), TIME_SECOND),
        "replicated": Recipe(Replicated, eight, TIME_TWICE, exporters=("torchscript",)),
        "scripted": Recipe(scripted, eight, TIME_SECOND, exporters=("torchscript",)),
        "squeezed": Recipe(Squeezed, eight, TIME_SECOND, exporters=("torchscript",)),
    }


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    """The model with weights that depend on the seed alone and are multiples of 1/256, so that git packs them well."""
    torch.manual_seed(1)
    model = build().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.25, 0.25)
                module.running_var.uniform_(0.5, 1.5)
        for weight in model.parameters():
            weight.copy_(torch.round(weight * 256) / 256)
    return model


def write(model: nn.Module, recipe: Recipe, exporter: str, path: Path) -> None:
    """Export, asking for every axis that the recipe frees; the dynamo exporter may freeze it without a word."""
    # The dynamo exporter takes an axis of length 1 for a constant.
    example = recipe.inputs(2 if "batch" in recipe.free.get("x", {}).values() else 1, EXAMPLE_STEPS)
    args, outputs = tuple(example.values()), list(recipe.outputs)
    export = partial(torch.onnx.export, model, args, path, input_names=list(example), output_names=outputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "torchscript":
            export(dynamo=False, dynamic_axes=None if recipe.fixed else recipe.free)
            return
        dims = {name: torch.export.Dim(name) for name in ("batch", "time")}
        shapes = {name: {axis: dims[dim] for axis, dim in recipe.free.get(name, {}).items()} for name in example}
        export(
            dynamo=True,
            dynamic_shapes=shapes if recipe.free and not recipe.fixed else None,
            external_data=False,
            verbose=False,
        )


def answer(model: nn.Module, recipe: Recipe, steps: int) -> Arrays:
    """Torch's outputs on a sequence of its own: a step model is looped from a zero state."""
    torch.manual_seed(2)
    inputs = recipe.inputs(1, steps)
    with torch.no_grad():
        if recipe.free:
            out = model(*inputs.values())
            named = dict(zip(recipe.outputs, out if isinstance(out, tuple) else (out,), strict=True))
            return {name: value.numpy() for name, value in (inputs | named).items()}
        xs = torch.randn(steps, inputs["x"].shape[1])
        state = [torch.zeros_like(value) for name, value in inputs.items() if name != "x"]
        ys = []
        for x in xs:
            y, *state = model(x[None], *state)
            ys.append(y)
    return {"x": xs.numpy(), "y": torch.cat(ys).numpy()}


def make(recipe: Recipe, exporter: str, path: Path) -> Arrays:
    """Write one file and return the arrays that belong to it."""
    model = seeded(recipe.build)
    write(model, recipe, exporter, path)
    frozen = recipe.fixed or (exporter == "dynamo" and recipe.frozen_in_dynamo)
    return answer(model, recipe, EXAMPLE_STEPS if frozen else SAVED_STEPS)


def makers(vocabulary: int) -> dict[str, Callable[[Path], Arrays]]:
    """A function for each file, by the file's name."""
    torch.set_num_threads(1)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    return {
        f"{name}_{exporter}": partial(make, recipe, exporter)
        for name, recipe in recipes(vocabulary).items()
        for exporter in recipe.exporters
    }
