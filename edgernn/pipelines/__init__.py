"""From where data is born to decisions: sources, features, a Stream, and what its answers are taken for.

In: samples, files, standard input; a Model with its settings (`layers.frontend`, `layers.deciding`).
Out: frames for a Stream, as they come (`read_frames`), Decisions (`Pipeline`: features -> stream -> decide), or tokens
(`generate`: each answer is fed back).
Features and scores are computed by entries of the kernel library (`kernels.hearing`), whose memory is in `blocks`; live
sound takes the short way of `ear`.
May import: errors, layers, kernels, stream, NumPy; soundfile and soxr where they are used.
"""

from __future__ import annotations

from edgernn.pipelines.frames import read_frames
from edgernn.pipelines.ports import Frames

__all__ = ["Frames", "read_frames"]
