"""How word spotters learn from scenes that are mixed anew for every batch; a run can be ended and goes on.

In: a network of `kws_models`, `Scenes`. Out: the network with the mean of its last weights. Imports torch.
"""

import copy
from pathlib import Path

import numpy as np
import torch
from kws_mix import Scenes
from torch import Tensor, nn

CHUNK = 150  # frames between two steps, where the state passes on
PEAK_RATE = 3e-3
RISE, FALL = 20, 300  # batches in which the rate rises at first, and falls at last
KEPT = 0.998  # of the mean of the weights, in a step


def error(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The cross-entropy of scores (T / hop, B, classes); each is held against the last of its `hop` frames."""
    hop = len(labels) // len(scores)
    labels, weights = labels[hop - 1 :: hop].flatten(), weights[hop - 1 :: hop].flatten()
    wrong = nn.functional.cross_entropy(scores.flatten(0, 1), labels, reduction="none")
    return (wrong * weights).sum() / weights.sum()


class Run:
    """A model on its way: steps with a rate that rises, stays, and falls to nothing; the mean of the last weights."""

    def __init__(self, model: nn.Module, count: int) -> None:
        """From here on every batch has `count` scenes."""
        torch.manual_seed(0)
        self.model, self.count, self.done, self.rng = model, count, 0, np.random.default_rng(1)
        self.mean = copy.deepcopy(self.model)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), weight_decay=1e-2)
        self.state = torch.zeros(1, count, self.model.gru.hidden_size)

    def batch(self, scenes: Scenes, batches: int) -> float:
        """Learn from one more batch, of `batches` in all; answers how wrong the model was.

        Half of the scenes start in the state that another one ended in, so that the model stays right in long streams.
        """
        rise, fall = (self.done + 1) / RISE, (batches - self.done) / FALL
        self.optimiser.param_groups[0]["lr"] = PEAK_RATE * min(1, rise, fall)
        batch, errors = scenes.batch(self.rng, self.count), []
        self.state = self.state * (torch.rand(1, self.count, 1) < 0.5)
        for x, labels, weights in zip(*(part.split(CHUNK) for part in batch), strict=True):
            scores, self.state = self.model.score(x, self.state.detach())
            wrong = error(scores, labels, weights)
            self.optimiser.zero_grad()
            wrong.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1)
            self.optimiser.step()
            errors.append(wrong.item())
            with torch.no_grad():
                for mean, weight in zip(self.mean.parameters(), self.model.parameters(), strict=True):
                    mean.lerp_(weight, 1 - KEPT)
        self.done += 1
        return sum(errors) / len(errors)

    def save(self, path: Path) -> None:
        """Keep everything that `load` goes on from."""
        torch.save({**vars(self), "torch": torch.get_rng_state()}, path.with_suffix(".new"))
        path.with_suffix(".new").rename(path)

    def load(self, path: Path) -> None:
        """Go on where a run ended."""
        kept = torch.load(path, weights_only=False)
        torch.set_rng_state(kept.pop("torch"))
        vars(self).update(kept)


def learn(model: nn.Module, scenes: Scenes, batches: int, count: int, kept: Path) -> nn.Module:
    """Train on scenes that are mixed anew for every batch; a run that was ended goes on."""
    run, errors = Run(model, count), []
    if kept.exists():
        run.load(kept)
    while run.done < batches:
        errors.append(run.batch(scenes, batches))
        if run.done % 50 == 0:
            run.save(kept)
            print(f"batch {run.done}: loss {np.mean(errors[-50:]):.4f}", flush=True)
    return run.mean
