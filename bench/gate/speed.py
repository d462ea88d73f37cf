"""Speed beside quality: what a pytest-benchmark JSON says; tracked, never judged."""

from __future__ import annotations

import math
from pathlib import Path

from bench.files import UnfitFileError, read_json

LARGEST = 64 << 20
"""Bytes; pytest-benchmark may keep every round."""


def read(path: Path) -> dict[str, tuple[float, str]]:
    """Return benchmark → (value, unit), bigger is better.

    Operations per second of the median round, and every number that a benchmark put into its
    ``extra_info`` (ratios within one run hold across machines, times do not).

    Raises
    ------
    ValueError
        When the file is no JSON of pytest-benchmark.
    """
    try:
        found: dict[str, tuple[float, str]] = {}
        for entry in read_json(path, LARGEST)["benchmarks"]:
            name = str(entry["name"])
            median = float(entry["stats"]["median"])
            if not (median > 0 and math.isfinite(median) and math.isfinite(1 / median)):
                raise ValueError(f"the median of {name!r} is {median}")
            name.encode()  # it goes into files; half of a surrogate pair cannot
            found[name] = (1 / median, "1/s")
            for what, value in entry.get("extra_info", {}).items():
                number = isinstance(value, int | float) and not isinstance(value, bool)
                if number and math.isfinite(float(value)):
                    what.encode()
                    found[f"{name}: {what}"] = (float(value), "")
        return found
    except UnfitFileError as error:
        raise ValueError(str(error)) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{path}: no JSON of pytest-benchmark ({error})") from None
