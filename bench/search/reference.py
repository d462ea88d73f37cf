"""Every setting of a run and every parameter of a member: name, kind, default and meaning."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from bench.contracts import registry
from bench.contracts.member import Member
from bench.search.settings import Settings

HEAD = """# Every setting

Written by `python -m bench list settings --markdown > docs/settings.md`; a test keeps it so. A profile
or an ablation file sets these, a variant may override any, and `--set name=value` wins over all. Words
are explained in [glossary.md](glossary.md). What an entry cannot say in a line, `bench show NAME` does.
"""


class Row(typing.NamedTuple):
    """One setting; ``kind`` is a type or the words that it takes."""

    name: str
    kind: str
    default: str
    meaning: str


def settings(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Row]:
    """Yield the settings of a run by their dotted names, those of members apart."""
    for name, info in model.model_fields.items():
        inner = _model(info.annotation)
        if inner is not None:
            yield from settings(inner, f"{prefix}{name}.")
            continue
        seam = _seam(info.annotation)
        meaning = info.description or (f"one of `bench list {seam}`" if seam else "")
        default = "required" if info.is_required() else _text(info.get_default())
        yield Row(prefix + name, seam or _kind(info.annotation), default, meaning)


def members(seam: str) -> Iterator[tuple[type[Member], list[Row]]]:
    """Yield the members of a seam that come with the package, each with its parameters."""
    for name in registry.names(seam):
        member = registry.load(seam, name)
        if member.__module__.partition(".")[0] == "bench":
            yield member, list(settings(member))


def as_markdown() -> str:
    """Return the reference as the file in ``docs``."""
    lines = [HEAD, "## Of a run", "", *_table(settings())]
    for seam in registry.SEAMS:
        lines += ["", f"## {seam}"]
        for member, rows in members(seam):
            lines += ["", f"### {member.name}", "", member.summary(), ""]
            lines += _table(rows) if rows else ["No parameters."]
    return "\n".join([*lines, ""])


def _table(rows: typing.Iterable[Row]) -> list[str]:
    escaped = [[part.replace("|", "\\|").replace("\n", " ") for part in row] for row in rows]
    head = ["| setting | takes | default | meaning |", "|---|---|---|---|"]
    return [*head, *(f"| `{n}` | {k} | {f'`{d}`' if d else ''} | {m} |" for n, k, d, m in escaped)]


def _parts(kind: Any) -> Iterator[Any]:
    """Yield a type and those that it is made of."""
    yield kind
    for inner in typing.get_args(kind):
        if not isinstance(inner, str | int | float):
            yield from _parts(inner)


def _model(kind: Any) -> type[BaseModel] | None:
    for part in _parts(kind):
        if isinstance(part, type) and issubclass(part, BaseModel) and not issubclass(part, Member):
            return part
    return None


def _seam(kind: Any) -> str:
    for part in _parts(kind):
        if isinstance(part, type) and issubclass(part, Member):
            return next(s for s in registry.SEAMS if issubclass(part, registry.contract_of(s)))
    return ""


def _kind(kind: Any) -> str:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return ", ".join(map(str, inner))
    if origin is typing.Annotated:
        return _kind(inner[0])
    if kind is type(None):
        return "null"
    if inner and origin not in (list, dict, tuple, set, frozenset):
        return " or ".join(dict.fromkeys(_kind(part) for part in inner))
    words = {int: "whole number", float: "number", bool: "true, false", str: "text"}
    if kind in words:
        return words[kind]
    if origin in (list, tuple, set, frozenset):
        return "list"
    return "mapping" if origin is dict else str(getattr(kind, "__name__", kind)).lower()


def _text(value: Any) -> str:
    if isinstance(value, Member):
        return value.name
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
