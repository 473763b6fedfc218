"""Train and measure models/chars-lstm: which character comes next, in the novels of Jane Austen.

    python tools/train_chars.py               train, then write model.onnx and io.npz
    python tools/train_chars.py --evaluate    bits per character of the stored model, by edgernn, on text it never saw

Needs edgernn[convert], torch==2.13.0, and Debian's apt-get and dpkg, which fetch the text. One thread, five minutes.
"""

import re
import zlib
from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from training import CACHE, ROOT, describe, export, main, stored
from vad_sound import package_folder

MODEL = ROOT / "models" / "chars-lstm" / "model.onnx"
TITLES = ("EMMA", "MANSFIELD PARK", "NORTHANGER ABBEY", "Persuasion", "PRIDE AND PREJUDICE", "SENSE AND SENSIBILITY")
HELD_OUT = "Persuasion"
RAREST = 50  # of a character in the texts that are trained on; others are left out
EMBEDDED, HIDDEN = 32, 192
STEPS, BATCH, CHUNK, PEAK_RATE = 6000, 32, 64, 5e-3
FRESH = 0.1  # chunks that begin in the initial state, as a prompt does


class Characters(nn.Module):
    """Characters (T, B) to log odds of the next one (T, B, alphabet)."""

    def __init__(self, alphabet: int) -> None:
        """Lay out the layers."""
        super().__init__()
        self.embedding = nn.Embedding(alphabet, EMBEDDED)
        self.lstm = nn.LSTM(EMBEDDED, HIDDEN)
        self.head = nn.Linear(HIDDEN, alphabet)

    def forward(self, x: Tensor) -> Tensor:
        """Log odds after each character, from the initial state."""
        return self.head(self.lstm(self.embedding(x))[0])


def novels() -> dict[str, str]:
    """Title -> text of the novels in Debian's r-cran-janeaustenr, a paragraph a line.

    R stores each as a compressed vector of lines: every text has the header of a CHARSXP, then its length.
    """
    folder = package_folder("r-cran-janeaustenr", CACHE)
    data = (folder / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    found = {}
    while data:
        unpacker = zlib.decompressobj()
        vector = unpacker.decompress(data[4:])  # after its length
        data = unpacker.unused_data
        lines = []
        for header in re.finditer(rb"\0\x04\0\x09(....)", vector, re.DOTALL):
            lines.append(vector[header.end() : header.end() + int.from_bytes(header[1])].decode())
        title, *lines = lines
        paragraphs = "\n".join(lines).split("\n\n")
        found[title] = "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip())
    assert set(found) == set(TITLES)
    return found


def texts() -> tuple[str, str, str]:
    """(alphabet, text to train on, text held out); characters outside the alphabet are left out of both."""
    found = novels()
    counts = Counter("".join(text for title, text in found.items() if title != HELD_OUT))
    alphabet = "".join(sorted(c for c, n in counts.items() if n >= RAREST))
    kept = {title: "".join(c for c in text if c in alphabet) for title, text in found.items()}
    return alphabet, "\n".join(kept[title] for title in TITLES if title != HELD_OUT), kept[HELD_OUT]


def tokens(alphabet: str, text: str) -> NDArray[np.int64]:
    """The place of each character in the alphabet: (T,)."""
    place = {character: i for i, character in enumerate(alphabet)}
    return np.array([place[character] for character in text])


def fit(network: Characters, numbers: NDArray[np.int64]) -> None:
    """Train on BATCH places of the text at once; the state mostly passes from chunk to chunk."""
    rows = torch.from_numpy(numbers[: len(numbers) // BATCH * BATCH].reshape(BATCH, -1).T.copy())  # (T, B)
    optimiser = torch.optim.AdamW(network.parameters(), lr=PEAK_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=STEPS, pct_start=0.1)
    at, state, losses = 0, None, []
    for step in range(STEPS):
        if at + CHUNK >= len(rows):
            at, state = int(torch.randint(CHUNK, ())), None
        x, y = rows[at : at + CHUNK], rows[at + 1 : at + CHUNK + 1]
        h, state = network.lstm(network.embedding(x), state)
        goes_on = (torch.rand(1, BATCH, 1) > FRESH).float()
        state = tuple(goes_on * part.detach() for part in state)
        loss = nn.functional.cross_entropy(network.head(h).flatten(0, 1), y.flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        at += CHUNK
        losses.append(loss.item())
        if step % 250 == 249:
            print(f"step {step + 1}  {np.mean(losses[-250:]) / np.log(2):.3f} bits per character", flush=True)


def train() -> None:
    """Train and write the model."""
    alphabet, text, _ = texts()
    print(f"{len(text):,} characters, {len(alphabet)} different ones: {alphabet!r}", flush=True)
    network = Characters(len(alphabet))
    fit(network, tokens(alphabet, text))
    opening = (
        "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want"
    )
    export(network, {"x": torch.from_numpy(tokens(alphabet, opening))[:, None]}, MODEL, alphabet=alphabet)


def evaluate() -> None:
    """Print bits per character on the novel that was held out, in one stream."""
    describe(MODEL)
    alphabet, _, text = texts()
    numbers = tokens(alphabet, text)
    for name, model in stored(MODEL).items():
        odds = model.stream().run(numbers[:-1]).astype(np.float64)
        surprise = np.log2(np.exp(odds - odds.max(axis=1, keepdims=True)).sum(axis=1))
        surprise -= (odds - odds.max(axis=1, keepdims=True))[np.arange(len(odds)), numbers[1:]] / np.log(2)
        print(f"{name}: {surprise.mean():.3f} bits per character on {len(surprise):,} characters of {HELD_OUT}")


if __name__ == "__main__":
    main(__doc__, train, evaluate)
