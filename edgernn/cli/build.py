"""edgernn build: a model compiled for another machine, as a folder that needs neither edgernn nor a compiler there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgernn.cli.console import as_json

if TYPE_CHECKING:
    from edgernn.compiler.targets import Target


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--target", "name", help="The machine it is for, by the names that --list shows.")
@click.option("--cpu", help="With --triple: the processor, by LLVM's name.")
@click.option("--triple", help="With --cpu: the system, by LLVM's name, as aarch64-unknown-linux-gnu.")
@click.option(
    "-o", "--output", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path), help="The folder to write."
)
@click.option(
    "--beside",
    is_flag=True,
    help="Leave weights and program out of the library: they come in an .edgernn file beside it, which that of another"
    " model of the same form can replace.",
)
@click.option("--list", "listing", is_flag=True, help="Show the targets and what each has.")
@as_json
def command(
    model: Path | None,
    name: str | None,
    cpu: str | None,
    triple: str | None,
    output: Path | None,
    beside: bool,
    listing: bool,
    as_json: bool,
) -> None:
    """Compile MODEL (.edgernn) for a machine: shared and static library, C header and example, Python module."""
    import edgernn
    from edgernn.cli import console

    if listing:
        show_targets(as_json)
        return
    if model is None or output is None:
        raise click.UsageError("name a model, a target and a folder: edgernn build MODEL --target rpi4 -o FOLDER")
    target = chosen(name, cpu, triple)
    from edgernn.compiler.bundle import build

    loaded = edgernn.load(model)
    if loaded.settings:
        console.say(f"note: {' and '.join(loaded.settings)} stay in {model}: what is built takes frames of features")
    with console.working(f"building for {target.name}"):
        manifest = build(loaded, model.stem, target, output, edgernn.__version__, inside=not beside)
    sizes = {file: (output / file).stat().st_size for file in manifest["files"]}
    if as_json:
        console.print_json(manifest | {"bytes": sizes})
        return
    rows = [(file, console.size(size)) for file, size in sizes.items()]
    console.out().print(console.table(("file", "size "), rows))
    console.say(f"{output}: {target.name}, {target.what}; copy the folder, then see {output / 'edgernn_device.py'}")


def chosen(name: str | None, cpu: str | None, triple: str | None) -> Target:
    """The target that the options name."""
    from edgernn.compiler import linker, targets

    if bool(cpu) != bool(triple) or bool(cpu) == bool(name):
        raise click.UsageError("name either --target (see --list), or --cpu and --triple")
    try:
        if name:
            return targets.named(name)
        target = targets.processor(cpu or "", triple or "")
        linker.check()
        return targets.best(target, linker.features(target))
    except targets.UnknownTarget as error:
        raise click.UsageError(str(error)) from None


def show_targets(as_json: bool) -> None:
    """The table of targets."""
    from edgernn.cli import console
    from edgernn.compiler import targets
    from edgernn.errors import BackendUnavailable

    known = dict(targets.TARGETS)
    try:
        known = {targets.HOST: targets.host(), **known}
    except BackendUnavailable as error:
        console.say(str(error))
    facts: list[dict[str, Any]] = [
        {
            "target": target.name,
            "machine": target.what,
            "instruction_set": target.isa,
            "processor": target.cpu or target.kernels.cpu,
            "system": target.triple,
            "needs": list(target.needs),
        }
        for target in known.values()
    ]
    if as_json:
        console.print_json(facts)
        return
    rows = [(f["target"], f["machine"], f["instruction_set"], f["processor"], " ".join(f["needs"])) for f in facts]
    console.out().print(console.table(("target", "machine", "kernels", "processor", "needs"), rows))
