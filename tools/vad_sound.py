"""Sounds for the voice-activity model: speech from packages and a synthesiser, noise, mixtures and their labels.

In: Debian packages, espeak-ng and a random generator. Out: float64 arrays at 16 kHz, full scale 1. Imports NumPy only.
"""

import io
import shutil
import subprocess
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
FRAME = 256  # samples: 16 ms, without overlap

Sound = NDArray[np.float64]
Noise = Callable[[np.random.Generator, int], Sound]


def words(text: str) -> list[str]:
    """The words of `text`."""
    return text.split()


ONSETS = words("b d f g h j k l m n p r s t v w z ch sh th st tr pl br kr sk sp fl gr sw")
VOWELS = words("a e i o u ai ee oa oo ou er ar aw ay")
CODAS = ["", "", "", *words("b d f g k l m n p s t v z ng sh th nd st lk rt nk mp ks")]
ACCENTS = words(
    "en-us en-gb en-gb-scotland en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd en-029 de fr-fr es it ru pl sv pt-br tr nl"
)
STYLES = words(
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 klatt4 klatt6 whisper whisperf Alex Alicia Andrea Andy "
    "Annie Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen Tweaky adam anika antonio aunty "
    "belinda benjamin boris caleb david ed edward grandma grandpa gustave iven john linda marcelo max michel miguel "
    "norbert pablo paul pedro quincy rob robert sandro shelby steph travis victor zac"
)


def package_folder(name: str, cache: Path) -> Path:
    """Return the folder where Debian package `name` lies unpacked; fetch and unpack it there the first time."""
    folder = cache / name
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name], cwd=cache, check=True)
        (deb,) = cache.glob(f"{name}_*.deb")
        subprocess.run(["dpkg", "-x", deb, folder], check=True)
    return folder


