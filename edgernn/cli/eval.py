"""edgernn eval: a model's decisions on labelled recordings, against what should be heard."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgernn.cli.console import as_json

if TYPE_CHECKING:
    from edgernn.pipelines.evaluation import Evaluation, Heard, Point
    from edgernn.pipelines.scoring import Outcome


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--det",
    metavar="FILE.png",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw false rejects against false accepts over all thresholds (a DET curve).",
)
@as_json
def command(model: Path, folder: Path, det: Path | None, as_json: bool) -> None:
    """Run MODEL (.edgernn) on the labelled recordings of FOLDER and say how often its decisions are right.

    FOLDER/LABEL/*.wav are clips, each a stream of its own; what the model does not decide on is background.
    FOLDER/labels.csv, with the columns file,start,end,label (seconds), is for long recordings; a file in which nothing
    is to be heard stands there by its name alone.

    A decision counts for a stretch of its label that it overlaps, up to 0.5 s after the end; one that overlaps none is
    a false accept, a stretch without one a false reject. Latency is the time from the start (and from the end) of a
    stretch until the decision is told.
    """
    import edgernn
    from edgernn.cli import console
    from edgernn.cli.plot import blank, error_curve
    from edgernn.pipelines.evaluation import Evaluation

    figure = blank(det) if det else None
    loaded = edgernn.load(model)
    evaluation = Evaluation(loaded)
    heard = listened(evaluation, folder)
    outcome = evaluation.outcome(heard)
    points: list[Point] = []
    if figure and det:
        points = [evaluation.point(heard, t) for t in console.progress(evaluation.thresholds(heard), "thresholds")]
        error_curve(figure, points, evaluation.own_point(outcome), f"{model.name} on {folder.name}", det)
    if as_json:
        console.print_json({**figures(outcome), **({"det": [vars(point) for point in points]} if det else {})})
    else:
        show(outcome)


def listened(evaluation: Evaluation, folder: Path) -> list[Heard]:
    """Every recording of the folder through features and model; what is said of many is said once."""
    from edgernn.cli import console
    from edgernn.pipelines.truth import read_truth

    deciding = evaluation.deciding
    labels = [label for label in deciding.labels if label not in deciding.ignored]
    remarks: Counter[str] = Counter()
    heard = []
    for one in console.progress(read_truth(folder, labels, console.say), "listening"):
        said: list[str] = []
        heard.append(evaluation.listen(one, said.append))
        remarks.update(text.removeprefix(f"{one.path}: ") for text in said)
    for remark, count in remarks.items():
        console.say(f"{count} recording{'s' if count > 1 else ''}: {remark}")
    return heard


def figures(outcome: Outcome) -> dict[str, Any]:
    """The outcome as plain data."""
    from edgernn.pipelines.scoring import quantiles

    confusion: dict[str, dict[str, int]] = {}
    for (truth, decided), count in sorted(outcome.confusion.items()):
        confusion.setdefault(truth, {})[decided] = count
    return {
        "recordings": outcome.recordings,
        "seconds": outcome.seconds,
        "accuracy": outcome.accuracy,
        "stretches": outcome.stretches,
        "false_rejects": outcome.false_rejects,
        "false_accepts": outcome.false_accepts,
        "false_accepts_an_hour": outcome.false_accepts_an_hour,
        "latency": quantiles(outcome.latencies),
        "latency_from_end": quantiles(outcome.from_end),
        "confusion": confusion,
    }


def show(outcome: Outcome) -> None:
    """The confusion matrix, and the figures below it."""
    from edgernn.cli import console
    from edgernn.pipelines.scoring import NONE, quantiles

    out = console.out()
    names = sorted({name for pair in outcome.confusion for name in pair} - {NONE})
    rows = [[truth, *(outcome.confusion[truth, made] or "." for made in (*names, NONE))] for truth in (*names, NONE)]
    out.print(console.table(["is \\ decided", *(f"{name} " for name in (*names, NONE))], rows))
    out.print()
    stretches = outcome.stretches
    lines = [
        ("recordings", f"{outcome.recordings:,}, {outcome.seconds / 3600:.3g} hours"),
        ("accuracy", f"{100 * outcome.accuracy:.2f} %"),
        ("false rejects", f"{outcome.false_rejects:,} of {stretches:,}"),
        ("false accepts", f"{outcome.false_accepts:,}, {outcome.false_accepts_an_hour:.3g} an hour"),
    ]
    for name, held in (("latency", outcome.latencies), ("latency from the end", outcome.from_end)):
        if found := quantiles(held):
            lines.append((name, f"median {found['median']:.3f} s, 90 % within {found['p90']:.3f} s"))
    out.print(console.table(("", ""), lines))
