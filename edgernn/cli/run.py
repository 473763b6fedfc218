"""edgernn run: a file or standard input through a model, answers as they come."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edgernn.layers.model import Model


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("source", metavar="INPUT")
@click.option("--json", "as_json", is_flag=True, help="Write JSON lines instead of CSV.")
def command(model: Path, source: str, as_json: bool) -> None:
    """Run MODEL (.edgernn) on INPUT and write an answer a frame on standard output.

    INPUT is a .wav (mono; a frame is as many samples as the model takes), .csv (a frame a row), .npy (frames, numbers)
    or .jsonl file (a list, or an object of lists by input, a line), or - for CSV or JSON lines on standard input.
    """
    import edgernn
    from edgernn.cli.console import say
    from edgernn.pipelines import read_frames

    loaded = edgernn.load(model)
    frames = read_frames(source, loaded.inputs, say)
    stream = loaded.stream()
    if not as_json:
        sys.stdout.write(header(loaded) + "\n")
    count = 0
    for chunk in frames:
        try:
            answers = stream.run(chunk)
        except edgernn.BadInput as error:
            raise edgernn.BadInput(f"{source}, in the frames from number {count} on: {error}") from None
        count += len(chunk[loaded.inputs[0].name] if isinstance(chunk, dict) else chunk)
        sys.stdout.writelines(f"{line}\n" for line in (json_lines if as_json else csv_lines)(loaded, answers))
        sys.stdout.flush()
    if not count and source != "-":  # standard input may well end before it begins
        raise edgernn.BadInput(f"{source} holds not one frame")
    elif count < loaded.window:
        say(f"{source} holds {count} frames; the first answer comes after {loaded.window}")


def header(model: Model) -> str:
    """The names of the columns: that of a port of one number, else the port's with the place of the number."""
    return ",".join(
        port.name if port.size == 1 else f"{port.name}.{i}" for port in model.outputs for i in range(port.size)
    )


def csv_lines(model: Model, answers: Any) -> Iterator[str]:
    """A row of numbers for each frame of the answers."""
    for parts in by_frame(model, answers):
        yield ",".join(str(number) for part in parts for number in part)


def json_lines(model: Model, answers: Any) -> Iterator[str]:
    """A list for each frame of the answers, or an object of lists where the model has several outputs."""
    names = [json.dumps(port.name) for port in model.outputs]
    for parts in by_frame(model, answers):
        lists = [f"[{', '.join(map(str, part))}]" for part in parts]
        if len(lists) == 1:
            yield lists[0]
        else:
            yield "{" + ", ".join(f"{name}: {text}" for name, text in zip(names, lists, strict=True)) + "}"


def by_frame(model: Model, answers: Any) -> Iterator[tuple[Any, ...]]:
    """For each frame the numbers of every output port."""
    ports = model.outputs
    arrays = [answers] if len(ports) == 1 else [answers[port.name] for port in ports]
    return zip(*(array.reshape(len(array), port.size) for array, port in zip(arrays, ports, strict=True)), strict=True)
