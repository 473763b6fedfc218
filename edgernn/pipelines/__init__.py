"""Sources of frames: a sound, a table or standard input, cut into what a Stream consumes.

In: a path or "-", and the model's input ports. Out: arrays of frames, a chunk at a time, as they come.
May import: errors, layers, NumPy; soundfile where it is used.
"""

from __future__ import annotations

from edgernn.pipelines.frames import read_frames
from edgernn.pipelines.ports import Frames

__all__ = ["Frames", "read_frames"]
