"""edgernn serve: a model for many clients at once, over WebSocket and HTTP."""

from __future__ import annotations

import os
from pathlib import Path

import click

from edgernn.cli.console import Finite

TOKEN = "EDGERNN_TOKEN"


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="Port to listen at.")
@click.option("--streams", default=256, show_default=True, type=click.IntRange(1), help="Connections at a time.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads that compute.")
@click.option("--deadline", default=10.0, show_default=True, type=Finite(0), help="Milliseconds to answer in.")
@click.option("--rate", type=Finite(0.1), help="Frames a second that a client may send (4 x real time).")
@click.option("--message", default=1 << 20, show_default=True, type=click.IntRange(64), help="Bytes in a message.")
@click.option("--keep", default=300.0, show_default=True, type=Finite(0), help="Seconds to keep a state.")
def command(
    model: Path,
    host: str,
    port: int,
    streams: int,
    threads: int,
    deadline: float,
    rate: float | None,
    message: int,
    keep: float,
) -> None:
    """Serve MODEL (.edgernn): each connection has a stream of its own, all are computed together.

    ws://HOST:PORT/stream takes binary messages and answers each (?input=frames|samples&format=float32|int16
    &output=answers|decisions|live&resume=TOKEN), POST /run takes one body, /metrics is for Prometheus, /healthz says
    that the server runs, and / is a page that listens to the browser's microphone.

    At any address but loopback clients must show a bearer token: that of the environment variable EDGERNN_TOKEN, else
    one that is made and printed.
    """
    from secrets import token_urlsafe

    import edgernn
    from edgernn.cli.console import say

    try:
        from edgernn.serving.app import Server
        from edgernn.serving.running import listening, serve
    except ImportError as error:
        raise edgernn.BackendUnavailable(f'{error.name} is missing: pip install "edgernn[serve]"') from None
    from edgernn.serving.guard import is_loopback
    from edgernn.serving.limits import Limits, usual_rate

    loaded = edgernn.load(model)
    limits = Limits(streams, message, rate or usual_rate(loaded), deadline / 1000, keep=keep)
    token = os.environ.get(TOKEN, "").strip()
    if not token.isascii():
        raise edgernn.BadInput(f"{TOKEN} holds characters that no HTTP header can show; take letters and digits")
    server = Server(loaded, limits, threads, token or ("" if is_loopback(host) else token_urlsafe(24)))
    with listening(host, port) as there:
        if server.token and not token:
            say(f"clients must show this token: {server.token} (set {TOKEN} to choose one)")
        shown = f"[{host}]" if ":" in host else host
        say(f"{model}: {streams} streams at http://{shown}:{there.getsockname()[1]}/ (Ctrl-C ends)")
        serve(server, there)
