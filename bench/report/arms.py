"""What an arm is: what intervenes, which settings are its own, and the space that it searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.contracts import registry
from bench.contracts.space import Space

LONGEST = 60
"""Characters of a value; longer ones are cut."""


def settings_of(manifest: Mapping[str, Any], label: str) -> dict[str, Any]:
    """Return an arm's settings as the manifest has them; empty where it has none."""
    found = _arm(manifest, label).get("settings")
    return found if isinstance(found, dict) else {}


def space_of(manifest: Mapping[str, Any], label: str) -> Space | None:
    """Return the space that an arm searches; None where it is unknown here."""
    try:
        found: Space = registry.parse("spaces", settings_of(manifest, label).get("space"))
    except ValueError:
        return None
    return found


def describe(manifest: Mapping[str, Any], label: str) -> str:
    """Say in one line what an arm is, beside the arm that the contrast compares with.

    ``skip_dropout: rate 0.3, schedule constant; search.epochs 30 (not 20)``. An arm without any
    intervention is ``plain DARTS``.
    """
    parts = [_intervention(v) for v in _arm(manifest, label).get("variants") or [] if v]
    against = str(manifest["contrast"].get("against", ""))
    own, base = _flat(settings_of(manifest, label)), _flat(settings_of(manifest, against))
    for name in dict.fromkeys([*own, *base]):
        if label == against or own.get(name) == base.get(name):
            continue
        there = f" (not {_text(base[name])})" if name in base else ""
        parts.append(f"{name} {_text(own.get(name, 'unset'))}{there}")
    return "; ".join(parts) or "plain DARTS"


def _arm(manifest: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    arms = {arm["label"]: arm for arm in manifest["arms"]}
    found: dict[str, Any] = arms.get(label, {})
    return found


def _intervention(written: Any) -> str:
    """Say which variant acts, and with which parameters; an empty one is left out."""
    if not isinstance(written, dict):
        return _text(written)
    parameters = {k: v for k, v in written.items() if k != "name" and v is not None}
    name, told = str(written.get("name", "?")), [f"{k} {_text(v)}" for k, v in parameters.items()]
    return f"{name}: {', '.join(told)}" if told else name


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted names; a member's name stands for the member."""
    return dict(_pairs(settings, prefix))


def _pairs(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _pairs(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}".removesuffix(".name"), value


def _text(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
