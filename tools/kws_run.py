"""How the networks on log-mels learn from scenes that are mixed anew for every batch; a run can be ended and goes on.

In: a network of `kws_models`, `Scenes`. Out: the network with the mean of its last weights. Imports torch.
"""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from kws_mix import Scenes
from kws_words import DIGITS
from torch import Tensor, nn

SMOOTHING = 24  # frames: of the means that decisions are made by
TAUGHT = 1.5  # weight of what a teacher answers
RAISED = 7.0  # weight of what is raised without cause
CHUNK = 150  # frames between two steps, where the state passes on
PEAK_RATE = 5e-3
RISE, FALL = 20, 0.85  # batches in which the rate rises at first; the part of all batches in which it falls at last
KEPT = 0.998  # of the mean of the weights, in a step

Wrong = Callable[[Tensor, Tensor, Tensor], Tensor]  # scores (T / hop, B, n), labels and weights (T, B) -> how wrong


def error(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The cross-entropy of scores (T / hop, B, classes), and how wrong their mean over SMOOTHING is, as decisions are.

    Each is held against the last of its `hop` frames.
    """
    hop = len(labels) // len(scores)
    labels, weights = labels[hop - 1 :: hop], weights[hop - 1 :: hop]
    wrong = nn.functional.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="none")
    frames = (wrong * weights.flatten()).sum() / weights.sum()
    return frames + decided(torch.softmax(scores, dim=-1), labels, weights > 0, SMOOTHING // hop)


def decided(answers: Tensor, labels: Tensor, counts: Tensor, length: int) -> Tensor:
    """How wrong the means of answers (T, B, classes) over `length` are, where all that they hold counts.

    A digit must be near to 1 where all the frames ask for it, and to 0 where none does; what is less sure counts more.
    """
    means = answers.unfold(0, length, 1).mean(dim=-1)[..., : len(DIGITS)]  # (T - length + 1, B, digits)
    asked = nn.functional.one_hot(labels, answers.shape[-1])[..., : len(DIGITS)].bool() & counts[..., None]
    asked = asked.unfold(0, length, 1)
    whole, none = asked.all(dim=-1), ~asked.any(dim=-1) & counts.unfold(0, length, 1).all(dim=-1)[..., None]
    missed = torch.where(whole, (1 - means) * -torch.log(means + 1e-4), 0).sum() / whole.sum().clamp(min=1)
    raised = torch.where(none, means * -torch.log(1 - means + 1e-4), 0).sum() / none.any(dim=-1).sum().clamp(min=1)
    return missed + RAISED * raised


class Run:
    """A model on its way: steps with a rate that rises, stays, and falls to nothing; the mean of the last weights."""

    def __init__(
        self, model: nn.Module, count: int, wrong: Wrong, teacher: nn.Module | None = None, going_on: float = 0.5
    ) -> None:
        """From here on every batch has `count` scenes, of which that part goes on where another one ended.

        What a teacher answers to them counts beside their labels.
        """
        torch.manual_seed(0)
        self.model, self.count, self.done, self.rng = model, count, 0, np.random.default_rng(1)
        self.mean, self.wrong, self.teacher = copy.deepcopy(self.model), wrong, teacher and teacher.eval()
        self.going_on = going_on
        self.told = torch.zeros(1, count, teacher.state_size) if teacher else None
        self.optimiser = torch.optim.AdamW(self.model.parameters(), weight_decay=1e-2)
        self.state = torch.zeros(1, count, self.model.state_size)

    def batch(self, scenes: Scenes, batches: int) -> float:
        """Learn from one more batch, of `batches` in all; answers how wrong the model was.

        Some of the scenes start in the state that another one ended in, so that the model stays right in long streams.
        """
        rise, fall = (self.done + 1) / RISE, (1 - self.done / batches) / FALL
        self.optimiser.param_groups[0]["lr"] = PEAK_RATE * min(1, rise, fall)
        going_on, errors = torch.rand(self.count) < self.going_on, []
        batch = scenes.batch(self.rng, going_on)
        self.state = self.state * going_on[:, None]
        if self.teacher:
            self.told = self.told * going_on[:, None]
        for x, labels, weights in zip(*(part.split(CHUNK) for part in batch), strict=True):
            scores, self.state = self.model.score(x, self.state.detach())
            wrong = self.wrong(scores, labels, weights)
            if self.teacher:
                wrong = wrong + TAUGHT * self._unlike_teacher(x, scores)
            self.optimiser.zero_grad()
            wrong.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1)
            self.optimiser.step()
            errors.append(wrong.item())
            with torch.no_grad():
                for name, value in self.model.state_dict().items():
                    kept = self.mean.state_dict()[name]
                    kept.lerp_(value, 1 - KEPT) if kept.is_floating_point() else kept.copy_(value)
        self.done += 1
        return sum(errors) / len(errors)

    @torch.no_grad()
    def _told(self, x: Tensor) -> Tensor:
        """What the teacher answers to frames (T, B, bands): probabilities (T / hop, B, classes)."""
        scores, self.told = self.teacher.score(x, self.told)
        return torch.softmax(scores, dim=-1)

    def _unlike_teacher(self, x: Tensor, scores: Tensor) -> Tensor:
        """How far scores (T, B, classes) are from the teacher's answers (arXiv 1503.02531, section 2), at its hop."""
        answers, every = self._told(x), self.teacher.hop // self.model.hop
        given = torch.log_softmax(scores[every - 1 :: every], dim=-1)
        return nn.functional.kl_div(given, answers, reduction="sum") / answers[..., 0].numel()

    def save(self, path: Path) -> None:
        """Keep everything that `load` goes on from."""
        torch.save({**vars(self), "torch": torch.get_rng_state()}, path.with_suffix(".new"))
        path.with_suffix(".new").rename(path)

    def load(self, path: Path) -> None:
        """Go on where a run ended."""
        kept = torch.load(path, weights_only=False)
        torch.set_rng_state(kept.pop("torch"))
        vars(self).update(kept)


def learn(
    model: nn.Module,
    scenes: Scenes,
    batches: int,
    count: int,
    kept: Path,
    wrong: Wrong = error,
    teacher: nn.Module | None = None,
    going_on: float = 0.5,
) -> nn.Module:
    """Train on scenes that are mixed anew for every batch; a run that was ended goes on. The others: see `Run`."""
    run, errors = Run(model, count, wrong, teacher, going_on), []
    if kept.exists():
        run.load(kept)
    while run.done < batches:
        errors.append(run.batch(scenes, batches))
        if run.done % 50 == 0:
            run.save(kept)
            print(f"batch {run.done}: loss {np.mean(errors[-50:]):.4f}", flush=True)
    return run.mean
