"""edgernn listen: a source through a model, live, with decisions."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgernn.cli.executing import Program
    from edgernn.cli.watching import Shown
    from edgernn.pipelines.decide import Decision
    from edgernn.pipelines.pipeline import Pipeline

BLOCKS = 0.01, 0.1  # seconds of the shortest and of the longest block of what is heard live


def checked_pcm(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """The text, once it is known to say how sound is written."""
    from edgernn.errors import BadInput
    from edgernn.pipelines.sources.decode import Pcm

    try:
        return text if text is None or Pcm.parse(text) else None
    except BadInput as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("source", default="mic")
@click.option("--json", "as_json", is_flag=True, help="Write each decision as a line of JSON.")
@click.option("--exec", "program", metavar="CMD", help="Start CMD for each decision (see below).")
@click.option(
    "--pcm",
    metavar="RATE[,CHANNELS[,FORMAT]]",
    callback=checked_pcm,
    help="Bytes are sound: int16 (the default) or float32.",
)
@click.option("--follow", is_flag=True, help="At the end of a table, wait for more.")
@click.option("--realtime", is_flag=True, help="Play a file at its own speed.")
def command(
    model: Path, source: str, as_json: bool, program: str | None, pcm: str | None, follow: bool, realtime: bool
) -> None:
    """Listen to SOURCE with MODEL (.edgernn) and tell what it decides, until the source ends, Ctrl-C or SIGTERM.

    SOURCE is one of these; what comes as bytes is lines of CSV or JSON, or sound with --pcm:

    \b
    mic, mic:2, mic:USB           the default microphone, that of a number, that whose name holds a word
    sound.wav                     a sound file: wav, flac, ogg, mp3, aiff
    table.csv, rows.jsonl, x.npy  rows of numbers
    -                             standard input
    udp://127.0.0.1:5005          the packets that arrive at an address of this machine
    tcp://HOST:PORT               what a server sends
    mqtt://HOST/TOPIC             messages of a topic; mqtt://USER:PASSWORD@HOST:PORT/TOPIC
    serial:/dev/ttyUSB0?baud=N    a serial line (115200 baud unless another is given)

    A source that goes away is waited for. What is lost, refused or late is said on standard error as it happens, and
    counted. On a terminal the scores are drawn live; elsewhere each decision is a line.

    CMD is run without a shell, up to 4 at once, and finds EDGERNN_LABEL, EDGERNN_SCORE, EDGERNN_START and EDGERNN_END
    (seconds of the stream) in its environment.
    """  # noqa: D301  # click reads \\b as "as it stands"
    import edgernn
    from edgernn.cli.console import say
    from edgernn.cli.executing import Program
    from edgernn.cli.watching import shown
    from edgernn.pipelines.listening import listen
    from edgernn.pipelines.sources import NoSource, open_source

    act = Program(program, say) if program is not None else None
    pipeline = edgernn.load(model).pipeline()
    front, count = pipeline.model.frontend, 0
    if front is None or pipeline.model.deciding is None:
        raise edgernn.BadInput(f"{model} has no decisions: convert it with --decisions")
    try:
        opened = open_source(
            source, front.rate, front.channels,
            pcm=pcm, follow=follow, realtime=realtime, block=between_answers(pipeline), say=say,
        )  # fmt: skip
    except NoSource as error:
        raise click.UsageError(str(error)) from None
    with suppress(KeyboardInterrupt), opened, shown(pipeline, opened, as_json) as screen:
        with suppress(KeyboardInterrupt):
            for found in listen(pipeline, opened):
                count += len(found)
                tell(found, screen, act)
        rest = pipeline.finish()  # of what was on when it was interrupted
        count += len(rest)
        tell(rest, screen, act)
    if act:
        act.finish()
    say(f"{opened.time:.1f} s heard, {count} decisions; {opened.tally}")


def between_answers(pipeline: Pipeline) -> float:
    """Seconds from one answer to the next, within BLOCKS: to be woken more often costs power and brings nothing."""
    shortest, longest = BLOCKS
    return min(max(shortest, pipeline.model.hop * pipeline.frontend.seconds), longest)


def tell(found: list[Decision], screen: Shown, act: Program | None) -> None:
    """Show these decisions and act on them."""
    screen.update(found)
    if act:
        act.start(found)
