"""What an ablation asks about is there: variants of the file, and metrics that are measured on them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from bench import metrics
from bench.ablation.criteria import Explanation
from bench.ablation.yamlfile import ConfigError, Document, KeyPath, dotted
from bench.contracts import registry

RESULTS = "results"


def checked(
    document: Document,
    contrast: Any,
    explanation: Explanation | None,
    instruments: Mapping[str, set[str]],
    silent: Mapping[str, Mapping[str, str]],
) -> tuple[Any, Explanation | None]:
    """Return contrast and explanation with metrics by their names; refuse what cannot be answered.

    Parameters
    ----------
    instruments
        Variant → the instruments that it has.
    silent
        Variant → the metrics that say nothing of its space's cells, and why.

    Raises
    ------
    ConfigError
        One line naming file, line and field.
    """
    known = (instruments, silent)
    found = _one(document, ("contrast",), contrast, *known)
    if found.of == found.against:
        at = document.where(("contrast",))
        raise ConfigError(f"{at}: contrast: of and against are both {found.of!r}")
    if explanation is None:
        return found, None
    failure = _one(document, ("explanation", "failure"), explanation.failure, *known)
    criteria = tuple(
        _one(document, ("explanation", "criteria", i), criterion, *known)
        for i, criterion in enumerate(explanation.criteria)
    )
    return found, explanation.model_copy(update={"criteria": criteria, "failure": failure})


def _one(
    document: Document,
    place: KeyPath,
    item: Any,
    instruments: Mapping[str, set[str]],
    silent: Mapping[str, Mapping[str, str]],
) -> Any:
    labels = []
    for name in ("of", "against"):
        label = getattr(item, name, None)
        if label is None:
            continue
        labels.append(label)
        if label not in instruments:
            hint = registry.did_you_mean(label, list(instruments))
            raise _error(document, (*place, name), f"no variant {label!r} in this file; {hint}")
    changed = {}
    for name in ("metric", "beside", "matched"):
        if (said := getattr(item, name, None)) is not None:
            at = (*place, name)
            changed[name] = _metric(document, at, said, labels, instruments)
            _says_something(document, at, changed[name], labels, silent)
    return item.model_copy(update=changed)


def _metric(
    document: Document,
    place: KeyPath,
    said: str,
    labels: list[str],
    instruments: Mapping[str, set[str]],
) -> str:
    """Return a metric's name, or refuse one that nobody measures here."""
    name = metrics.resolve(said)
    found = metrics.find(name)
    if found is None:
        every = metrics.known()
        near = difflib.get_close_matches(name, every, 1, 0.6)
        hint = f"did you mean {near[0]!r}?" if near else "`bench list metrics` names them"
        raise _error(document, place, f"unknown metric {said!r}; {hint}")
    origin, _ = found
    lacking = [label for label in labels if origin not in (RESULTS, *instruments[label])]
    if lacking:
        raise _error(
            document,
            place,
            f"{name} is read by the instrument {origin}, which {lacking[0]} does not have",
        )
    return name


def _says_something(
    document: Document,
    place: KeyPath,
    name: str,
    labels: list[str],
    silent: Mapping[str, Mapping[str, str]],
) -> None:
    """Refuse a metric that has no meaning in a space: every run would have the same, or none."""
    for label in labels:
        for metric, why in silent[label].items():
            if name == metric or name.startswith(f"{metric}_"):
                raise _error(
                    document, place, f"{name} says nothing of the cells that {label} finds: {why}"
                )


def _error(document: Document, place: KeyPath, message: str) -> ConfigError:
    return ConfigError(f"{document.where(place)}: {dotted(place)}: {message}")
