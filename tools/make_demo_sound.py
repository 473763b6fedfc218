"""Make the sound that `edgernn demo` listens to: two real voices, pauses, hiss and a few knocks.

    python tools/make_demo_sound.py    write edgernn/demo/speech.wav and edgernn/demo/LICENSE.speech

The voices come from Debian's pocketsphinx-testdata, whose BSD notice is written beside the sound.
"""

import wave
from pathlib import Path

import numpy as np
import vad_sound as vs

CACHE = Path.home() / ".cache" / "edgernn-tools"
FOLDER = Path(__file__).resolve().parent.parent / "edgernn" / "demo"
SENTENCES = ["goforward.raw", "librivox/sense_and_sensibility_01_austen_64kb-0930.wav"]
PAUSES = [0.9, 1.5, 1.1]  # seconds before, between and after the sentences
KNOCKS = [3.2, 3.42, 3.85]  # seconds: inside the second pause
HEADING = """\
speech.wav is made from two recordings in the test data of PocketSphinx, as packaged by Debian
(pocketsphinx-testdata): goforward.raw and librivox/sense_and_sensibility_01_austen_64kb-0930.wav, the latter cut from a
LibriVox recording, which LibriVox places in the public domain. They were trimmed and joined, and pauses, noise and
knocks were added. The notice of that package follows.

"""


def pick(name: str, data: Path) -> vs.Sound:
    """One sentence without the silence around it, with active speech at 0 dB."""
    x = vs.read_sound(data / name)
    loud = np.flatnonzero(vs.speech_labels(x / 10 ** (vs.speech_level(x) / 20), below=18, hangover=6))
    return vs.lay_out(np.random.default_rng(0), [x[(loud[0] - 3) * vs.FRAME : (loud[-1] + 1) * vs.FRAME]], (0, 0.01))


def background(rng: np.random.Generator, n: int) -> vs.Sound:
    """Pink noise 22 dB under the speech, and knocks about as loud as it."""
    hiss = vs.shape_spectrum(rng.standard_normal(n), lambda f: np.maximum(f, 50) ** -0.5)
    x = 10 ** (-22 / 20) * hiss / hiss.std()
    t = np.arange(vs.RATE // 5) / vs.RATE
    for start in KNOCKS:
        ring = np.sin(2 * np.pi * 190 * t) + 0.4 * rng.standard_normal(len(t))
        x[round(start * vs.RATE) :][: len(t)] += 2.5 * ring * np.exp(-t / 0.015)
    return x


def notice(package: Path) -> str:
    """The copyright lines and licence of the package's own files, without Debian's indentation."""
    text = (package / "usr/share/doc/pocketsphinx-testdata/copyright").read_text()
    (entry,) = [entry for entry in text.split("\n\n") if entry.startswith("Files: *\n")]
    lines = entry.removeprefix("Files: *\n").replace("License: BSD-2\n", " .\n").splitlines()
    return "\n".join("" if line == " ." else line.removeprefix(" ").rstrip() for line in lines) + "\n"


def main() -> None:
    """Write the sound and its notice."""
    package = vs.package_folder("pocketsphinx-testdata", CACHE)
    sentences = [pick(name, package / "usr/share/pocketsphinx/test/data") for name in SENTENCES]
    silences = [np.zeros(round(seconds * vs.RATE)) for seconds in PAUSES]
    clean = np.concatenate([silences[0], sentences[0], silences[1], sentences[1], silences[2]])
    clean = clean[: len(clean) // vs.FRAME * vs.FRAME]
    x = np.clip((clean + background(np.random.default_rng(5), len(clean))) * 10 ** (-22 / 20), -1, 0.9999)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with wave.open(str(FOLDER / "speech.wav"), "wb") as file:
        file.setparams((1, 2, vs.RATE, 0, "NONE", ""))
        file.writeframes(np.round(x * 32768).clip(-32768, 32767).astype("<i2").tobytes())
    (FOLDER / "LICENSE.speech").write_text(HEADING + notice(package))
    print(f"{FOLDER / 'speech.wav'}: {len(x) / vs.RATE:.2f} s, peak {abs(x).max():.2f}")


if __name__ == "__main__":
    main()
