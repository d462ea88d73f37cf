"""YAML read safely and with line numbers, so that errors can name file, line and field."""

from __future__ import annotations

import functools
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from bench import files
from bench.ablation import scalars
from bench.written import one_line

KeyPath = tuple[str | int, ...]
MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_ITEMS = 20_000
"""Keys and values: an ablation of 256 variants has a few thousand."""

LOOKED_UP = 4
"""Keys down to which paths are found without going through all: ``grid``, factor, level, setting."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's is ten times as fast; the other is there where it is not."""
_GUESS: Any = yaml.SafeLoader("")
"""Says which type YAML 1.1 takes a plain word for."""


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

    @functools.cached_property
    def _under(self) -> dict[KeyPath, list[KeyPath]]:
        found = defaultdict[KeyPath, list[KeyPath]](list)
        for path in self.lines:
            for end in range(1, min(len(path), LOOKED_UP) + 1):
                found[path[:end]].append(path)
        return dict(found)

    def under(self, path: KeyPath) -> list[KeyPath]:
        """Return a path of at most `LOOKED_UP` keys and all paths below it."""
        return self._under.get(path, [])

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
        text = files.read_text(path, MAX_BYTES)
    except FileNotFoundError:
        raise ConfigError(f"{path}:1: no such file") from None
    except files.UnfitFileError as error:
        raise ConfigError(f"{path}:1: {str(error).removeprefix(f'{path}: ')}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}:1: cannot be read ({error})") from None
    return loads(text, path)


def loads(text: str, path: Path) -> Document:
    """Read one YAML document from text; ``path`` is only named in errors. Raises as `load`."""
    lines: dict[KeyPath, int] = {(): 1}
    try:
        # Events first: aliases could expand without bound, and composing recurses with depth.
        depth = items = 0
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                raise ConfigError(f"{path}:{_line(event)}: aliases are not supported")
            items += isinstance(event, yaml.NodeEvent)
            if items > MAX_ITEMS:
                raise ConfigError(f"{path}:{_line(event)}: more than {MAX_ITEMS} keys and values")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ConfigError(f"{path}:{_line(event)}: nested deeper than {MAX_DEPTH}")
        node = _Loader(text).get_single_node()
        data = None if node is None else _construct(path, node, (), lines)
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        line = getattr(error.problem_mark or error.context_mark, "line", 0) + 1
        problem = " ".join(str(error.problem or error.context).split())
        raise ConfigError(f"{path}:{line}: not valid YAML: {problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        message = one_line(error, 200)
        raise ConfigError(f"{path}:1: not valid YAML: {message}") from None
    return Document(path, data, lines)


def _line(event: yaml.Event) -> int:
    """Return the line of an event, counted from 1."""
    mark: Any = event.start_mark
    return int(mark.line) + 1


def _construct(path: Path, node: yaml.Node, at: KeyPath, lines: dict[KeyPath, int]) -> Any:
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
            mapping[key] = _construct(path, value_node, (*at, key), lines)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        if node.tag != "tag:yaml.org,2002:seq":
            raise ConfigError(f"{path}:{line}: tag {node.tag!r} is not allowed")
        return [_construct(path, item, (*at, i), lines) for i, item in enumerate(node.value)]
    return _scalar(path, node, at, line)


def _scalar(path: Path, node: Any, at: KeyPath, line: int) -> scalars.Scalar:
    """Read a leaf: quoted words and blocks are text, a plain word is what it says."""
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    plain = node.style in (None, "")  # the two loaders differ in how they say so
    # What a plain word is taken for by itself is no tag; what is written as one is refused.
    guessed = _GUESS.resolve(yaml.ScalarNode, text, (True, False)) if plain else None
    if node.tag != guessed and kind != "str":
        raise ConfigError(f"{path}:{line}: {dotted(at)}: tag {node.tag!r} is not allowed")
    if not plain:
        return text
    try:
        return scalars.resolve(text)
    except ValueError as error:
        raise ConfigError(f"{path}:{line}: {dotted(at)}: {error}") from None


def dotted(path: KeyPath) -> str:
    """Write a path of keys as it would stand in ``--set``."""
    return ".".join(map(str, path)) or "(the file)"


def value_of(text: str, source: str) -> Any:
    """Read the right side of ``--set key=value``.

    A word is read as in a file, whatever is in it: a path with ``#`` or ``: `` is that path. What
    begins with a bracket, a brace or a quotation mark is YAML where it can be read as such.

    Parameters
    ----------
    source
        What errors name: the whole option.
    """
    stripped = text.strip()
    if stripped[:1] in ("[", "{", '"', "'"):
        try:
            return loads(stripped, Path(source)).data
        except ConfigError as error:
            if stripped[:1] in ('"', "'") or "not valid YAML" not in str(error):
                raise
            return stripped  # a path such as [x]/y
    try:
        return scalars.resolve(stripped)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None
