"""A set of scenes to train in, as frames of a front end with labels; made once, kept in the user's cache.

In: the front end. Out: frames (T, scenes, bands), labels and whether they count. Needs what `kws_scenes` needs.
"""

from dataclasses import replace

import numpy as np
from kws_scenes import FRAME, HOP, SECONDS, Scene, Speaker, make_scene, training_noises
from numpy.typing import NDArray
from training import CACHE

from edgernn.layers.frontend import FrontEnd
from edgernn.pipelines.features import Extractor

COUNT = 3600

Frames = NDArray[np.float16]
Labels = NDArray[np.int8]
Counts = NDArray[np.bool_]


def make(front: FrontEnd) -> dict[str, NDArray]:
    """Frames x (T, scenes, bands), labels y and whether they count (T, scenes).

    The frames are as before anything is taken off: models that take off other means share the file.
    """
    if (front.frame_length, front.hop_length) != (FRAME, HOP):
        raise SystemExit(f"kws_scenes labels frames of {FRAME} samples every {HOP}; pipeline.toml has others")
    bare, rng = replace(front, mean=(), std=(), running=0.0), np.random.default_rng(0)
    speaker = Speaker(CACHE / "espeak-scenes")
    noises = training_noises(rng, speaker)
    shape = (*Scene(SECONDS).labels.shape, COUNT)
    x, y, counts = np.empty((*shape, front.size), np.float16), np.empty(shape, np.int8), np.empty(shape, bool)
    for k in range(COUNT):
        sound, scene = make_scene(rng, speaker, noises)
        x[:, k] = Extractor(bare).feed(sound.astype(np.float32))
        y[:, k], counts[:, k] = scene.labels, scene.counts
    return {"x": x, "y": y, "counts": counts}


def load(front: FrontEnd) -> tuple[Frames, Labels, Counts]:
    """Frames less mean over std, labels and whether they count; made and kept the first time."""
    path = CACHE / "scenes" / "espeak-0.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new.npz")
        np.savez(new, **make(front))
        new.rename(path)
    with np.load(path) as file:
        x, labels, counts = file["x"], file["y"], file["counts"]
    print(f"{x.shape[1] * SECONDS / 3600:.1f} hours of scenes", flush=True)
    for k in range(0, x.shape[1], 200):
        x[:, k : k + 200] = (x[:, k : k + 200].astype(np.float32) - front.mean) / front.std
    return x, labels, counts
