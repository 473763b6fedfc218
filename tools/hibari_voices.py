"""Speech from hibari-tts, word by word in time, in random voices made from its one: another vocal tract, pitch, rhythm.

In: words and a random generator. Out: `Utterance`s at 16 kHz. Imports NumPy, onnx, onnxruntime and what `espeak`
does. Fetches hibari-tts 0.2.1 (Apache-2.0) from PyPI: a network that tells a spectrum for every 12.5 ms, and what makes
sound of spectra.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from espeak import Utterance, spoken
from numpy.typing import NDArray
from training import python_package

HOP = 300  # samples at 24 kHz
DURATIONS = "/Clip_output_0"  # of the phonemes, inside the network: pairs of frames
VOICED = 40  # Hz: no pitch lies below

Spectra = NDArray[np.float32]  # (601, frames)


def package() -> Path:
    """Where hibari-tts lies, from now on to be imported."""
    folder = python_package("hibari-tts", "0.2.1")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder


def curve(rng: np.random.Generator, count: int, step: int, deviation: float) -> NDArray[np.float64]:
    """A smooth random curve of `count` numbers around 0 that turns every `step`."""
    points = rng.standard_normal(count // step + 2) * deviation
    return np.interp(np.arange(count), np.arange(len(points)) * step, points)


class Hibari:
    """The network, loaded once in a process."""

    def __init__(self) -> None:
        """Load it, in one thread."""
        assets = package() / "hibari" / "assets"
        from hibari.dsp import synth
        from hibari.g2p import G2P

        model = onnx.load(assets / "hibari.onnx")
        model.graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        self.tokens: dict[str, int] = json.loads((assets / "vocab.json").read_text())
        self.reader, self.synth = G2P(), synth
        self.rng = np.random.default_rng(0)
        self.speed, self.tract, self.pitch, self.range, self.rhythm = 1.0, 1.0, 1.0, 1.0, 0.0
        self.tone, self.breath, self.bend = np.zeros(601), 0.0, np.zeros(601)

    def random_voice(self, rng: np.random.Generator) -> None:
        """Choose pace, rhythm, vocal tract, pitch and breath."""
        self.rng = rng
        self.speed, self.rhythm = rng.uniform(0.75, 1.35), rng.uniform(0, 0.3)
        self.tract = rng.uniform(0.8, 1.22)  # formants lie higher by so much
        self.pitch, self.range = self.tract ** rng.uniform(0, 3) * rng.uniform(0.55, 1.3), rng.uniform(0.3, 1.6)
        self.tone, self.breath = curve(rng, 601, 100, 0.6), rng.uniform(-0.7, 1.2)
        self.bend = curve(rng, 601, 60, 4)

    def _changed(self, made: Sequence[Any], places: NDArray[np.float64]) -> list[Spectra]:
        """The network's spectra and pitch, read at frames `places`, in the voice that was chosen."""
        *spectra, f0 = (part[0][..., places.round().astype(int)] for part in made)
        bins = np.clip(np.arange(601) / self.tract + self.bend, 0, 600).round().astype(int)
        lh, theta, ln, lr, phi = (part[bins] for part in spectra)
        tone = self.tone[:, None].astype(np.float32)
        voiced = f0 > VOICED
        if voiced.any():
            middle = np.exp(np.log(f0[voiced]).mean())
            f0 = np.where(
                voiced,
                np.maximum(middle * self.pitch * (np.maximum(f0, VOICED) / middle) ** self.range, VOICED + 5),
                f0,
            )
        return [lh + tone, theta, ln + tone + np.float32(self.breath), lr + tone, phi, f0.astype(np.float32)]

    def speak(self, words: Sequence[str]) -> Utterance:
        """Say `words`, each a plain word that may end in a comma or a full stop."""
        read = self.reader(" ".join(words)).split()
        if len(read) != len(words):
            read = [self.reader(word).replace(" ", "") for word in words]
        phonemes = [[self.tokens[c] for c in word if c in self.tokens] for word in read]
        line = [token for word in phonemes for token in (self.tokens[" "], *word)]
        given = {"ids": np.array([[0, *line[1:], 0]]), "speed": np.array([self.speed], np.float32)}
        *made, lasting = self.session.run(None, given)
        frames = made[-1].shape[-1]
        pace = np.exp(curve(self.rng, frames, 12, self.rhythm))  # of the frames that are read
        places = np.arange(frames)
        read_at = np.interp(np.arange(int((1 / pace).sum())), np.cumsum(1 / pace), places)
        sound = self.synth(*self._changed(made, read_at), self.rng).astype(float)
        ends = np.interp(2 * np.cumsum(lasting.ravel()), read_at, np.arange(len(read_at))) * HOP
        return spoken(sound, words, phonemes, ends)
