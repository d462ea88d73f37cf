"""From the command line to an executor: ``--set slurm.partition=gpu`` is not the run's."""

from __future__ import annotations

from collections.abc import Sequence

from bench.ablation.layers import Layer, assignment
from bench.ablation.yamlfile import ConfigError
from bench.contracts import registry
from bench.contracts.executor import Executor


def split(sets: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the assignments that are for executors, and those that are for runs."""
    known = registry.names("executors")
    mine = [text for text in sets if text.partition("=")[0].partition(".")[0] in known]
    return mine, [text for text in sets if text not in mine]


def make(name: str, jobs: int | None = None, sets: Sequence[str] = ()) -> Executor:
    """Return the executor that the options ask for.

    Parameters
    ----------
    jobs
        Of ``--jobs``: how many side by side, for executors that have such a choice.
    sets
        Assignments of ``--set``; those for runs are passed over.

    Raises
    ------
    ConfigError
        One line naming the option.
    """
    try:
        kind = registry.load("executors", name)
    except registry.UnknownMemberError as error:
        raise ConfigError(f"--executor {name}: {error}") from None
    layer = Layer()
    if jobs is not None and "jobs" in kind.model_fields:
        layer.put(("jobs",), jobs, {("jobs",): f"--jobs {jobs}"})
    for text in split(sets)[0]:
        at, value = assignment(text)
        owner, inside = str(at[0]), at[1:]
        if not inside:
            raise ConfigError(f"--set {text}: expected {owner}.<field>=value")
        if owner != name:
            raise ConfigError(f"--set {text}: the executor is {name!r}; add --executor {owner}")
        layer.put(inside, value, {inside: f"--set {text}"})
    layer.data["name"] = name
    executor: Executor = layer.member("executors", f"--executor {name}", within=name)
    return executor
