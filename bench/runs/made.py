"""What did the arithmetic of results, in words, and in what they differ: read from their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NONE = "there is none for this network"


def alike(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say in what results differ that should be the same for all, a sentence each.

    Parameters
    ----------
    rows
        Plain columns of results; those of older versions say nothing.
    """
    found = []
    for name, what in (("kernel", "arithmetic"), ("processor", "processors")):
        counts: dict[str, int] = {}
        for row in rows:
            if isinstance(value := row.get(name), str) and value:
                counts[value] = counts.get(value, 0) + 1
        if len(counts) > 1 or any(" then " in value for value in counts):
            parts = ", ".join(f"{number} {value}" for value, number in counts.items())
            found.append(
                f"Not all runs have the same {what}: {parts}. Their last bits differ, and with "
                "them, here and there, a derived cell."
            )
    return found


def problems(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why kernels that there are could not be used, each once."""
    reasons = [row.get("kernel_reason") for row in rows]
    return list(dict.fromkeys(r for r in reasons if isinstance(r, str) and r and r != NONE))


def computed(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say what did the arithmetic of results, in a line; empty where none says."""
    counts: dict[str, int] = {}
    for row in rows:
        if isinstance(kernel := row.get("kernel"), str):
            reason = row.get("kernel_reason")
            value = f"{NAMES.get(kernel, kernel)}" + (f" ({reason})" if reason else "")
            counts[value] = counts.get(value, 0) + 1
    return ", ".join(
        value if len(counts) == 1 else f"{number} {value}" for value, number in counts.items()
    )


NAMES = {"torch": "PyTorch alone", "compiled": "the compiled kernel", "inductor": "inductor"}
