"""Settings in layers: file, profile and ``--set``, each with the place where it stands.

The one reader of settings: whatever takes a mapping and ``--set`` puts them into a `Layer` and lets
it `read` the model, so that every mistake is one line naming file, line, field and the fix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from bench.ablation.mistakes import first_error
from bench.ablation.yamlfile import ConfigError, Document, KeyPath, dotted, value_of
from bench.contracts import registry

Model = TypeVar("Model", bound=BaseModel)

SEAM_OF = {
    "space": "spaces", "data": "data", "truth": "truth", "hypergradient": "hypergradients",
    "selection": "selection",
}  # fmt: skip
"""Settings that are a member of a seam: under another name, what only the old one has is dropped."""


SHORT = {"population": "kind"}
"""What a word alone stands for in a mapping; in all others, `name`."""


@dataclass
class Layer:
    """Settings as plain data, and where each of them stands: file and line, or the option."""

    data: dict[str, Any] = field(default_factory=dict)
    origin: dict[KeyPath, str] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Document, what: str, data: Mapping[str, Any] | None = None) -> Self:
        """Return what a file says.

        Parameters
        ----------
        what
            What the file should be, for the error where it is no mapping.
        data
            The part of the file that counts; None: all of it.
        """
        data = document.data if data is None else data
        if not isinstance(data, Mapping):
            raise ConfigError(f"{document.path}:1: {what}")
        layer, where = cls(), {at: document.where(at) for at in document.lines if at}
        for key, value in data.items():
            layer.put((key,), value, where)
        return layer

    def assign(self, sets: Iterable[str]) -> None:
        """Put every ``key=value`` of ``--set`` on top, in their order."""
        for text in sets:
            at, value = assignment(text)
            self.put(at, value, {at: f"--set {text}"})

    def read(self, model: type[Model], otherwise: str = "--set") -> Model:
        """Make the model of what the layer says.

        Raises
        ------
        ConfigError
            One line naming file and line or the option, and the field; ``otherwise`` stands for
            what is said nowhere.
        """
        made: Model = self._made(lambda: model.model_validate(self.data), model, otherwise)
        return made

    def member(self, seam: str, otherwise: str = "--set", within: str = "") -> Any:
        """Make a member of a seam of what the layer says; raises as `read`.

        Parameters
        ----------
        within
            What errors put before the field's name.
        """
        kind = registry.contract_of(seam)
        return self._made(lambda: registry.parse(seam, self.data), kind, otherwise, within)

    def part(self, key: str) -> Layer:
        """Take what is said under a key out of the layer, as a layer of its own."""
        inside = self.data.pop(key, None)
        inside = {"name": inside} if isinstance(inside, str) else inside or {}
        return Layer(inside, {at[1:]: w for at, w in self.origin.items() if at[:1] == (key,)})

    def _made(
        self, make: Callable[[], Any], model: type[BaseModel], otherwise: str, within: str = ""
    ) -> Any:
        try:
            return make()
        except ValidationError as error:
            path, message = first_error(error, model, self.data)
            field_name = ".".join(filter(None, (within, *map(str, path)))) or "(all)"
            raise ConfigError(f"{self.where(path, otherwise)}: {field_name}: {message}") from None
        except ValueError as error:  # no such member, no such preset
            place = f"{self.where(('preset',), self.where(('name',), otherwise))}: {within}"
            raise ConfigError(f"{place}{': ' if within else ''}{error}") from None

    def put(self, at: KeyPath, value: Any, where: dict[KeyPath, str]) -> None:
        """Merge ``value`` at ``at``; a mapping that names another member replaces the old one."""
        target: Any = self.data
        for key in at[:-1]:
            inside = target.setdefault(key, {})
            if isinstance(inside, str):  # `data: digits` is short for a mapping with that name
                inside = target[key] = {SHORT.get(str(key), "name"): inside}
            if inside is None:  # `truth: null`, and then `truth.name: table`
                inside = target[key] = {}
            if not isinstance(inside, dict):
                raise ConfigError(f"{where[at]}: {dotted(at)}: {key} is not a mapping")
            target = inside
        if len(at) == 2 and at[1] == "name" and target.get("name", value) != value:
            self._rename(at[0], target)
        self._merge(target, at, value, where, where[at])

    def _rename(self, key: str | int, target: dict[str, Any]) -> None:
        """Drop what only the old member of a seam has; what all of them have stays."""
        if (seam := SEAM_OF.get(str(key))) is None:
            return
        shared = registry.contract_of(seam).model_fields
        for field_name in [name for name in target if name not in shared]:
            del target[field_name]

    def _merge(
        self, target: Any, at: KeyPath, value: Any, where: dict[KeyPath, str], otherwise: str
    ) -> None:
        """Merge into ``target``; what has no place of its own stands at ``otherwise``."""
        here = self.origin[at] = where.get(at, otherwise)
        old = target.get(at[-1])
        word = SHORT.get(str(at[-1]), "name")
        old = {word: old} if isinstance(old, str) and isinstance(value, dict) else old
        value = {word: value} if isinstance(value, str) and isinstance(old, dict) else value
        if isinstance(value, dict) and isinstance(old, dict):
            another = "name" in value and "name" in old and value["name"] != old["name"]
            inside = target[at[-1]] = {} if another else dict(old)
            for key, inner in value.items():
                self._merge(inside, (*at, key), inner, where, here)
        else:
            target[at[-1]] = value
            self._note(at, value, where)

    def _note(self, at: KeyPath, value: Any, where: dict[KeyPath, str]) -> None:
        """Keep where everything inside a value stands."""
        if at in where:
            self.origin[at] = where[at]
        if isinstance(value, dict | list):
            inside = value.items() if isinstance(value, dict) else enumerate(value)
            for key, inner in inside:
                self._note((*at, key), inner, where)

    def copy(self) -> Layer:
        """Return a deep enough copy to merge into."""

        def clone(value: Any) -> Any:
            return {k: clone(v) for k, v in value.items()} if isinstance(value, dict) else value

        return Layer(clone(self.data), dict(self.origin))

    def where(self, path: KeyPath, otherwise: str) -> str:
        """Return where the closest enclosing field stands."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.origin:
                return self.origin[path[:end]]
        return otherwise


def assignment(text: str) -> tuple[KeyPath, Any]:
    """Read one ``--set key=value``: dotted keys, and a value as `value_of` reads it."""
    key, equals, value = text.partition("=")
    if not equals or not all(part for part in key.split(".")):
        raise ConfigError(
            f"--set {text}: expected key=value with dotted keys, e.g. search.epochs=5"
        )
    return tuple(key.split(".")), value_of(value, f"--set {text}")
