"""Every error a user can meet. Each message says what came, what was expected and what to do.

In: nothing. Out: exception classes. May import: the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


def plain(text: str) -> str:
    """Text that came from a file, safe for a terminal: control characters other than line ends are spelt out."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def brief(text: str, most: int = 400) -> str:
    """Text without its middle where it is longer than so many characters: it may hold some that came from a file."""
    return text if len(text) <= most else f"{text[: most - most // 4]} ... {text[-(most // 4) :]}"


def shown(value: object) -> str:
    """A value as Python writes it, in 40 characters at most."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


class EdgernnError(Exception):
    """The base of every error that edgernn raises on purpose. What a file may have smuggled into it is spelt out."""

    LONGEST = 2000  # characters of a message

    def __init__(self, message: str = ""):
        super().__init__(brief(plain(message.replace("\n", "\\n")), self.LONGEST))


class Problem(NamedTuple):
    """One reason why a graph cannot run: which node, what about it, why, and what the user can do."""

    node: str
    operator: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.operator} '{self.node}'" if self.operator else f"'{self.node}'"
        text = f"{place}: {self.what}" + (f" -> {self.remedy}" if self.remedy else "")
        return brief(plain(text.replace("\n", "\\n")), EdgernnError.LONGEST)


class UnsupportedModel(EdgernnError):
    """The graph has something that is not implemented or cannot stream. `problems` lists all of it at once."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        Exception.__init__(
            self, f"the model cannot be streamed ({count}):\n" + "\n".join(f"  - {p}" for p in self.problems)
        )

    def __reduce__(self) -> tuple[type[UnsupportedModel], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class BadModelFile(EdgernnError):
    """A model file is truncated, altered, hostile or of a newer format. Nothing was loaded."""


class BadInput(EdgernnError, ValueError):
    """Input of the wrong shape or dtype, or not finite, or a setting that does not fit. A stream's state is kept."""


class RefusedStreams(BadInput):
    """Streams of a pool whose frames hold a bad number: they are as before the call, the others have taken theirs.

    reasons: stream -> why. answers: what the call gives, without those streams' answers.
    """

    SHOWN = 5  # in the message

    def __init__(self, reasons: Mapping[int, str], answers: Any):
        self.reasons, self.answers = dict(reasons), answers
        count = f"{len(reasons)} stream{'s' if len(reasons) != 1 else ''}"
        shown = list(self.reasons.items())[: self.SHOWN]
        lines = [f"  - stream {stream}: {BadInput(why)}" for stream, why in shown]
        lines += [f"  and {len(reasons) - len(shown)} more"] if len(reasons) > len(shown) else []
        text = f"{count} refused (the others went on; the error holds their answers):"
        Exception.__init__(self, "\n".join([text, *lines]))

    def __reduce__(self) -> tuple[type[RefusedStreams], tuple[dict[int, str], Any]]:
        return type(self), (self.reasons, self.answers)


class BackendUnavailable(EdgernnError):
    """No GPU, compiler or microphone; the message says how to get it."""
