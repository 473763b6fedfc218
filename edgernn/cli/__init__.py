"""The command line: one file a command, loaded when it is used.

In: arguments. Out: text or JSON on standard output, progress and errors on standard error, exit status 0, 1 (an error,
or past a limit) or 2 (usage). May import: every room, click, rich; at module level click only, so that --help is quick.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from typing import Any

from edgernn.cli.starting import EndedAtOnce

with EndedAtOnce():
    import click

    import edgernn

COMMANDS = (
    "demo", "convert", "inspect", "verify", "run", "eval", "listen", "generate", "bench", "build", "serve", "doctor",
)  # fmt: skip


class Commands(click.Group):
    """Commands by name, each imported when it is needed; the one place where errors become messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"edgernn.cli.{cmd_name}").command
        return command

    def main(self, *args: Any, **options: Any) -> Any:
        """As click's, where output cannot be written too."""
        try:
            if sys.stdout is None:
                raise OSError("standard output is closed")
            if isinstance(sys.stdout, TextIOWrapper):  # a label that the terminal's encoding lacks ends nothing
                sys.stdout.reconfigure(errors="backslashreplace")
            return super().main(*args, **options)
        except (OSError, KeyboardInterrupt) as error:
            click.echo(f"error: {_explain(error)}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; say in words what went wrong, with a traceback only where --debug asks for it."""
        try:
            with ended_alike():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if ctx.params["debug"]:
                traceback.print_exc()
                ctx.exit(1)
            click.echo(f"error: {_explain(error)}", err=True)
            ctx.exit(1)


@contextmanager
def ended_alike() -> Iterator[None]:
    """Inside, the end of a service (SIGTERM) or a terminal (SIGHUP) is as Ctrl-C is: nothing is left half made."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}  # of nohup
    for number in before:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _explain(error: BaseException) -> str:
    from edgernn.errors import plain

    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.strerror:
        return plain(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    if isinstance(error, (edgernn.EdgernnError, OSError)):
        return plain(str(error))
    return plain(f"{type(error).__name__}: {error} (unexpected: edgernn --debug shows where it comes from)")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(edgernn.__version__, package_name="edgernn", message="edgernn %(version)s")
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
def main(debug: bool) -> None:
    """Runs trained recurrent networks from ONNX files, one timestep at a time.

    Start with: edgernn demo
    """