def resample(x: Sound, ratio: float) -> Sound:
    """Change the length of `x` by `ratio`, keeping the band that both lengths can hold."""
    n_out = round(len(x) * ratio)
    spectrum = np.fft.rfft(x)
    resized = np.zeros(n_out // 2 + 1, complex)
    shared = min(len(spectrum), len(resized))
    resized[:shared] = spectrum[:shared]
    return np.fft.irfft(resized, n_out) * ratio


def read_sound(source: Path | io.BytesIO) -> Sound:
    """Read a mono 16-bit WAV file, or a headerless `.raw` file at 16 kHz; answer at 16 kHz."""
    if isinstance(source, Path) and source.suffix == ".raw":
        return np.frombuffer(source.read_bytes(), "<i2") / 32768.0
    with wave.open(str(source) if isinstance(source, Path) else source) as file:
        rate = file.getframerate()
        x = np.frombuffer(file.readframes(-1), "<i2") / 32768.0
    return x if rate == RATE else resample(x, RATE / rate)


def pocketsphinx_sounds(cache: Path) -> list[Sound]:
    """The spoken sentences of Debian's pocketsphinx-testdata (several speakers, 16 kHz, BSD)."""
    data = package_folder("pocketsphinx-testdata", cache) / "usr/share/pocketsphinx/test/data"
    files = sorted([*data.glob("cards/*.wav"), *data.glob("librivox/*.wav"), *data.glob("*.raw")])
    return [read_sound(file) for file in files]


def asterisk_sounds(cache: Path, count: int) -> list[Sound]:
    """`count` prompts of Debian's asterisk-core-sounds-en-wav (one speaker, 8 kHz, CC-BY-SA-3.0)."""
    data = package_folder("asterisk-core-sounds-en-wav", cache) / "usr/share/asterisk/sounds/en_US_f_Allison"
    files = [file for file in sorted(data.glob("*.wav")) if "beep" not in file.stem and "2tone" not in file.stem]
    sounds = [sound for sound in map(read_sound, files) if len(sound) > RATE]
    return [sounds[i] for i in np.random.default_rng(1).choice(len(sounds), count, replace=False)]


def music_sounds(cache: Path) -> list[Sound]:
    """The pieces of Debian's asterisk-moh-opsound-wav (recorded music without song, 8 kHz, CC-BY-SA-3.0)."""
    data = package_folder("asterisk-moh-opsound-wav", cache) / "usr/share/asterisk/moh"
    return [read_sound(file) for file in sorted(data.glob("*.wav"))]


def synthetic_speech(rng: np.random.Generator) -> Sound:
    """Speak a few made-up words with a random accent, voice, speed and pitch of espeak-ng."""
    if shutil.which("espeak-ng") is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "espeak-ng"], check=True)
    syllables = ["".join(map(rng.choice, (ONSETS, VOWELS, CODAS))) for _ in range(rng.integers(3, 16))]
    text = "".join(syllable + rng.choice(["", " ", " ", ", "], p=[0.4, 0.28, 0.28, 0.04]) for syllable in syllables)
    voice = f"{rng.choice(ACCENTS)}+{rng.choice(STYLES)}"
    speed, pitch = str(rng.integers(110, 230)), str(rng.integers(5, 95))
    command = ["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "--stdout", text]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return trim(read_sound(io.BytesIO(data)))


def frame_levels(x: Sound) -> Sound:
    """The mean power of each whole frame of `x`, in dB of full scale."""
    frames = x[: len(x) // FRAME * FRAME].reshape(-1, FRAME)
    return 10 * np.log10((frames**2).mean(axis=1) + 1e-12)


def speech_level(x: Sound) -> float:
    """The power of clean speech `x` in its active frames, in dB of full scale."""
    levels = frame_levels(x)
    active = levels[levels > np.percentile(levels, 95) - 25]
    return float(10 * np.log10((10 ** (active / 10)).mean()))


def trim(x: Sound) -> Sound:
    """Cut what lies 45 dB below the speech level off both ends."""
    loud = np.flatnonzero(frame_levels(x) > speech_level(x) - 45)
    return x[loud[0] * FRAME : (loud[-1] + 1) * FRAME]


def speech_labels(clean: Sound, below: float = 15, hangover: int = 8) -> NDArray[np.float32]:
    """1 for the frames of `clean` no more than `below` dB under active speech, and for `hangover` frames after each.

    `clean` holds active speech at 0 dB, as `lay_out` makes it.
    """
    loud = frame_levels(clean) > -below
    return np.convolve(loud, np.ones(hangover + 1))[: len(loud)].clip(0, 1).astype(np.float32)  # (T,)


def shape_spectrum(x: Sound, gain: Callable[[Sound], Sound]) -> Sound:
    """Filter `x` with `gain`, a function of frequency in Hz; the ends wrap around."""
    return np.fft.irfft(np.fft.rfft(x) * gain(np.fft.rfftfreq(len(x), 1 / RATE)), len(x))


def colour(rng: np.random.Generator, n: int) -> Sound:
    """Noise whose power falls as a random power of frequency: blue-ish, white, pink, brown."""
    slope = rng.uniform(-0.5, 2.5)
    return shape_spectrum(rng.standard_normal(n), lambda f: np.maximum(f, 20) ** (-slope / 2))


def gusts(rng: np.random.Generator, n: int) -> Sound:
    """Coloured noise that swells and falls, as wind and traffic do."""
    points = np.arange(0, n + RATE, rng.integers(RATE // 8, 2 * RATE))
    envelope = 10 ** np.interp(np.arange(n), points, rng.uniform(-1.5, 0, len(points)))
    return colour(rng, n) * envelope


def hum(rng: np.random.Generator, n: int) -> Sound:
    """A machine: harmonics of a steady low tone, with a little noise."""
    t, base = np.arange(n) / RATE, rng.choice([50, 60, 100, 120, rng.uniform(30, 400)])
    x = 0.02 * colour(rng, n)
    for k in range(1, rng.integers(3, 20)):
        x += rng.uniform(0, 1) / k * np.sin(2 * np.pi * (k * base * t + rng.random())) * (k * base < RATE / 2)
    return x


def clicks(rng: np.random.Generator, n: int) -> Sound:
    """Knocks and keystrokes: impulses that ring for some milliseconds."""
    x, m = np.zeros(n), RATE // 4
    t = np.arange(m) / RATE
    for start in rng.integers(0, n - m, rng.integers(3, 40)):
        ring = np.sin(2 * np.pi * rng.uniform(100, 5000) * t) + rng.standard_normal(m) * rng.uniform(0, 1)
        x[start : start + m] += rng.uniform(0.1, 1) * ring * np.exp(-t / rng.uniform(0.001, 0.04))
    return x


def music(rng: np.random.Generator, n: int) -> Sound:
    """Plucked or bowed notes of one to four voices, with harmonics, some vibrato and perhaps drums."""
    x, t = np.zeros(n), np.arange(n) / RATE
    for _ in range(rng.integers(1, 5)):
        start, beat, decay = 0, rng.uniform(0.1, 0.8), rng.uniform(0.05, 3)
        timbre, vibrato = rng.uniform(0.2, 1, 8) ** rng.uniform(1, 4), rng.choice([0, rng.uniform(0, 0.02)])
        while start < n:
            length = min(int(RATE * beat * rng.choice([1, 2, 4])), n - start)
            s = t[:length]
            phase = 110 * 2 ** (rng.integers(0, 40) / 12) * (s + vibrato * np.sin(2 * np.pi * 5.5 * s) / 35)
            note = sum(a * np.sin(2 * np.pi * k * phase) for k, a in enumerate(timbre, 1))
            x[start : start + length] += note * np.exp(-s / decay) * np.minimum(1, s / 0.01) * rng.uniform(0.2, 1)
            start += length
    for _ in range(rng.integers(0, 3)):
        since = t % rng.uniform(0.2, 1)
        drum = colour(rng, n) * np.exp(-since / rng.uniform(0.02, 0.2))
        x += drum / drum.std() * x.std() * rng.uniform(0.1, 1)
    return shape_spectrum(x, lambda f: 1.0 * (f < 7000))


def tones(rng: np.random.Generator, n: int) -> Sound:
    """Beeps, sirens and chirps: tones that glide, on and off."""
    points = np.arange(0, n + RATE, rng.integers(RATE // 20, RATE))
    pitch = 2 ** np.interp(np.arange(n), points, rng.uniform(7.5, 12, len(points)))  # 180 to 4096 Hz
    gate = rng.random(n // 2048 + 1) < rng.uniform(0.3, 1)
    return np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.repeat(gate, 2048)[:n]


def babble(speech: Sequence[Sound]) -> Noise:
    """A noise that mixes six to twelve of the given voices."""

    def make(rng: np.random.Generator, n: int) -> Sound:
        """Add the voices up."""
        x = np.zeros(n)
        for _ in range(rng.integers(6, 13)):
            voice = np.concatenate([speech[i] for i in rng.integers(0, len(speech), 12)])
            x += np.resize(np.roll(voice, rng.integers(len(voice))), n) / voice.std() * rng.uniform(0.5, 1)
        return x

    return make


def recorded(sounds: Sequence[Sound]) -> Noise:
    """A noise that cuts a random piece out of one of the recordings."""

    def make(rng: np.random.Generator, n: int) -> Sound:
        """Cut the piece out."""
        sound = sounds[rng.integers(len(sounds))]
        start = rng.integers(len(sound) - n)
        return sound[start : start + n]

    return make


def vary_channel(rng: np.random.Generator, x: Sound) -> Sound:
    """Change equalisation and bandwidth, as microphones and telephones do."""
    knots, cut = rng.uniform(-8, 8, 8), rng.choice([3400, 4000, 5500, 8000, 8000, 8000])
    return shape_spectrum(x, lambda f: 10 ** (np.interp(f, np.geomspace(60, 8000, 8), knots) / 20) * (f < cut))


def vary_voice(rng: np.random.Generator, x: Sound) -> Sound:
    """Change size of the vocal tract, channel and room of a clip."""
    x = vary_channel(rng, resample(x, rng.uniform(0.85, 1.15)))
    if rng.random() < 0.5:
        m = int(RATE * rng.uniform(0.05, 0.4))
        room = rng.standard_normal(m) * np.exp(-6.9 * np.arange(m) / m) * rng.uniform(0.01, 0.08)
        room[0] = 1
        size = len(x) + m
        x = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(room, size), size)[: len(x)]
    return x


def lay_out(rng: np.random.Generator, clips: Sequence[Sound], pauses: tuple[float, float]) -> Sound:
    """Join clips, each with active speech near 0 dB, with pauses of random length (seconds) around them."""
    parts = [np.zeros(int(RATE * rng.uniform(*pauses)))]
    for clip in clips:
        fade = np.minimum(1, np.minimum(np.arange(len(clip)), np.arange(len(clip))[::-1]) / 320)  # 20 ms
        gain = 10 ** ((rng.uniform(-2, 2) - speech_level(clip)) / 20)
        parts += [clip * fade * gain, np.zeros(int(RATE * rng.uniform(*pauses)))]
    return np.concatenate(parts)


def mix(clean: Sound, noise: Sound, snr: float, level: float) -> Sound:
    """Add `noise` `snr` dB under the speech of `clean`, put speech at `level` dB of full scale, round to 16 bits."""
    x = (clean + noise / noise.std() * 10 ** (-snr / 20)) * 10 ** (level / 20)
    return np.clip(np.round(x * 32768), -32768, 32767) / 32768


def ranking(p: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    """Area under the ROC curve: how often a speech frame scores above another frame."""
    _, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive, negative = y.sum(dtype=float), (1 - y).sum(dtype=float)
    return float((rank[y > 0.5].sum() - positive * (positive + 1) / 2) / (positive * negative))
