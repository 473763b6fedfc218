"""Log-mels of words from the MFCCs that were kept of them, learned where both are known.

In: MFCCs as torchaudio makes them of 8 kHz by default (40 frames a second, of 50 ms; decibels in 128 bands of HTK's mel
scale; 13 cosines), and words with their sound. Out: log-mels, 100 a second, of words at 0 dB. Imports torch.

What MFCCs leave out (pitch, what lies over 4 kHz, when within 25 ms) comes out as is usual for such words.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
import vad_sound as vs
from kws_words import FRAME, HOP
from numpy.typing import NDArray
from torch import Tensor, nn

from edgernn.layers.frontend import FrontEnd
from edgernn.pipelines.features import Extractor
from edgernn.pipelines.spectrum import dct

STEP, MELS, KEPT = 200, 128, 13  # samples at 8 kHz between MFCCs; bands; numbers that are kept
TAKEN = FrontEnd(
    "logmel", rate=8000, frame_length=2 * STEP, hop_length=STEP, edges="reflect", n_fft=2 * STEP, window="hann",
    periodic=True, bands=MELS, low_freq=0.0, mel="htk", log="db", log_floor=1e-10,
)  # fmt: skip
LOUDNESS, COSINES = Extractor(TAKEN), dct(replace(TAKEN, kind="mfcc", cepstra=KEPT, lifter=0.0))
DEEP = 80.0  # dB under the loudest: less is told from nothing
BEFORE, AFTER = 2, 4  # frames of nothing around MFCCs
FINE = 5  # steps in a frame of MFCCs, of 5 ms: two to a frame of log-mels
BLOCKS, WIDTH = 3, 160
BATCHES, COUNT, PEAK_RATE = 1000, 96, 2e-3
FLOOR = -21.0  # of log-mels that are learned from and answered
MIDDLE, SPREAD = -8.0, 3.0  # of log-mels

Floats = NDArray[np.float32]
Pair = tuple[Floats, Floats]  # MFCCs (n, KEPT) and log-mels (frames_of, bands) of one word


def mfccs(sound: vs.Sound) -> Floats:
    """MFCCs (n, KEPT) of sound at 16 kHz."""
    low = vs.resample(np.append(sound, np.zeros(len(sound) % 2)), 0.5)
    decibels = np.concatenate([LOUDNESS.feed(low), LOUDNESS.finish()])
    return (decibels.clip(decibels.max() - DEEP) @ COSINES).astype(np.float32)


def samples_of(coarse: Floats) -> int:
    """How many samples at 16 kHz MFCCs (n, KEPT) are of, give or take STEP."""
    return (2 * len(coarse) - 1) * STEP


def frames_of(coarse: Floats) -> int:
    """How many log-mels that makes, with FRAME samples of silence before and twice that after it."""
    return (samples_of(coarse) + 2 * FRAME) // HOP + 1


def pair(rng: np.random.Generator, extractor: Extractor, sound: vs.Sound) -> Pair:
    """Both kinds of frames of a word, cut close, with noise and another tone, as people's recordings are."""
    sound = sound * 10 ** (-vs.speech_level(sound) / 20)
    if len(sound) > 4000 and rng.random() < 0.7:
        sound = sound[rng.integers(320) : len(sound) - rng.integers(1600)]
    if rng.random() < 0.7:
        noise = vs.colour(rng, len(sound) + vs.RATE)[: len(sound)]
        sound = sound + noise / noise.std() * 10 ** (-rng.uniform(15, 60) / 20)
    if rng.random() < 0.7:
        sound = vs.vary_channel(rng, sound)
    sound = sound[: len(sound) // (2 * STEP) * 2 * STEP] * 10 ** (-vs.speech_level(sound) / 20)
    coarse = mfccs(0.05 * sound)
    extractor.reset()
    fine = extractor.feed(np.concatenate([np.zeros(FRAME), sound, np.zeros(3 * FRAME)]).astype(np.float32))
    return coarse, fine[: frames_of(coarse)].clip(FLOOR)


def given(coarse: Floats) -> Tensor:
    """What the network reads of MFCCs (n, KEPT): themselves, loudest at 0 dB, and where they are (KEPT + 1, more)."""
    loudest = (coarse @ COSINES.T).max() * np.sqrt(MELS)
    level = (coarse - loudest * (np.arange(KEPT) == 0)) / 50
    rows = np.concatenate([level, np.ones((len(level), 1))], axis=1)
    nothing = np.zeros(KEPT + 1)
    nothing[0] = -DEEP * np.sqrt(MELS) / 50
    around = [np.tile(nothing, (count, 1)) for count in (BEFORE, AFTER)]
    return torch.from_numpy(np.concatenate([around[0], rows, around[1]]).T.astype(np.float32))


class Block(nn.Module):
    """A convolution over time, added to what it is given."""

    def __init__(self, width: int) -> None:
        """Lay out the layers."""
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(width, width, 5, padding=2), nn.GELU(), nn.Conv1d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, T) to the same."""
        return x + self.layers(x)


class Restorer(nn.Module):
    """From what `given` answers (B, KEPT + 1, n) to log-mels (B, at least as many as `frames_of`, bands)."""

    def __init__(self, bands: int) -> None:
        """Lay out the layers."""
        super().__init__()
        half = WIDTH // 2
        self.layers = nn.Sequential(
            nn.Conv1d(KEPT + 1, WIDTH, 5, padding=2), *(Block(WIDTH) for _ in range(BLOCKS)),
            nn.ConvTranspose1d(WIDTH, half, FINE, FINE), Block(half), Block(half),
        )  # fmt: skip
        self.last = nn.Conv1d(half, bands, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return (SPREAD * self.last(self.layers(x)[..., 2 * (BEFORE + 1) :]) + MIDDLE).transpose(1, 2)

    @torch.no_grad()
    def restored(self, coarse: Floats) -> Floats:
        """Log-mels (frames_of, bands) of MFCCs (n, KEPT)."""
        return self(given(coarse)[None])[0, : frames_of(coarse)].clamp(FLOOR, 6).numpy()


def learned(pairs: Iterable[Pair]) -> Restorer:
    """A network that has learned from these words; the mean error it falls to is printed."""
    known = sorted(((given(coarse), torch.from_numpy(fine)) for coarse, fine in pairs), key=lambda one: len(one[1]))
    torch.manual_seed(0)
    rng, network, errors = np.random.default_rng(0), Restorer(known[0][1].shape[1]), []
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    for done in range(BATCHES):
        first = int(rng.integers(max(1, len(known) - COUNT + 1)))  # words that last as long as each other
        wrong = error(network, known[first : first + COUNT])
        optimiser.param_groups[0]["lr"] = PEAK_RATE * min(1, (done + 1) / 50, (1 - done / BATCHES) / 0.7)
        optimiser.zero_grad()
        wrong.backward()
        optimiser.step()
        errors.append(wrong.item())
    print(f"log-mels from MFCCs: {np.mean(errors[-100:]):.2f} off in the mean", flush=True)
    return network.eval()


def error(network: Restorer, known: list[tuple[Tensor, Tensor]]) -> Tensor:
    """How far off the network is, in the mean of the absolute differences."""
    coarse, fine = zip(*known, strict=True)
    given_rows = nn.utils.rnn.pad_sequence([one.t() for one in coarse], batch_first=True)
    for row, one in zip(given_rows, coarse, strict=True):
        row[one.shape[1] :] = one[:, -1]
    wanted = nn.utils.rnn.pad_sequence(list(fine), batch_first=True, padding_value=torch.nan)
    found = network(given_rows.transpose(1, 2))[:, : wanted.shape[1]]
    return (found - wanted)[~wanted.isnan()].abs().mean()
