"""What something is, apart from where it lies: settings without places, and hashes of contents.

A run, a training and a table are named by what determines their numbers. A path does not: the images
under it and the table in it do. So fields that say where something lies are marked `INCIDENTAL` and
left out, and the hash of what lies there is put beside what is left.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from bench.files import open_regular


class Incidental:
    """Mark of a field that says where something lies or what it is called, not what it is."""


INCIDENTAL = Incidental()


def _at_home(path: Path) -> Path:
    """Write ``~`` out; raises ValueError where there is no such home."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from None


def _as_written(value: Any) -> Any:
    """Take a number for the folder or file of that name: ``2024``, ``0.30``."""
    return str(value) if type(value) is not bool and isinstance(value, int | float) else value


Place = Annotated[Path, BeforeValidator(_as_written), AfterValidator(_at_home), INCIDENTAL]
"""A path, ``~`` expanded; no part of an identity."""


def _incidental(field: FieldInfo) -> bool:
    """Say whether a field is marked, itself or as `Place | None`."""
    inside = [getattr(part, "__metadata__", ()) for part in get_args(field.annotation)]
    return any(INCIDENTAL in marks for marks in (field.metadata, *inside))


def described(value: Any) -> Any:
    """Return plain content of settings as it counts for an identity: nothing incidental in it."""
    if isinstance(value, BaseModel):
        fields = {
            name: described(getattr(value, name))
            for name, field in type(value).model_fields.items()
            if not _incidental(field)
        }
        # A member is its name and its fields.
        return {"name": name, **fields} if (name := getattr(value, "name", "")) else fields
    if isinstance(value, Mapping):
        return {str(key): described(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [described(inner) for inner in value]
    return to_jsonable_python(value)


def written(content: Any) -> str:
    """Write plain content as JSON, the same for the same content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def digest(content: Any) -> str:
    """Hash plain content; 64 hex digits."""
    return hashlib.sha256(written(content).encode()).hexdigest()


def digest_of(parts: Mapping[str, str]) -> str:
    """Hash a mapping whose values were `written` before; as `digest` of the mapping itself."""
    inside = ",".join(f"{written(name)}:{parts[name]}" for name in sorted(parts))
    return hashlib.sha256(f"{{{inside}}}".encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Hash the bytes of a regular file; raises OSError, `UnfitFileError`."""
    with open_regular(path) as file:
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()
