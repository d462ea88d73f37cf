"""What settings are made of: models in which a truth value is no number."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, model_validator


class Plain(BaseModel):
    """A model whose fields of numbers refuse ``true`` and ``false``, which pydantic takes for 1 and 0."""

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        numbers = _numbers(cls)
        return {k: _as_words(inner) if k in numbers else inner for k, inner in value.items()}


@functools.cache
def _numbers(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields that take numbers and neither truth values nor anything."""
    found = set()
    for name, field in model.model_fields.items():
        kinds = set(_kinds(field.annotation))
        if kinds & {int, float} and not kinds & {bool, str, Any, object}:
            found.add(name)
    return frozenset(found)


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield what an annotation is put together of."""
    inside = get_args(annotation)
    if not inside or get_origin(annotation) is None:
        yield annotation
    for part in inside:
        yield from _kinds(part)


def _as_words(value: Any) -> Any:
    """Write truth values out: no field of numbers can read the words."""
    if isinstance(value, bool):
        return str(value).lower()
    return [_as_words(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class ReadAs:
    """Mark of a mapping that is read as a model later: ``Annotated[dict[str, Any], ReadAs(Model)]``.

    The model itself would not do: pydantic takes it for what the field holds.
    """

    model: type[BaseModel]
