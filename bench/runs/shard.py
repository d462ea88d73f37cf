"""A share of an ablation's runs, for machines that share nothing: no locks, no coordinator."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from bench.runs.cost import multiply_adds
from bench.runs.spec import RunSpec

PLACES = {
    "SLURM_ARRAY_TASK_ID": "SLURM_ARRAY_TASK_MIN",
    "JOB_COMPLETION_INDEX": "",
    "PBS_ARRAY_INDEX": "",
}
"""Variables in which a queue says which task of an array this is → that of the first task's number.

Where there is none, tasks count from 0.
"""


def read(text: str, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Read ``2/8``, the second of eight shares, or ``auto/8``, whose number the queue says.

    Raises
    ------
    ValueError
        One line that names the option and what is wrong.
    """
    said, _, total = text.partition("/")
    if not total.isdecimal() or not 1 <= int(total) <= 100_000:
        raise ValueError(f"--shard {text}: expected i/n, such as 2/8, or auto/n")
    number = int(total)
    if said == "auto":
        known = [
            (name, first) for name, first in PLACES.items() if environment.get(name, "").isdecimal()
        ]
        if not known:
            raise ValueError(
                f"--shard {text}: no queue says which task this is ({', '.join(PLACES)})"
            )
        name, first = known[0]
        begin = environment.get(first, "0") if first else "0"
        index = int(environment[name]) - (int(begin) if begin.isdecimal() else 0) + 1
    else:
        index = int(said) if said.isdecimal() else 0
    if not 1 <= index <= number:
        raise ValueError(f"--shard {text}: {index} is not from 1 to {number}")
    return index, number


def share(specs: Sequence[RunSpec], index: int, number: int) -> list[RunSpec]:
    """Return one of ``number`` shares of runs, of about equal cost; the same on every machine.

    The runs that take longest first, each to the share that has the least so far; of equals the run's folder
    and then the share's number decide. Every run is in exactly one share.

    Parameters
    ----------
    index
        From 1 to ``number``.
    """
    costs = {spec.folder: _cost(spec) for spec in specs}
    loads, mine = [0.0] * number, set()
    for name in sorted(costs, key=lambda name: (-costs[name], name)):
        lightest = min(range(number), key=lambda i: (loads[i], i))
        loads[lightest] += costs[name]
        if lightest == index - 1:
            mine.add(name)
    return [spec for spec in specs if spec.folder in mine]


def _cost(spec: RunSpec) -> float:
    """Estimate what a run costs, to five figures: sums must not differ between machines."""
    return float(f"{max(multiply_adds(spec), 1e-9):.4e}")
