"""edgernn demo: a model and a sound that come with the package, drawn over time."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgernn.cli.console import as_json

if TYPE_CHECKING:
    from rich.text import Text

    from edgernn.layers.base import Array
    from edgernn.layers.model import Model
    from edgernn.stream import Stream

THRESHOLD = 0.5  # of the probability of speech
SHORTEST, BRIDGED = 0.1, 0.25  # seconds: of a segment that counts, of a gap that does not
BLOCKS, ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
ROWS, MARGIN = 3, 14  # of a drawn curve; columns before it


@click.command()
@as_json
def command(as_json: bool) -> None:
    """Find speech in a recording with the model that comes with edgernn: no files, no network, no questions."""
    import edgernn
    from edgernn.cli import console
    from edgernn.pipelines.sound import read_sound

    folder = Path(edgernn.__file__).parent / "demo"
    model = edgernn.load(folder / "vad.edgernn")
    samples, rate = read_sound(folder / "speech.wav")
    frame = model.inputs[0].size
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)  # (T, frame)
    stream = model.stream()
    speech, seconds = answers(stream, frames)
    figures = {
        "seconds_of_sound": len(samples) / rate,
        "frames": len(frames),
        "microseconds_a_frame": 1e6 * seconds / len(frames),
        "times_real_time": len(frames) * frame / rate / seconds,
        "instruction_set": stream.plan.backend,
        "segments": segments(speech, frame / rate),
    }
    if as_json:
        console.print_json({**figures, "speech": speech.tolist()})
        return
    out = console.out()
    for line in (*story(model, rate, figures), *drawing(frames, speech, rate, out.width - 1), *ending(figures)):
        out.print(line)


def answers(stream: Stream, frames: Array) -> tuple[Array, float]:
    """(probability of speech (T,), seconds): each frame by a call of its own, as a live source would."""
    stream.step(frames[0])
    stream.reset()
    start = time.perf_counter()
    steps = [stream.step(x)[0] for x in frames]
    seconds = time.perf_counter() - start
    import numpy as np

    return np.array(steps), seconds


def segments(speech: Array, frame: float) -> list[tuple[float, float]]:
    """(start, end) in seconds of what is speech; `frame` is the length of a frame in seconds."""
    found: list[list[float]] = []
    for i in (i for i, p in enumerate(speech) if p >= THRESHOLD):
        if found and i * frame - found[-1][1] <= BRIDGED:
            found[-1][1] = (i + 1) * frame
        else:
            found.append([i * frame, (i + 1) * frame])
    return [(round(a, 3), round(b, 3)) for a, b in found if b - a >= SHORTEST]


def story(model: Model, rate: int, figures: dict[str, Any]) -> list[str]:
    """What is about to be seen."""
    from edgernn.cli.console import size
    from edgernn.layers.summary import weight_bytes

    frame = model.inputs[0].size
    return [
        f"A voice-activity model ({model.parameters:,} weights in {size(weight_bytes(model))}) listens to "
        f"{figures['seconds_of_sound']:.1f} s of sound",
        f"and answers every {1000 * frame / rate:.0f} ms: how likely is it that somebody speaks?",
        "",
    ]


def drawing(frames: Array, speech: Array, rate: int, width: int) -> list[Text]:
    """Loudness and probability of speech over time, and the axis."""
    import numpy as np

    columns = max(10, min(width - MARGIN, len(frames)))
    edges = np.linspace(0, len(frames), columns + 1).astype(int)
    spans = list(zip(edges[:-1], np.maximum(edges[1:], edges[:-1] + 1), strict=True))
    level = np.sqrt(np.square(frames).mean(axis=1) + 1e-12)
    loud = np.array([level[a:b].max() for a, b in spans])
    decibels = 20 * np.log10(loud / loud.max())
    likely = np.array([speech[a:b].max() for a, b in spans])
    on = likely >= THRESHOLD
    curve = [*curves("loudness", 1 + decibels / 48, on, "0 dB", "-48"), *curves("speech", likely, on, "1", "0")]
    return [*curve, axis(len(frames) * frames.shape[1] / rate, columns)]


def curves(name: str, values: Array, on: Array, top: str, bottom: str) -> list[Text]:
    """ROWS lines of bars for values within 0..1, coloured where `on`; the name and the scale stand before them."""
    from rich.text import Text

    blocks = writable_blocks()
    steps = (values.clip(0, 1) * ROWS * (len(blocks) - 1)).round().astype(int)
    labels = [f"{name[: MARGIN - len(top) - 2]:<{MARGIN - len(top) - 1}}{top} ", *[" " * MARGIN] * (ROWS - 2)]
    lines = []
    for row, label in zip(range(ROWS - 1, -1, -1), [*labels, f"{bottom:>{MARGIN - 1}} "], strict=True):
        line = Text(label, no_wrap=True)
        for step, hot in zip(steps - row * (len(blocks) - 1), on, strict=True):
            line.append(blocks[min(max(step, 0), len(blocks) - 1)], "bold green" if hot else "bright_black")
        lines.append(line)
    return lines


def axis(seconds: float, columns: int) -> Text:
    """The time under the curves, a label a second."""
    from rich.text import Text

    line = [" "] * (columns + 8)
    for second in range(int(seconds) + 1):
        place = round(second / seconds * columns)
        label = f"{second} s" if second == 0 else str(second)
        line[place : place + len(label)] = label
    return Text(" " * MARGIN + "".join(line).rstrip(), no_wrap=True)


def writable_blocks() -> str:
    """Blocks of growing height, of characters that the terminal's encoding has."""
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return ASCII
    return BLOCKS


def ending(figures: dict[str, Any]) -> list[str]:
    """What was found, how fast, and what to try next."""
    spoken = ", ".join(f"{a:.1f}-{b:.1f} s" for a, b in figures["segments"])
    return [
        "",
        f"Speech: {spoken or 'none'}",
        f"Speed:  {figures['microseconds_a_frame']:.1f} microseconds a frame on one core "
        f"({figures['instruction_set']}), {figures['times_real_time']:,.0f} times real time",
        "",
        "Next:   edgernn convert yours.onnx -o yours.edgernn --quantize int8",
        "        edgernn run yours.edgernn sound.wav",
        "        edgernn bench yours.edgernn",
    ]
