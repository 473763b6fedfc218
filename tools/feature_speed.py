"""What features cost: microseconds of processor time a frame, beside kaldi-native-fbank where that is installed.

python tools/feature_speed.py

16 kHz, a frame every 10 ms. The two take turns in one process; medians of many turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numpy as np

from edgernn.layers.frontend import FrontEnd
from edgernn.pipelines.features import Extractor

RATE, HOP, SECONDS, ROUNDS = 16000, 160, 10, 31
KINDS = {"log-mel, 40 bands": ("logmel", {"bands": 40}), "MFCC, 13 of 23 bands": ("mfcc", {})}


def ours(kind: str, more: dict[str, Any]) -> Callable[[np.ndarray, int], None]:
    """Features of samples that come in pieces of so many."""
    extractor = Extractor(FrontEnd.from_settings({"kind": kind, "preset": "kaldi", "rate": RATE, **more}))

    def run(samples: np.ndarray, piece: int) -> None:
        extractor.reset()
        for at in range(0, len(samples), piece):
            extractor.feed(samples[at : at + piece])

    return run


def theirs(kind: str, more: dict[str, Any]) -> Callable[[np.ndarray, int], None] | None:
    """The same by kaldi-native-fbank; None where it is not installed."""
    try:
        import kaldi_native_fbank as kaldi
    except ImportError:
        return None
    options = kaldi.MfccOptions() if kind == "mfcc" else kaldi.FbankOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = more.get("bands", 23)

    def run(samples: np.ndarray, piece: int) -> None:
        online, done = (kaldi.OnlineMfcc if kind == "mfcc" else kaldi.OnlineFbank)(options), 0
        for at in range(0, len(samples), piece):
            online.accept_waveform(RATE, samples[at : at + piece])
            while done < online.num_frames_ready:
                online.get_frame(done)
                done += 1

    return run


def main() -> None:
    """Measure and print the table."""
    samples = np.random.default_rng(0).standard_normal(SECONDS * RATE).astype(np.float32)
    print(f"Measured on one core of {llvmlite.binding.get_host_cpu_name()}, processor time.\n")
    print("| microseconds a frame | one frame a call | whole file |\n|---|---:|---:|")
    for name, (kind, more) in KINDS.items():
        runs = {"edgernn": ours(kind, more), "kaldi-native-fbank": theirs(kind, more)}
        took: dict[tuple[str, int], list[float]] = {}
        for _ in range(ROUNDS):
            for who, run in runs.items():
                for piece in (HOP, len(samples)) if run else ():
                    start = time.process_time()
                    run(samples[: RATE if piece == HOP else None], piece)
                    frames = (RATE if piece == HOP else len(samples)) / HOP
                    took.setdefault((who, piece), []).append(1e6 * (time.process_time() - start) / frames)
        for who in dict.fromkeys(who for who, _ in took):
            single, whole = (float(np.median(took[who, piece])) for piece in (HOP, len(samples)))
            print(f"| {name}: {who} | {single:.1f} | {whole:.1f} |")


if __name__ == "__main__":
    main()
