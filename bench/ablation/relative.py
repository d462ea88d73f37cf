"""What an arm says relative to the profile: ``epochs: 5x`` is five times what the others have.

An arm whose supernet needs longer than the others to be trained (one path per step, say) asks for
it at every scale, from smoke to paper, in one word.
"""

from __future__ import annotations

import re
from typing import Any

from bench.ablation.yamlfile import ConfigError, KeyPath, dotted

TIMES = re.compile(r"(\d+(?:\.\d+)?)x")


def relative(value: Any) -> bool:
    """Return whether there is a ``5x`` anywhere in what an arm says of a setting."""
    if isinstance(value, dict):
        return any(relative(below) for below in value.values())
    return isinstance(value, str) and TIMES.fullmatch(value) is not None


def resolved(value: Any, others: Any, at: KeyPath, where: dict[KeyPath, str], here: str) -> Any:
    """Return ``value`` with every ``5x`` in it replaced by a number.

    Parameters
    ----------
    value
        What the arm says of a setting: a mapping of settings, or one.
    others
        What the profile has at the same place, defaults included.
    at, where, here
        The place of ``value``, the file and line of each place below the arm, and of the arm.

    Raises
    ------
    ConfigError
        Where there is no number to multiply.
    """
    if isinstance(value, dict):
        below = others if isinstance(others, dict) else {}
        return {k: resolved(v, below.get(k), (*at, k), where, here) for k, v in value.items()}
    found = TIMES.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return value
    if isinstance(others, bool) or not isinstance(others, int | float):
        raise ConfigError(
            f"{where.get(at, here)}: {dotted(at)}: {value!r} is that many times the profile's, "
            f"which is {others!r}; write the value itself"
        )
    times = float(found[1]) * others
    return round(times) if isinstance(others, int) else times
