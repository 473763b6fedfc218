"""edgernn inspect: what is in a model file, or what an ONNX file would become and what would stop it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgernn.cli.console import as_json
from edgernn.cli.settings import settings

if TYPE_CHECKING:
    from edgernn.importer import Report
    from edgernn.layers.model import Model


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@settings
@as_json
def command(file: Path, as_json: bool, **given: Any) -> None:
    """Show the layers, ports, state, memory and cost of FILE (.edgernn or .onnx).

    Of an ONNX file it also shows which inputs and outputs were paired as states, and every problem that would stop it
    from converting; the exit status is 1 where there is one. The options are those of convert, for ONNX files.
    """
    from edgernn.cli import console

    is_onnx = file.suffix.lower() == ".onnx"
    if any(given.values()) and not is_onnx:
        raise click.UsageError(f"the options of convert are for ONNX files; {file} is none")
    with console.working(f"reading {file}"):
        report = analysed(file, **given) if is_onnx else None
        model = report.model if report else loaded(file)
        built = 0 if is_onnx else for_a_library(file)
    if as_json:
        found = {**(described(model) if model else {}), **(findings(report) if report else {"built_bytes": built})}
        console.print_json({"file": str(file), **found})
    else:
        if model:
            show(model, built)
        if report:
            show_findings(report)
    if model is None:
        raise click.exceptions.Exit(1)


def loaded(file: Path) -> Model:
    """The model of an .edgernn file."""
    import edgernn

    return edgernn.load(file)


def for_a_library(file: Path) -> int:
    """How many bytes of an .edgernn file are for a library that `edgernn build --beside` made."""
    from edgernn.modelfile.container import built_bytes

    return built_bytes(file.read_bytes())


def analysed(file: Path, **given: Any) -> Report:
    """What the importer says of an ONNX file, which is said on standard error too where it is likely wrong."""
    from edgernn.cli import console
    from edgernn.cli.checking import remark
    from edgernn.cli.starting import reader
    from edgernn.conversion import analyse

    reader()
    report = analyse(file, **given)
    for line in map(remark, report.notes):
        if line.startswith("warning"):
            console.say(line)
    return report


def memory(model: Model) -> dict[str, dict[str, int]]:
    """Bytes by instruction set: weights as they are packed, state, and scratch of one stream."""
    from edgernn.cli import console
    from edgernn.kernels.isas import ISAS
    from edgernn.kernels.panels import CpuBackend
    from edgernn.planner import make_plan

    with console.working("laying out the memory"):
        return {isa.name: dict(make_plan(model, CpuBackend(isa)).memory) for isa in ISAS.values()}


def described(model: Model) -> dict[str, Any]:
    """The model as plain data."""
    from edgernn.layers.summary import node_facts, weight_bytes

    return {
        "inputs": [asdict(port) for port in model.inputs],
        "outputs": [asdict(port) for port in model.outputs],
        "states": [{"name": s.name, "shape": list(s.initial.shape)} for s in model.states],
        "nodes": [row._asdict() for row in node_facts(model)],
        "parameters": model.parameters,
        "weight_bytes": weight_bytes(model),
        "macs": model.macs,
        "hop": model.hop,
        "delay": model.delay,
        "alphabet": model.alphabet,
        **model.settings,
        "memory": memory(model),
        "origin": dict(model.origin),
        "hash": model.hash,
    }


def show(model: Model, built: int) -> None:
    """Layer table, totals, memory, bytes for a built library, and origin."""
    from edgernn.cli import console
    from edgernn.layers.summary import COLUMNS, facts, node_facts

    out = console.out()
    columns = [*COLUMNS[:4], *(f"{column} " for column in COLUMNS[4:])]
    out.print(console.table(columns, (row.cells() for row in node_facts(model))))
    rows = [*facts(model)]
    for isa, parts in memory(model).items():
        rows.append((f"memory, {isa}", ", ".join(f"{name} {console.size(n)}" for name, n in parts.items())))
    if built:
        size = console.size(built)
        rows.append(("built", f"weights and program for the library beside it, {size}, which edgernn does not check"))
    rows += [(name, text) for name, text in flat(model.origin)]
    out.print()
    out.print(console.table(("", ""), rows))


def flat(origin: Any, before: str = "") -> list[tuple[str, str]]:
    """(name, text) of everything in the origin, groups with their names joined by dots."""
    rows: list[tuple[str, str]] = []
    for name, value in origin.items():
        if isinstance(value, dict):
            rows += flat(value, f"{before}{name}.")
        elif value != []:
            rows.append((f"{before}{name}", text(value)))
    return rows


def text(value: Any) -> str:
    """A value of the origin in a line."""
    if isinstance(value, list):
        return "; ".join(map(text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def findings(report: Report) -> dict[str, Any]:
    """What the importer found in an ONNX file, as plain data."""
    return {
        "converts": report.model is not None,
        "problems": [problem._asdict() for problem in report.problems],
        "time": report.time,
        "time_axes": dict(report.time_axes),
        "state_pairs": [list(pair) for pair in report.states],
        "notes": list(report.notes),
    }


def show_findings(report: Report) -> None:
    """Time axis, state pairs, notes and problems of an ONNX file."""
    from edgernn.cli import console

    pairs = ", ".join(f"{name} <- {output}" for name, output in report.states)
    rows = [("time", report.time), *([("states", pairs)] if pairs else []), *(("note", note) for note in report.notes)]
    rows += [("problem", str(problem)) for problem in report.problems]
    rows.append(("converts", "yes" if report.model else "no"))
    console.out().print(console.table(("", ""), rows))
