"""How much memory there is for what is about to be allocated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgernn.errors import BadInput

MEMINFO, MEMBER = Path("/proc/meminfo"), Path("/proc/self/cgroup")
# of Linux control groups, versions 2 and 1: how a line of MEMBER says which is meant, where they are, the files of
# limit and use, what the lines of the third begin with
GROUPS = (
    ("", Path("/sys/fs/cgroup"), "memory.max", "memory.current", ""),
    ("memory", Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)


def available() -> int | None:
    """Bytes that this process may still take, as far as the system says; None where it does not."""
    found = [1024 * n for n in _lines(MEMINFO, "MemAvailable:")]
    for folder, limit, used, prefix in _groups():
        words = _text(folder / limit).strip(), _text(folder / used).strip()
        if all(word.isdigit() for word in words):
            cached = _lines(
                folder / "memory.stat", f"{prefix}inactive_file", f"{prefix}active_file"
            )  # given back at need
            found.append(max(0, int(words[0]) - int(words[1]) + sum(cached)))
    return min(found, default=None)


def _groups() -> Iterator[tuple[Path, str, str, str]]:
    """The control groups that this process is in, each with those around it: any of them may have a limit."""
    lines = (line.split(":", 2) for line in _text(MEMBER).splitlines())
    member = {name: path for _, names, path in lines for name in names.split(",")}
    for name, root, limit, used, prefix in GROUPS:
        own = root / member.get(name, "").lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(root):
                yield folder, limit, used, prefix


def _lines(path: Path, *names: str) -> list[int]:
    """The numbers behind these names."""
    lines = (line.split() for line in _text(path).splitlines())
    return [int(words[1]) for words in lines if words and words[0] in names]


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
