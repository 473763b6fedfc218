"""Train and measure models/reverse-seq2seq: an encoder reads a word, then a decoder writes it backwards.

    python tools/train_reverse.py               train, then write model.onnx and io.npz of both
    python tools/train_reverse.py --evaluate    measure the stored pair with edgernn on words it never saw

Needs edgernn[convert] and torch==2.13.0. One thread, five minutes.
"""

import numpy as np
import torch
from torch import Tensor, nn
from training import ROOT, describe, export, main, stored

import edgernn

FOLDER = ROOT / "models" / "reverse-seq2seq"
ALPHABET = "\nabcdefghijklmnopqrstuvwxyz"  # the line's end begins and ends what the decoder writes
LONGEST, EMBEDDED, HIDDEN = 8, 32, 128  # letters of a word
STEPS, BATCH, PEAK_RATE = 5000, 128, 4e-3
TESTED = 500  # words of each length


class Encoder(nn.Module):
    """Letters (T, B) to the state after the last one: (B, HIDDEN)."""

    def __init__(self) -> None:
        """Lay out the layers."""
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), EMBEDDED)
        self.gru = nn.GRU(EMBEDDED, HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        """The state that the word leaves behind."""
        return self.gru(self.embedding(x))[0][-1]


class Decoder(nn.Module):
    """What was written before (T, B), and the encoder's state, to log odds of the next character (T, B, alphabet).

    It sees the encoder's state at each step: the decoder of Cho et al. (2014), doi:10.3115/v1/D14-1179, section 2.2.
    """

    def __init__(self) -> None:
        """Lay out the layers."""
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), EMBEDDED)
        self.gru = nn.GRU(EMBEDDED + HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, len(ALPHABET))

    def forward(self, written: Tensor, context: Tensor) -> Tensor:
        """Log odds after each character; context: (T, B, HIDDEN)."""
        return self.head(self.gru(torch.cat([self.embedding(written), context], dim=2))[0])


def fit(encoder: Encoder, decoder: Decoder) -> None:
    """Train on random words, short ones first."""
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=PEAK_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=STEPS, pct_start=0.1)
    losses = []
    for step in range(STEPS):
        most = min(LONGEST, 2 + step * 2 * LONGEST // STEPS)
        length = int(torch.randint(1, most + 1, (2,)).max())
        x = torch.randint(1, len(ALPHABET), (length, BATCH))
        end = torch.zeros(1, BATCH, dtype=torch.int64)
        odds = decoder(torch.cat([end, x.flip(0)]), encoder(x).expand(length + 1, -1, -1))
        loss = nn.functional.cross_entropy(odds.flatten(0, 1), torch.cat([x.flip(0), end]).flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % 250 == 249:
            print(f"step {step + 1}  loss {np.mean(losses[-250:]):.4f}", flush=True)


def train() -> None:
    """Train and write both models."""
    encoder, decoder = Encoder(), Decoder()
    fit(encoder, decoder)
    word = torch.tensor([[ALPHABET.index(letter)] for letter in "timestep"])  # (T, 1)
    end = torch.zeros(1, 1, dtype=torch.int64)
    with torch.no_grad():
        context = encoder(word).expand(len(word) + 1, -1, -1)
    export(encoder, {"x": word}, FOLDER / "encoder" / "model.onnx", ALPHABET)
    given = {"written": torch.cat([end, word.flip(0)]), "context": context}
    export(decoder, given, FOLDER / "decoder" / "model.onnx", ALPHABET)


def backwards(encoder: edgernn.Model, decoder: edgernn.Model, word: str) -> str:
    """The word as the pair writes it: the state that the encoder ends in goes to the decoder, a step a letter."""
    context = encoder.stream().run([ALPHABET.index(letter) for letter in word])[-1]
    stream, written = decoder.stream(), "\n"
    while len(written) <= 2 * LONGEST and (written == "\n" or written[-1] != "\n"):
        odds = stream.step({"written": ALPHABET.index(written[-1]), "context": context})
        written += ALPHABET[odds.argmax()]
    return written.strip()


def evaluate() -> None:
    """Print how many random words come out right, by their length."""
    encoders, decoders = (stored(FOLDER / part / "model.onnx") for part in ("encoder", "decoder"))
    for part in ("encoder", "decoder"):
        describe(FOLDER / part / "model.onnx")
    rng = np.random.default_rng(1)
    for length in range(1, LONGEST + 1):
        words = ["".join(rng.choice(list(ALPHABET[1:]), length)) for _ in range(TESTED)]
        right = {name: sum(backwards(encoders[name], decoders[name], w) == w[::-1] for w in words) for name in encoders}
        shown = ", ".join(f"{name} {100 * n / TESTED:.1f} %" for name, n in right.items())
        print(f"{length} letters: {shown} of {TESTED} words right")


if __name__ == "__main__":
    main(__doc__, train, evaluate)
