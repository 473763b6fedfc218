"""FrontEnd: what is made of samples before they reach a model. Settings only, stored with the model.

Four kinds: "logmel" and "mfcc" are the spectra of sound as Kaldi or librosa make them, "raw" cuts sound into frames,
"imu" cuts rows of sensor channels into frames. `pipelines.features` computes them, the same bits on
every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgernn.errors import BadInput
from edgernn.layers.mel import mel_bank
from edgernn.layers.presets import ELSEWHERE, filled_in
from edgernn.layers.settings import as_table, checked, one_of, within

TABLE = "features"
CUT = ("kind", "rate", "frame_length", "hop_length")
NORMALISED = ("mean", "std", "running", "running_std")
SPECTRUM = (
    *("scale", "edges", "n_fft", "window", "periodic", "preemphasis", "remove_dc_offset", "power"),
    *("bands", "low_freq", "high_freq", "mel", "norm", "log", "log_floor", "ref"),
    *("use_energy", "raw_energy", "energy_floor", "htk_compat"),
)
USED = {  # kind -> the settings that it has
    "logmel": (*CUT, *SPECTRUM, *NORMALISED),
    "mfcc": (*CUT, *SPECTRUM, "cepstra", "lifter", *NORMALISED),
    "raw": (*CUT, "scale", *NORMALISED),
    "imu": (*CUT, "scale", "channels", "differences", "statistics", *NORMALISED),
}
EDGES = ("snip", "symmetric", "fft", "reflect", "zeros")
WINDOWS = ("povey", "hann", "hamming", "blackman", "rectangular")
MELS = ("kaldi", "slaney", "htk")
NORMS = ("none", "slaney")
LOGS = ("natural", "db", "none")
STATISTICS = ("mean", "std", "min", "max", "rms")
LARGEST_RATE = 1_000_000
LONGEST_FRAME = 1 << 15  # samples
LARGEST_SIZE = 4096  # numbers in a frame of features
LARGEST_WINDOW = 1 << 18  # numbers in the rows that a frame is made of
MOST_CEPSTRA = 128


@dataclass(frozen=True)
class FrontEnd:
    """The settings of one front end. Raises BadInput for values that make none.

    A frame is `frame_length` samples; one begins every `hop_length` samples. edges says where the first one begins:

    - "snip": at sample 0 (Kaldi's snip_edges = true).
    - "symmetric": so that the middle of frame t is the middle of hop t; what lies outside is mirrored, the sample at
      the edge twice (Kaldi's snip_edges = false).
    - "fft": at sample 0, and a frame takes `n_fft` samples with the window in its middle (librosa's center = false).
    - "reflect", "zeros": the same around sample t * hop_length; what lies outside is mirrored, the sample at the edge
      once, or zero (librosa's center = true with that pad_mode).

    A frame x of sound becomes a spectrum in these steps (use_energy, raw_energy, energy_floor and htk_compat are as in
    Kaldi):

    1. x * scale, minus its mean (remove_dc_offset).
    2. x[i] - preemphasis * x[i - 1], with x[0] for x[-1]; times the window ("povey": a Hann one to the power of 0.85).
    3. P = |rfft(x, n_fft)| ** power.
    4. S: sums of P over `bands` triangles from low_freq to high_freq Hz (0 or less: so much below half the rate). They
       are triangles on Kaldi's mel scale (mel = "kaldi"), or in Hz with their corners on Slaney's or HTK's ("slaney",
       "htk"); norm = "slaney" gives each an area of 1.
    5. ln(max(S, log_floor)), or 10 * log10(max(S, log_floor) / max(ref, log_floor)) with log = "db".
    6. mfcc: the first `cepstra` coefficients of the orthonormal DCT-II, the i-th times 1 + lifter / 2 * sin(pi * i /
       lifter).

    imu: rows of `channels` numbers; with `differences` the change from the row before follows each row; a frame is its
    rows one after the other, or those `statistics` of each column, one statistic after the other.

    Then (y - mean) / std, each one number or one for each of `size`; then, where running > 0, minus the running mean
    and with running_std over the running deviation, exponentially weighted over so many seconds.
    """

    kind: str
    rate: float  # samples a second
    frame_length: int  # samples
    hop_length: int
    scale: float = 1.0
    edges: str = "snip"
    n_fft: int = 512
    window: str = "povey"
    periodic: bool = False  # the window is a period of its cosine (SciPy's fftbins), not symmetric
    preemphasis: float = 0.0
    remove_dc_offset: bool = False
    power: int = 2
    bands: int = 23
    low_freq: float = 20.0
    high_freq: float = 0.0
    mel: str = "kaldi"
    norm: str = "none"
    log: str = "natural"
    log_floor: float = 2.0**-23
    ref: float = 1.0
    use_energy: bool = False
    raw_energy: bool = True
    energy_floor: float = 0.0
    htk_compat: bool = False
    cepstra: int = 13
    lifter: float = 22.0
    channels: int = 1
    differences: bool = False
    statistics: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    running: float = 0.0
    running_std: bool = False

    @classmethod
    def from_settings(cls, given: Mapping[str, Any]) -> FrontEnd:
        """The front end of a table of settings; `preset` is "kaldi" or "librosa", whose defaults fill in the rest.

        Raises BadInput for what is unknown, of another type, out of bounds or not used by the kind.
        """
        if isinstance(given, Mapping):
            given = filled_in(dict(given), USED)
        values = checked(cls, given, TABLE, ELSEWHERE)
        for name in ("kind", "rate", "frame_length", "hop_length"):
            if name not in values:
                raise BadInput(f"[{TABLE}] lacks '{name}'")
        made = cls(**values)
        unused = [name for name in given if name not in USED[made.kind]]
        if unused:
            raise BadInput(f'[{TABLE}] {unused[0]}: kind "{made.kind}" has {", ".join(USED[made.kind])} only')
        return made

    def settings(self) -> dict[str, Any]:
        """Every setting that the kind has, as `from_settings` takes it."""
        return as_table(self, USED[self.kind])

    def __post_init__(self) -> None:
        one_of(TABLE, "kind", self.kind, USED)
        within(TABLE, "rate", self.rate, 1e-3, LARGEST_RATE)
        for name in ("frame_length", "hop_length"):
            within(TABLE, name, getattr(self, name), 1, LONGEST_FRAME)
        within(TABLE, "running", self.running, 0, 1e9)
        within(TABLE, "channels", self.channels, 1, LARGEST_SIZE)
        if self.scale == 0 or not math.isfinite(self.scale) or abs(self.scale) > 1e9:
            raise BadInput(f"[{TABLE}] scale is {self.scale:g}: any number but 0, up to 1e9, expected")
        if "bands" in USED[self.kind]:
            self._check_spectrum()
        for name in self.statistics:
            one_of(TABLE, "statistics", name, STATISTICS)
        if self.size > LARGEST_SIZE:
            raise BadInput(f"[{TABLE}] a frame of {self.size} numbers: at most {LARGEST_SIZE} expected")
        if self.columns * self.frame_length > LARGEST_WINDOW:
            raise BadInput(
                f"[{TABLE}] {self.frame_length} rows of {self.columns} numbers: at most {LARGEST_WINDOW} in all"
            )
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (0, 1, self.size):
                raise BadInput(f"[{TABLE}] {name} has {len(getattr(self, name))} numbers: 1 or {self.size} expected")
        for value in self.mean:
            within(TABLE, "mean", value, -1e30, 1e30)
        for value in self.std:
            within(TABLE, "std", value, 1e-30, 1e30)

    def _check_spectrum(self) -> None:
        choices = {"edges": EDGES, "window": WINDOWS, "mel": MELS, "norm": NORMS, "log": LOGS, "power": (1, 2)}
        for name, allowed in choices.items():
            one_of(TABLE, name, getattr(self, name), allowed)
        within(TABLE, "n_fft", self.n_fft, max(2, self.frame_length), LONGEST_FRAME)
        within(TABLE, "preemphasis", self.preemphasis, 0, 1)
        within(TABLE, "bands", self.bands, 1, 1024)
        within(TABLE, "low_freq", self.low_freq, 0, self.rate / 2)
        within(TABLE, "high_freq", self.high_freq, -self.rate / 2, self.rate / 2)
        if self.top < self.low_freq + 1e-6 * self.rate:
            raise BadInput(f"[{TABLE}] bands from {self.low_freq:g} to {self.top:g} Hz: the second must be higher")
        mel_bank(self)
        for name in ("log_floor", "ref"):
            within(TABLE, name, getattr(self, name), 1e-300, 1e30)
        within(TABLE, "energy_floor", self.energy_floor, 0, 1e30)
        if self.kind == "mfcc":
            within(TABLE, "cepstra", self.cepstra, 1, min(self.bands, MOST_CEPSTRA))
            within(TABLE, "lifter", self.lifter, 0, 1e6)
            if self.log == "none":
                raise BadInput(f'[{TABLE}] log is "none": cepstra are made of logarithms, "natural" or "db" expected')
        if self.use_energy and self.log != "natural":
            raise BadInput(f'[{TABLE}] use_energy: Kaldi\'s energy is a natural logarithm, log = "natural" expected')

    @property
    def top(self) -> float:
        """Where the highest band ends, Hz."""
        return self.high_freq if self.high_freq > 0 else self.rate / 2 + self.high_freq

    @property
    def columns(self) -> int:
        """Numbers that a row has once the differences stand in it."""
        return self.channels * (2 if self.differences else 1)

    @property
    def size(self) -> int:
        """How many numbers a frame of features has: what the model's input takes."""
        if self.kind == "logmel":
            return self.bands + self.use_energy
        if self.kind == "mfcc":
            return self.cepstra
        return self.columns * (len(self.statistics) or self.frame_length)

    @property
    def span(self) -> int:
        """How many samples a frame is made of."""
        return self.n_fft if self.edges in ("fft", "reflect", "zeros") else self.frame_length

    @property
    def before(self) -> int:
        """How many samples before sample 0 the first frame begins; after it, where that is negative."""
        if self.edges == "symmetric":
            return self.frame_length // 2 - self.hop_length // 2
        return self.n_fft // 2 if self.edges in ("reflect", "zeros") else 0

    @property
    def seconds(self) -> float:
        """What each frame stands for: one hop around its middle."""
        return self.hop_length / self.rate

    @property
    def first(self) -> float:
        """Where what the first frame stands for begins, in seconds from sample 0."""
        return ((self.span - self.hop_length) / 2 - self.before) / self.rate

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> FrontEnd:
        """The same with this mean and deviation, each one number or one for each of `size`."""
        return replace(self, mean=mean, std=std)
