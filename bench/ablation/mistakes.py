"""What pydantic says of settings as one line: the field, what is wrong, and what was perhaps meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from bench.ablation.yamlfile import ConfigError, Document, KeyPath, dotted
from bench.contracts import registry
from bench.contracts.plain import ReadAs

BRANCH = re.compile(
    r"(constrained-|nullable-)?(int|float|str|bool)|(tuple|list|dict|function-\w+)\[.*\]"
)
"""What pydantic puts into a place to say which of several types it tried."""


def first_error(
    error: ValidationError, model: type[BaseModel] | None = None, data: Any = None
) -> tuple[KeyPath, str]:
    """Return the path and message of the first error.

    Parameters
    ----------
    model, data
        What was to be made, and of which content: they say which fields there are.
    """
    details = error.errors()[0]
    path: KeyPath = tuple(
        key for i, key in enumerate(details["loc"]) if not (i and BRANCH.fullmatch(str(key)))
    )
    return path, " ".join(_message(model, data, path, details).split())


def _message(model: type[BaseModel] | None, data: Any, path: KeyPath, details: Any) -> str:
    """Say what is wrong with a field, and what would be right where that can be told."""
    message, kind, given = str(details["msg"]), details["type"], details["input"]
    if kind == "extra_forbidden":
        known = _fields_at(model, data, path[:-1])
        hint = f"; {registry.did_you_mean(str(path[-1]), known)}" if known else ""
        return f"unknown field{hint}"
    if kind == "missing":
        return "missing; it has no default"
    if kind == "path_type" and isinstance(given, list | dict):
        what = "list" if isinstance(given, list) else "mapping"
        return (
            f"expected a path, and this is a {what}; a path in brackets or braces is to be quoted"
        )
    if kind in {"value_error", "missing"} or isinstance(given, dict):
        return message.removeprefix("Value error, ")
    if kind in ("string_type", "path_type") and (given is None or isinstance(given, bool)):
        word = "null" if given is None else str(given).lower()
        return f"expected text, and {word} means something else; quote it: '{word}'"
    return f"{message[0].lower()}{message[1:]} (got {str(given)[:60]!r})"


def _fields_at(model: type[BaseModel] | None, data: Any, path: KeyPath) -> list[str]:
    """Return the names of the fields of what stands at a path of a model's content."""
    found = _named(model, data)
    for key in path:
        data = _inside(data, key)
        if not isinstance(key, int):  # an item of a list is of the kind that the list is of
            info = found.model_fields.get(str(key)) if found else None
            found = next(_models(info), None) if info else None
        found = _named(found, data)
    return sorted(found.model_fields) if found else []


def _models(info: FieldInfo) -> Iterator[type[BaseModel]]:
    """Yield the models that a field may hold; `ReadAs`: what its mapping is read as."""
    waiting = [info.annotation, *info.metadata]
    while waiting:
        kind = waiting.pop(0)
        kind = kind.model if isinstance(kind, ReadAs) else kind
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
        waiting += get_args(kind)


def _inside(data: Any, key: str | int) -> Any:
    try:
        return data[key]
    except (KeyError, IndexError, TypeError):
        return None


def _named(kind: type[BaseModel] | None, data: Any) -> type[BaseModel] | None:
    """Return the member that the content names, where a seam's contract stands; else the same."""
    seam = next((seam for seam in registry.SEAMS if registry.contract_of(seam) is kind), None)
    name = data if isinstance(data, str) else _inside(data, "name")
    if seam is None or not isinstance(name, str):
        return kind
    try:
        found: type[BaseModel] = registry.load(seam, name)
    except ValueError:
        return kind
    return found


def named(
    error: ValidationError,
    document: Document,
    model: type[BaseModel],
    data: Any,
    at: KeyPath = (),
) -> ConfigError:
    """Turn a validation error into one line naming file, line and field.

    Parameters
    ----------
    model, data
        What was to be made, and of which content.
    at
        Where in the file the content stands.
    """
    path, message = first_error(error, model, data)
    return ConfigError(f"{document.where(at + path)}: {dotted(at + path)}: {message}")
