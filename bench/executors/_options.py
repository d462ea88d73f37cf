"""From the command line to an executor: ``--set slurm.partition=gpu`` is not the run's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.ablation.yamlfile import ConfigError, loads
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
    options: dict[str, Any] = {}
    origin: dict[str, str] = {}
    if jobs is not None and "jobs" in kind.model_fields:
        options["jobs"], origin["jobs"] = jobs, f"--jobs {jobs}"
    for text in split(sets)[0]:
        key, equals, value = text.partition("=")
        owner, _, field = key.partition(".")
        top, _, inner = field.partition(".")
        if not equals or not top:
            raise ConfigError(f"--set {text}: expected {owner}.<field>=value")
        if owner != name:
            raise ConfigError(f"--set {text}: the executor is {name!r}; add --executor {owner}")
        if top not in kind.model_fields:
            hint = registry.did_you_mean(top, list(kind.model_fields))
            raise ConfigError(f"--set {text}: {owner}.{top}: unknown field; {hint}")
        origin[top] = f"--set {text}"
        if inner:  # slurm.sbatch.mail-user=me
            options.setdefault(top, {})[inner] = _value(text, value)
        else:
            options[top] = _value(text, value)
    try:
        executor: Executor = kind.model_validate(options)
    except ValidationError as error:
        details = error.errors()[0]
        top = str(details["loc"][0])
        raise ConfigError(
            f"{origin.get(top, f'--executor {name}')}: {name}.{top}: {details['msg']}"
        ) from None
    return executor


def _value(text: str, value: str) -> Any:
    # YAML 1.1 reads 4:00:00 as 14,400 in base sixty; nobody who writes a time means that.
    if re.fullmatch(r"[\d-]+(:\d+)+", value.strip()):
        return value.strip()
    return loads(value, Path(f"--set {text}")).data
