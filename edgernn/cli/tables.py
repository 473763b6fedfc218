"""Features and decisions from TOML files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from edgernn.errors import BadInput


def tables(features: Path | None, decisions: Path | None) -> dict[str, dict[str, Any] | None]:
    """The tables [features] and [decisions] of these files; the first may hold both. Raises BadInput for others."""
    front = read(features, "features") if features else {}
    deciding = read(decisions, "decisions") if decisions else front
    return {"features": front.get("features"), "decisions": deciding.get("decisions")}


def read(path: Path, needed: str) -> dict[str, Any]:
    """The tables of a file that has the one that is needed."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also of bytes that are no text, and of endless numbers
        raise BadInput(f"{path} is not TOML: {error}") from None
    unknown = [name for name in found if name not in ("features", "decisions")]
    if unknown or needed not in found:
        has = f"has '{unknown[0]}'" if unknown else f"has no [{needed}]"
        raise BadInput(f"{path} {has}: the tables [features] and [decisions] expected")
    return found
