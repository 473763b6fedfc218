"""Sets of scenes to train word spotters in, as frames of a front end with labels; made once, kept in the user's cache.

    python tools/kws_sets.py --worker 0 --workers 2      makes every other part of the digit spotters' scenes

In: the front end. Out: frames (T, scenes, bands), labels and whether they count. Needs what `kws_choir` needs; the
scenes of "espeak" need espeak-ng, wamerican and fortunes only.
"""

import argparse
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from kws_scenes import FRAME, HOP, SECONDS, Scene, Speaker, make_scene, training_noises
from numpy.typing import NDArray
from training import CACHE, ROOT

from edgernn.layers.frontend import FrontEnd
from edgernn.pipelines.features import Extractor


@dataclass(frozen=True)
class Scenes:
    """How many files of how many scenes, and whose voices speak: shares of espeak-ng, hibari-tts and Kokoro."""

    parts: int
    count: int
    shares: Sequence[float]


SETS = {
    "espeak": Scenes(1, 3600, (1, 0, 0)),
    "plain": Scenes(10, 200, (0.45, 0.55, 0)),
    "kokoro": Scenes(8, 200, (0.1, 0.3, 0.6)),
}
Frames = NDArray[np.float16]
Labels = NDArray[np.int8]
Counts = NDArray[np.bool_]


def speaker_of(name: str) -> Speaker:
    """Who speaks in a set."""
    shares, scratch = SETS[name].shares, CACHE / f"espeak-{os.getpid()}"
    if shares[0] == 1:
        return Speaker(scratch)
    from kws_bank import bank
    from kws_choir import Choir

    return Choir(scratch, bank("train") if shares[2] else [], shares)


def make_part(front: FrontEnd, speaker: Speaker, name: str, part: int) -> dict[str, NDArray]:
    """Frames x (T, scenes, bands), labels y and whether they count (T, scenes) of one file.

    The frames are as before anything is taken off: models that take off other means share the file.
    """
    bare = replace(front, mean=(), std=(), running=0.0)
    count, rng = SETS[name].count, np.random.default_rng(part if name == "espeak" else [len(name), part])
    noises = training_noises(rng, speaker)
    shape = (*Scene(SECONDS).labels.shape, count)
    x, y, counts = np.empty((*shape, front.size), np.float16), np.empty(shape, np.int8), np.empty(shape, bool)
    for k in range(count):
        sound, scene = make_scene(rng, speaker, noises)
        x[:, k] = Extractor(bare).feed(sound.astype(np.float32))
        y[:, k], counts[:, k] = scene.labels, scene.counts
    return {"x": x, "y": y, "counts": counts}


def make(front: FrontEnd, name: str, worker: int = 0, workers: int = 1) -> list[Path]:
    """Make the files of a set that are missing, or those that this of several workers has to make."""
    if (front.frame_length, front.hop_length) != (FRAME, HOP):
        raise SystemExit(f"kws_scenes labels frames of {FRAME} samples every {HOP}; pipeline.toml has others")
    paths, speaker = [], None
    for part in range(worker, SETS[name].parts, workers):
        paths.append(CACHE / "scenes" / f"{name}-{part}.npz")
        if not paths[-1].exists():
            speaker = speaker or speaker_of(name)
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            new = paths[-1].with_suffix(".new.npz")
            np.savez(new, **make_part(front, speaker, name, part))
            new.rename(paths[-1])
            print(f"scenes of {name}, part {part} of {SETS[name].parts}", flush=True)
    return paths


def load(front: FrontEnd, names: Sequence[str]) -> tuple[Frames, Labels, Counts]:
    """Frames less mean over std, labels and whether they count, of all these sets; made and kept the first time."""
    files = [np.load(path) for name in names for path in make(front, name)]
    x, labels, counts = (np.concatenate([file[key] for file in files], axis=1) for key in ("x", "y", "counts"))
    print(f"{x.shape[1] * SECONDS / 3600:.1f} hours of scenes", flush=True)
    for k in range(0, x.shape[1], 200):
        x[:, k : k + 200] = (x[:, k : k + 200].astype(np.float32) - front.mean) / front.std
    return x, labels, counts


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--sets", nargs="+", default=["plain", "kokoro"])
    arguments = parser.parse_args()
    settings = tomllib.loads((ROOT / "models" / "kws-digits-gru" / "pipeline.toml").read_text())["features"]
    for name in arguments.sets:
        make(FrontEnd.from_settings(settings), name, arguments.worker, arguments.workers)


if __name__ == "__main__":
    main()
