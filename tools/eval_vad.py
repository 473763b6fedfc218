"""Measure models/vad-gru beside silero-vad and vad-raw on the same real voices: every figure in its card.

    python tools/eval_vad.py

Voices and labels are those of train_vad.py --evaluate. vad-gru runs in edgernn, in float and int8, the others in ONNX
Runtime. Needs edgernn[convert] and a package index (silero-vad's file is taken out of its wheel, see real_models).
"""

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import vad_sound as vs
from numpy.typing import NDArray
from real_models import fetch

import edgernn

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path.home() / ".cache" / "edgernn-tools"
SNRS = [20, 10, 0]  # dB, of active speech to noise
LATE = 400  # samples of a front end's frame

Floats = NDArray[np.float32]
Hear = Callable[[vs.Sound], Floats]  # sound -> the probability of speech in each label frame


def spread(answers: Floats, ends: NDArray[np.int64], count: int) -> Floats:
    """The last answer that was there at the end of each label frame; `ends`: when (samples) each answer came."""
    newest = np.searchsorted(ends, vs.FRAME * np.arange(1, count + 1), side="right") - 1
    return answers[newest.clip(0)]


def vad_gru(quantize: str) -> Hear:
    """The model of this project's log-mels."""
    folder = ROOT / "models" / "vad-gru"
    settings = tomllib.loads((folder / "pipeline.toml").read_text())
    model = edgernn.convert(folder / "model.onnx", quantize=quantize, **settings)

    def hear(sound: vs.Sound) -> Floats:
        """Sound to probabilities."""
        scores = edgernn.Pipeline(model).answers(sound.astype(np.float32))[:, 0]
        return spread(scores, LATE + 160 * np.arange(len(scores)), len(sound) // vs.FRAME)

    return hear


def vad_raw() -> Hear:
    """The model of `edgernn demo`."""
    model = onnxruntime.InferenceSession(ROOT / "models" / "vad-raw" / "model.onnx")

    def hear(sound: vs.Sound) -> Floats:
        """Sound to probabilities."""
        x = sound[: len(sound) // vs.FRAME * vs.FRAME].reshape(-1, 1, vs.FRAME).astype(np.float32)
        return model.run(None, {"x": x})[0][:, 0, 0]

    return hear


def silero() -> Hear:
    """silero-vad 6.2.3: frames of 512 samples with the 64 before them."""
    model = onnxruntime.InferenceSession(fetch("silero_vad_16k_sequence"))
    zero = np.zeros((1, 1, 128), np.float32)

    def hear(sound: vs.Sound) -> Floats:
        """Sound to probabilities."""
        x = np.append(np.zeros(64), sound[: len(sound) // 512 * 512]).astype(np.float32)
        x = np.lib.stride_tricks.sliding_window_view(x, 576)[::512].copy()
        scores = model.run(None, {"input": x, "h": zero, "c": zero})[0].reshape(-1)
        return spread(scores, 512 * np.arange(1, len(scores) + 1), len(sound) // vs.FRAME)

    return hear


def main() -> None:
    """Print accuracy at 0.5 and area under the ROC curve, means over the kinds of noise, and agreement with silero."""
    ears = {"vad-gru": vad_gru("none"), "vad-gru int8": vad_gru("int8"), "vad-raw": vad_raw(), "silero-vad": silero()}
    rng = np.random.default_rng(7)
    noises = {
        "colour": vs.colour, "gusts": vs.gusts, "hum": vs.hum, "clicks": vs.clicks, "tones": vs.tones,
        "music": vs.recorded(vs.music_sounds(CACHE)),
    }  # fmt: skip
    voices = {"pocketsphinx": vs.pocketsphinx_sounds(CACHE) * 2, "asterisk": vs.asterisk_sounds(CACHE, 40)}
    for name, clips in voices.items():
        clean = vs.lay_out(rng, clips, (0.3, 3))
        clean = clean[: len(clean) // 512 * 512]
        wanted = vs.speech_labels(clean)
        print(f"\n{name}: {len(clean) / vs.RATE / 60:.1f} minutes, speech in {wanted.mean():.0%} of frames")
        print(f"{'accuracy % / ROC AUC':20s}" + "".join(f"{snr:>12d} dB" for snr in SNRS) + "   % of noise alone")
        rows: dict[str, list[list[float]]] = {ear: [] for ear in ears}
        agree = []
        for make in noises.values():
            noise = np.concatenate(
                [part / part.std() for part in (make(rng, 320_000) for _ in range(len(clean) // 320_000 + 1))]
            )
            noise = noise[: len(clean)]
            answers = {ear: [hear(vs.mix(clean, noise, snr, -25)) for snr in SNRS] for ear, hear in ears.items()}
            for ear, hear in ears.items():
                alarms = 100 * (hear(vs.mix(0 * clean, noise, 0, -25)) > 0.5).mean()
                row = [f for p in answers[ear] for f in (100 * ((p > 0.5) == wanted).mean(), vs.ranking(p, wanted))]
                rows[ear].append([*row, alarms])
            agree.append(
                [
                    ((a > 0.5) == (b > 0.5)).mean()
                    for a, b in zip(answers["vad-gru"], answers["silero-vad"], strict=True)
                ]
            )
        for ear, found in rows.items():
            mean = np.mean(found, axis=0)
            print(
                f"{ear:20s}" + (len(SNRS) * "   {:5.1f} / {:.3f}").format(*mean[:-1]) + f"   {mean[-1]:5.1f}",
                flush=True,
            )
        print(
            "vad-gru and silero-vad agree in % of frames: " + " ".join(f"{100 * a:.1f}" for a in np.mean(agree, axis=0))
        )


if __name__ == "__main__":
    main()
