"""Values as JSON and people write them; nothing heavy is imported, `bench status` needs it."""

from __future__ import annotations

import math
from typing import Any

MISSING = "—"
"""Shown where there is no number."""


def finite(value: Any) -> Any:
    """Return plain content with NaN and infinities as None, as JSON readers want it.

    Numbers of numpy become Python's, tuples lists, keys text.
    """
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if type(value).__module__ == "numpy" and not getattr(value, "shape", (1,)):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def one_line(text: object, limit: int | None = None) -> str:
    """Return a text, or what an error says, without line breaks and cut after so many characters."""
    return " ".join(str(text).split())[:limit]


def duration(seconds: float) -> str:
    """Write seconds as people say them."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
