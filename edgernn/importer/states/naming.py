"""Naming: what the names of a step graph's inputs and outputs say of which are states, and which belong together."""

from __future__ import annotations

import re
from functools import cache

# Words that tell a state's old value from its new one, and words that only states have in their names
FILLERS = {"in", "out", "input", "output", "next", "prev", "previous", "new", "old", "initial", "init", "final", "last"}
FILLERS |= {"n", "0"}
STATELY = {"h", "c", "hx", "cx", "hidden", "cell", "state", "states", "cache", "mem", "memory", "buf", "buffer"}
STATELY |= {"context"}
BEFORE = {"prev", "previous", "old", "last", "initial", "init"}
FRAMELY = {"audio", "feats", "features", "frame", "mel", "samples", "signal", "speech", "wav", "waveform"}


def follows(name: str, output: str) -> bool:
    """Whether an output is called what the next value of an input would be: hn of h, hn_1 of h_1."""
    before, after = key(name), key(output)
    if before == "" or len(after) != len(before) + 1:
        return before == after != ""
    end = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
    return after == f"{before[:end]}n{before[end:]}" and before[end : end + 1] in ("", "_")


def stately(name: str) -> bool:
    """Whether an input is called a state: it is one even where its next value does not depend on it, as of a cache."""
    return not STATELY.isdisjoint(key(name).split("_")) or (key(name) == "" and not BEFORE.isdisjoint(words_of(name)))


def framely(name: str) -> bool:
    """Whether an input is called a frame, and not one of before."""
    words = {*words_of(name)}
    return not (FRAMELY.isdisjoint(words) or words & (FILLERS - {"in", "input", "n", "0"} | STATELY))


def shown_too(name: str, output: str) -> bool:
    """Whether an output that replaces a state is called an answer, as y is that replaces y_prev."""
    return key(name) == key(output) and not {*words_of(output)} & (FILLERS | STATELY)


@cache
def key(name: str) -> str:
    """A name without its filling words: h0, h_out and next_h are all h. A number alone, as of input_1, is no name."""
    kept = [word for word in words_of(name) if word not in FILLERS]
    return "" if all(word.isdigit() for word in kept) else "_".join(kept)


def words_of(name: str) -> list[str]:
    """The words and numbers of a name, in lower case: of encState_1:0 enc, state and 1."""
    return [word.lower() for word in re.findall(r"[A-Za-z][a-z]*|[0-9]+", name.split(":")[0])]
