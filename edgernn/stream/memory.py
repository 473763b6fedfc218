"""How much memory there is for what is about to be allocated."""

from __future__ import annotations

from pathlib import Path

from edgernn.errors import BadInput

MEMINFO = Path("/proc/meminfo")
# limit and use of a Linux control group: versions 2 and 1
GROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def available() -> int | None:
    """Bytes that this process may still take, as far as the system says; None where it does not."""
    found = []
    for line in _text(MEMINFO).splitlines():
        if line.startswith("MemAvailable:"):
            found.append(1024 * int(line.split()[1]))
    for limit, used in GROUPS:
        words = _text(limit).strip(), _text(used).strip()
        if all(word.isdigit() for word in words):
            found.append(max(0, int(words[0]) - int(words[1])))
    return min(found, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def check_room(n: int, each: int, shared: int) -> None:
    """Raises BadInput, with how many there could be, where n things of `each` bytes, and some shared, don't fit."""
    free = available()
    if free is not None and n * each + shared > free:
        most = max(0, free - shared) // each
        raise BadInput(
            f"{n:,} streams take {n * each + shared:,} bytes and {free:,} are free: there can be {most:,} at most"
        )
