"""edgernn run: a file or standard input through a model, decisions or answers as they come."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgernn.errors import plain

if TYPE_CHECKING:
    from edgernn.layers.model import Model


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("source", metavar="INPUT")
@click.option("--answers", is_flag=True, help="Write the answers of a model that decides, not its decisions.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON lines.")
def command(model: Path, source: str, answers: bool, as_json: bool) -> None:
    """Run MODEL (.edgernn) on INPUT and write its decisions, or an answer a frame as CSV, on standard output.

    INPUT is a sound file, a .csv (a row of numbers a line), .npy (rows, numbers) or .jsonl file (a list a line, or an
    object of lists by input), or - for CSV or JSON lines on standard input. For a model with a front end (convert
    --features) it holds samples: sound, which is resampled and mixed to one channel as need be, or rows of sensors. For
    others it holds frames, of a sound as many samples as the model takes.
    """
    import edgernn

    loaded = edgernn.load(model)
    if loaded.frontend is None:
        _run_frames(loaded, source, as_json)
    elif loaded.deciding is None or answers:
        _run_answers(loaded, source, as_json)
    else:
        _run_decisions(loaded, source, as_json)


def _run_frames(loaded: Model, source: str, as_json: bool) -> None:
    """Answers to frames."""
    import edgernn
    from edgernn.cli.console import say
    from edgernn.pipelines import read_frames

    frames = read_frames(source, loaded.inputs, say)
    stream = loaded.stream()
    _begin(loaded, as_json)
    count = 0
    for chunk in frames:
        try:
            answers = stream.run(chunk)
        except edgernn.BadInput as error:
            raise edgernn.BadInput(f"{source}, in the frames from number {count} on: {error}") from None
        count += len(chunk[loaded.inputs[0].name] if isinstance(chunk, dict) else chunk)
        _write(loaded, answers, as_json)
    if not count and source != "-":
        raise edgernn.BadInput(f"{source} holds not one frame")
    elif not count:  # standard input may well end before it begins
        say("standard input ended before a frame came")
    elif count < loaded.window:
        say(f"{source} holds {count} frames; the first answer comes after {loaded.window}")


def _run_answers(loaded: Model, source: str, as_json: bool) -> None:
    """Answers to what the front end makes of samples."""
    from edgernn.cli.console import say
    from edgernn.pipelines.sources import open_source

    pipeline, count = loaded.pipeline(), 0
    with open_source(source, pipeline.rate, pipeline.frontend.channels, say=say) as blocks:
        _begin(loaded, as_json)
        for block in blocks:
            filling = pipeline.bridge(block.gap) if block.gap else pipeline.nothing
            if filling is None:
                pipeline.gap(block.gap)
            elif len(filling):
                count += _write(loaded, pipeline.answers(filling), as_json)
            count += _write(loaded, pipeline.answers(block.samples), as_json)
        count += _write(loaded, pipeline.answers(pipeline.nothing, end=True), as_json)
        if not count:
            say(f"{source}: no answer in {blocks.time:.2f} s")


def _run_decisions(loaded: Model, source: str, as_json: bool) -> None:
    """Decisions, as they become known."""
    from edgernn.cli.console import say
    from edgernn.cli.watching import Lines
    from edgernn.pipelines.listening import listen
    from edgernn.pipelines.sources import open_source

    pipeline, lines, count = loaded.pipeline(), Lines(as_json), 0
    with open_source(source, pipeline.rate, pipeline.frontend.channels, say=say) as blocks:
        for found in listen(pipeline, blocks):
            count += len(found)
            lines.update(found)
        if not count:
            say(f"{source}: no decision in {blocks.time:.2f} s")


def _begin(model: Model, as_json: bool) -> None:
    if not as_json:
        sys.stdout.write(header(model) + "\n")


def _write(model: Model, answers: Any, as_json: bool) -> int:
    """Write the answers; how many there are."""
    lines = [f"{line}\n" for line in (json_lines if as_json else csv_lines)(model, answers)]
    sys.stdout.writelines(lines)
    sys.stdout.flush()
    return len(lines)


def header(model: Model) -> str:
    """The names of the columns: that of a port of one number, else the port's with the place of the number."""
    names = (p.name if p.size == 1 else f"{p.name}.{i}" for p in model.outputs for i in range(p.size))
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(map(plain, names))
    return line.getvalue()


def csv_lines(model: Model, answers: Any) -> Iterator[str]:
    """A row of numbers for each frame of the answers."""
    for parts in by_frame(model, answers):
        yield ",".join(str(number) for part in parts for number in part)


def json_lines(model: Model, answers: Any) -> Iterator[str]:
    """A list for each frame of the answers, or an object of lists where the model has several outputs.

    Numbers that are infinite or none become null.
    """
    names = [json.dumps(port.name) for port in model.outputs]
    for parts in by_frame(model, answers):
        lists = [f"[{', '.join(str(n) if math.isfinite(n) else 'null' for n in part)}]" for part in parts]
        if len(lists) == 1:
            yield lists[0]
        else:
            yield "{" + ", ".join(f"{name}: {text}" for name, text in zip(names, lists, strict=True)) + "}"


def by_frame(model: Model, answers: Any) -> Iterator[tuple[Any, ...]]:
    """For each frame the numbers of every output port."""
    ports = model.outputs
    arrays = [answers] if len(ports) == 1 else [answers[port.name] for port in ports]
    return zip(*(array.reshape(len(array), port.size) for array, port in zip(arrays, ports, strict=True)), strict=True)
