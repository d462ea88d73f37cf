"""What an ablation file may say, and how file, profile and command line become settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench import registry
from bench.composition import Composition, ContradictionError
from bench.settings import Settings
from bench.variants import Variant
from bench.yamlfile import ConfigError, Document, KeyPath, dotted, load, loads

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
MAX_SEEDS = 1000


class Contrast(BaseModel):
    """The one comparison that an ablation is about, stated before it is run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = Field(description="a column of the results table, e.g. skip_count")
    of: str = Field(description="the variant that is asked about")
    against: str = Field(description="the variant that it is compared with")
    expect: Literal["lower", "higher", "different"] = "different"


class AblationFile(BaseModel):
    """The keys of an ablation file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1)
    contrast: Contrast
    space: Any = "nb201"
    variants: dict[str, dict[str, Any] | None] = Field(min_length=1)


@dataclass(frozen=True)
class Arm:
    """One variant of an ablation: its label, what intervenes, and its settings."""

    label: str
    interventions: tuple[Variant, ...]
    settings: Settings


@dataclass(frozen=True)
class Ablation:
    """An ablation, resolved: what is asked and every arm with its settings."""

    name: str
    question: str
    contrast: Contrast
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    profile: str
    path: Path


@dataclass
class _Layer:
    """Settings as plain data, and where each of them was said."""

    data: dict[str, Any] = field(default_factory=dict)
    origin: dict[KeyPath, str] = field(default_factory=dict)

    def put(self, at: KeyPath, value: Any, where: dict[KeyPath, str]) -> None:
        """Merge ``value`` at ``at``; a mapping that names another member replaces the old one."""
        target: Any = self.data
        for key in at[:-1]:
            inside = target.setdefault(key, {})
            if isinstance(inside, str):  # `data: digits` is short for a mapping with that name
                inside = target[key] = {"name": inside}
            if not isinstance(inside, dict):
                raise ConfigError(f"{where[at]}: {dotted(at)}: {key} is not a mapping")
            target = inside
        self.origin[at] = where[at]
        old = target.get(at[-1])
        old = {"name": old} if isinstance(old, str) and isinstance(value, dict) else old
        value = {"name": value} if isinstance(value, str) and isinstance(old, dict) else value
        if isinstance(value, dict) and isinstance(old, dict):
            if "name" in value and "name" in old and value["name"] != old["name"]:
                target[at[-1]] = {}
            else:
                target[at[-1]] = dict(old)
            for key, inner in value.items():
                self.put(
                    (*at, key),
                    inner,
                    where if (*at, key) in where else {**where, (*at, key): where[at]},
                )
        else:
            target[at[-1]] = value
            self.origin.update({path: w for path, w in where.items() if path[: len(at)] == at})

    def copy(self) -> _Layer:
        """Return a deep enough copy to merge into."""

        def clone(value: Any) -> Any:
            return {k: clone(v) for k, v in value.items()} if isinstance(value, dict) else value

        return _Layer(clone(self.data), dict(self.origin))

    def where(self, path: KeyPath, otherwise: str) -> str:
        """Return where the closest enclosing field was said."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.origin:
                return self.origin[path[:end]]
        return otherwise


def read_ablation(
    path: Path, profile: str = "quick", sets: list[str] | None = None, seeds: str | None = None
) -> Ablation:
    """Read an ablation file at the scale of a profile.

    Parameters
    ----------
    profile
        A name under ``profiles/`` beside the file or above it, or a path to a YAML file.
    sets
        ``key=value`` with dotted keys: changes what the profile says.
    seeds
        A count (``5``) or a list (``0,3,7``); overrides the profile's.

    Raises
    ------
    ConfigError
        One line naming file, line and field.
    """
    document = load(path)
    if not isinstance(document.data, dict):
        raise ConfigError(
            f"{path}:1: an ablation file is a mapping with question, contrast, variants"
        )
    try:
        file = AblationFile.model_validate(document.data)
    except ValidationError as error:
        raise _named(error, document) from None
    base, seed_value, seed_where = _profile(path, profile)
    for assignment in sets or []:
        key, value = _assignment(assignment)
        if key == ("seeds",):
            seed_value, seed_where = value, f"--set {assignment}"
            continue
        base.put(key, value, {key: f"--set {assignment}"})
    space = {"name": file.space} if isinstance(file.space, str) else file.space
    where = {
        (*at[:1], *at[1:]): document.where(at) for at in document.lines if at[:1] == ("space",)
    }
    base.put(("space",), space, where or {("space",): document.where(())})
    arms = tuple(_arm(document, label, entry or {}, base) for label, entry in file.variants.items())
    for name in ("of", "against"):
        if (label := getattr(file.contrast, name)) not in file.variants:
            hint = registry.did_you_mean(label, list(file.variants))
            at = document.where(("contrast", name))
            raise ConfigError(f"{at}: contrast.{name}: no variant {label!r} in this file; {hint}")
    if file.contrast.of == file.contrast.against:
        at = document.where(("contrast",))
        raise ConfigError(f"{at}: contrast: of and against are both {file.contrast.of!r}")
    if seeds is not None:
        seed_value, seed_where = (
            ([s for s in seeds.split(",")] if "," in seeds else seeds),
            "--seeds",
        )
    return Ablation(
        path.stem, file.question, file.contrast, arms, _seeds(seed_value, seed_where), Path(profile).stem, path
    )  # fmt: skip


