"""YAML read safely and with line numbers, so that errors can name file, line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]
MAX_BYTES = 1_000_000
MAX_DEPTH = 50


class ConfigError(ValueError):
    """Bad input: one line that names the file, the line and the field."""

    def __init__(self, message: str) -> None:
        # What was read may hold line breaks and worse; a message shows them as escapes.
        shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        super().__init__("".join(shown))


class Document:
    """A YAML file as plain data and the line on which every key and item stands.

    Attributes
    ----------
    data
        Dictionaries, lists and scalars.
    lines
        Path of keys and indices → line, counted from 1.
    """

    def __init__(self, path: Path, data: Any, lines: dict[KeyPath, int]) -> None:
        self.path, self.data, self.lines = path, data, lines

    def where(self, path: KeyPath) -> str:
        """Return ``file:line`` of the closest known place to a path."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return f"{self.path}:{self.lines[path[:end]]}"
        return f"{self.path}:1"


def load(path: Path) -> Document:
    """Read one YAML document.

    Raises
    ------
    ConfigError
        For unreadable files, syntax errors, duplicate keys, tags that would build objects,
        aliases, and keys that are not text.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}:1: larger than {MAX_BYTES} bytes; not an ablation file")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}:1: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}:1: cannot be read as UTF-8 text ({error})") from None
    return loads(text, path)


def loads(text: str, path: Path) -> Document:
    """Read one YAML document from text; ``path`` is only named in errors. Raises as `load`."""
    lines: dict[KeyPath, int] = {(): 1}
    try:
        # Events first: aliases could expand without bound, and composing recurses with depth.
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ConfigError(f"{path}:{_line(event)}: aliases are not supported")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ConfigError(f"{path}:{_line(event)}: nested deeper than {MAX_DEPTH}")
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        data = None if node is None else _construct(path, loader, node, (), lines)
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        line = getattr(error.problem_mark or error.context_mark, "line", 0) + 1
        problem = " ".join(str(error.problem or error.context).split())
        raise ConfigError(f"{path}:{line}: not valid YAML: {problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        message = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}:1: not valid YAML: {message}") from None
    return Document(path, data, lines)


def _line(event: yaml.Event) -> int:
    """Return the line of an event, counted from 1."""
    mark: Any = event.start_mark
    return int(mark.line) + 1


def _construct(
    path: Path, loader: yaml.SafeLoader, node: yaml.Node, at: KeyPath, lines: dict[KeyPath, int]
) -> Any:
    """Build plain data from a node, noting lines and refusing duplicate keys."""
    line = node.start_mark.line + 1
    lines.setdefault(at, line)
    if isinstance(node, yaml.MappingNode):
        if node.tag != "tag:yaml.org,2002:map":
            raise ConfigError(f"{path}:{line}: tag {node.tag!r} is not allowed")
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{path}:{key_line}: a key must be text")
            key = str(key_node.value)
            if key in mapping:
                raise ConfigError(f"{path}:{key_line}: {dotted((*at, key))}: duplicate key")
            lines[(*at, key)] = key_line
            mapping[key] = _construct(path, loader, value_node, (*at, key), lines)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        if node.tag != "tag:yaml.org,2002:seq":
            raise ConfigError(f"{path}:{line}: tag {node.tag!r} is not allowed")
        return [
            _construct(path, loader, item, (*at, i), lines) for i, item in enumerate(node.value)
        ]
    if node.tag.rpartition(":")[2] not in {"null", "bool", "int", "float", "str"}:
        raise ConfigError(f"{path}:{line}: {dotted(at)}: tag {node.tag!r} is not allowed")
    value = loader.construct_object(node, deep=True)
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ConfigError(f"{path}:{line}: {dotted(at)}: a number beyond 64 bits")
    return value


def dotted(path: KeyPath) -> str:
    """Write a path of keys as it would stand in ``--set``."""
    return ".".join(map(str, path)) or "(the file)"