def _profile(path: Path, profile: str) -> tuple[_Layer, Any, str]:
    """Read a profile into a layer; return it with its seeds and where they stand."""
    wanted = Path(profile)
    if wanted.suffix not in {".yaml", ".yml"}:
        parents = [path.resolve().parent, *path.resolve().parents]
        folders = [p / "profiles" for p in parents[:3]] + [Path("ablations/profiles")]
        found = [f / f"{profile}.yaml" for f in folders if (f / f"{profile}.yaml").is_file()]
        if not found:
            known = sorted({p.stem for f in folders if f.is_dir() for p in f.glob("*.yaml")})
            raise ConfigError(
                f"--profile: unknown profile {profile!r}; {registry.did_you_mean(profile, known)}"
            )
        wanted = found[0]
    document = load(wanted)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{wanted}:1: a profile is a mapping of settings")
    layer, data = _Layer(), dict(document.data)
    seeds, seed_where = data.pop("seeds", 3), document.where(("seeds",))
    where = {at: document.where(at) for at in document.lines if at}
    for key, value in data.items():
        layer.put((key,), value, where)
    return layer, seeds, seed_where


def _arm(document: Document, label: str, entry: dict[str, Any], base: _Layer) -> Arm:
    """Resolve one variant of the file: its interventions and what it overrides."""
    at: KeyPath = ("variants", label)
    here = document.where(at)
    if not LABEL.fullmatch(label):
        raise ConfigError(f"{here}: variants: {label!r} is no label; use letters, digits, _ . + -")
    layer, interventions = base.copy(), []
    known = registry.names("variants")
    for key, value in entry.items():
        place = document.where((*at, key))
        if key in known:
            parameters = {} if value is None else value
            if not isinstance(parameters, dict):
                raise ConfigError(
                    f"{place}: variants.{label}.{key}: expected its parameters as a mapping"
                )
            try:
                interventions.append(registry.parse("variants", {**parameters, "name": key}))
            except ValidationError as error:
                raise _named(error, document, (*at, key)) from None
        elif key in Settings.model_fields:
            where = {
                path[len(at) :]: document.where(path)
                for path in document.lines
                if path[: len(at) + 1] == (*at, key)
            }
            layer.put((key,), value, where)
        else:
            hint = registry.did_you_mean(key, [*known, *Settings.model_fields])
            raise ConfigError(f"{place}: variants.{label}: unknown variant {key!r}; {hint}")
    try:
        settings = Settings.model_validate(layer.data)
    except ValidationError as error:
        path, message = _first(error)
        raise ConfigError(f"{layer.where(path, here)}: {dotted(path)}: {message}") from None
    try:
        composition = Composition(interventions, settings.space)
    except ContradictionError as error:
        raise ConfigError(f"{here}: variants.{label}: {error}") from None
    if settings.selection is None:
        rule = registry.parse("selection", composition.default_selection)
        settings = settings.model_copy(update={"selection": rule})
    return Arm(label, tuple(interventions), settings)


def _assignment(text: str) -> tuple[KeyPath, Any]:
    """Read one ``--set key=value``; the value is YAML."""
    key, equals, value = text.partition("=")
    if not equals or not all(part for part in key.split(".")):
        raise ConfigError(
            f"--set {text}: expected key=value with dotted keys, e.g. search.epochs=5"
        )
    return tuple(key.split(".")), loads(value, Path(f"--set {text}")).data


def _seeds(value: Any, where: str) -> tuple[int, ...]:
    """Read seeds: a count or a list of different numbers."""
    try:
        if isinstance(value, list):
            seeds = [int(str(item)) for item in value]
        else:
            count = int(str(value))
            seeds = list(range(count)) if count <= MAX_SEEDS else []
    except ValueError:
        raise ConfigError(
            f"{where}: seeds: expected a count or a list of integers, not {value!r}"
        ) from None
    if not 1 <= len(seeds) <= MAX_SEEDS or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise ConfigError(
            f"{where}: seeds: expected 1 to {MAX_SEEDS} different numbers ≥ 0, not {value!r}"
        )
    return tuple(seeds)


def _first(error: ValidationError) -> tuple[KeyPath, str]:
    """Return the path and message of the first error, looking through members' own errors."""
    details = error.errors()[0]
    path: KeyPath = tuple(details["loc"])
    inner = details.get("ctx", {}).get("error")
    if isinstance(inner, ValidationError):
        deeper, message = _first(inner)
        return path + deeper, message
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        message = "unknown field"
    elif details["type"] not in {"value_error", "missing"} and not isinstance(
        details["input"], dict
    ):
        message = f"{message[0].lower()}{message[1:]} (got {str(details['input'])[:60]!r})"
    return path, " ".join(message.split())


def _named(error: ValidationError, document: Document, at: KeyPath = ()) -> ConfigError:
    """Turn a validation error into one line naming file, line and field."""
    path, message = _first(error)
    return ConfigError(f"{document.where(at + path)}: {dotted(at + path)}: {message}")
