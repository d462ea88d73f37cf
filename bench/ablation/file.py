"""What an ablation file may say, and how file, profile and command line become settings."""

from __future__ import annotations

import difflib
import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bench.ablation.criteria import Criterion, Explanation
from bench.ablation.yamlfile import ConfigError, Document, KeyPath, dotted, load, loads
from bench.contracts import registry
from bench.contracts.variant import Variant
from bench.metrics import METRICS
from bench.names import LABEL, MAX_SEED
from bench.search.composition import Composition
from bench.search.settings import Settings

MAX_SEEDS = 1000
MAX_CELLS = 256


class Contrast(BaseModel):
    """The one comparison that an ablation is about, stated before it is run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = Field(description="a column of the results table, e.g. skip_count")
    of: str = Field(description="the variant that is asked about")
    against: str = Field(description="the variant that it is compared with")
    expect: Literal["lower", "higher", "different"] = "different"


class AblationFile(BaseModel):
    """The keys of an ablation file.

    Beside ``variants``, or instead of it, ``grid`` crosses factors: factor → level → what the level
    says, as a variant would. Every combination of levels becomes a variant whose label joins theirs
    with ``+`` in the order of the factors; interventions are composed and settings merged in that
    order. All variants share the seeds, so that every comparison within the grid is paired.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1)
    contrast: Contrast
    explanation: Explanation | None = None
    space: Any = "nb201"
    variants: dict[str, dict[str, Any] | None] = {}
    grid: dict[str, Annotated[dict[str, dict[str, Any] | None], Field(min_length=1)]] = {}

    @field_validator("grid")
    @classmethod
    def _small_enough(cls, grid: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if (size := math.prod(map(len, grid.values()))) > MAX_CELLS:
            raise ValueError(f"{size} combinations; at most {MAX_CELLS}")
        return grid


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
    explanation: Explanation | None = None


@dataclass
class Layer:
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
            if inside is None:  # `truth: null`, and then `truth.name: table`
                inside = target[key] = {}
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

    def copy(self) -> Layer:
        """Return a deep enough copy to merge into."""

        def clone(value: Any) -> Any:
            return {k: clone(v) for k, v in value.items()} if isinstance(value, dict) else value

        return Layer(clone(self.data), dict(self.origin))

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
    for what, name in (("the file", path.stem), ("--profile", Path(profile).stem)):
        if not LABEL.fullmatch(name):  # it names folders, jobs and pages
            raise ConfigError(
                f"{path}:1: {what}: {name!r} cannot be a name; use letters, digits, _ . + - "
                "(64 at most, a letter or digit first)"
            )
    if not isinstance(document.data, dict):
        raise ConfigError(
            f"{path}:1: an ablation file is a mapping with question, contrast, variants"
        )
    try:
        file = AblationFile.model_validate(document.data)
    except ValidationError as error:
        raise named(error, document) from None
    if not file.variants and not file.grid:
        raise ConfigError(f"{document.where(('variants',))}: variants: needed, or a grid")
    base, seed_value, seed_where = _profile(path, profile)
    for text in sets or []:
        key, value = assignment(text)
        if key == ("seeds",):
            seed_value, seed_where = value, f"--set {text}"
            continue
        base.put(key, value, {key: f"--set {text}"})
    space = {"name": file.space} if isinstance(file.space, str) else file.space
    where = {
        (*at[:1], *at[1:]): document.where(at) for at in document.lines if at[:1] == ("space",)
    }
    base.put(("space",), space, where or {("space",): document.where(())})
    arms = tuple(_arm(document, label, parts, base) for label, parts in _labels(document, file))
    labels = [arm.label for arm in arms]
    asked: list[tuple[KeyPath, Contrast | Criterion]] = [(("contrast",), file.contrast)]
    for i, criterion in enumerate(file.explanation.criteria if file.explanation else ()):
        asked.append((("explanation", "criteria", i), criterion))
    for place, item in asked:
        for name in ("of", "against"):
            label = getattr(item, name)
            if label is not None and label not in labels:
                hint = registry.did_you_mean(label, labels)
                where_at, field_at = document.where((*place, name)), dotted((*place, name))
                raise ConfigError(
                    f"{where_at}: {field_at}: no variant {label!r} in this file; {hint}"
                )
    # Any instrument may add numbers, so an unknown name is refused only where a known one is meant.
    metric, at = file.contrast.metric, document.where(("contrast", "metric"))
    if metric not in METRICS and (near := difflib.get_close_matches(metric, METRICS, 1, 0.8)):
        raise ConfigError(f"{at}: contrast.metric: unknown {metric!r}; did you mean {near[0]!r}?")
    if file.contrast.of == file.contrast.against:
        at = document.where(("contrast",))
        raise ConfigError(f"{at}: contrast: of and against are both {file.contrast.of!r}")
    if seeds is not None:
        seed_value, seed_where = (
            (list(seeds.split(",")) if "," in seeds else seeds),
            "--seeds",
        )
    return Ablation(
        name=path.stem,
        question=file.question,
        contrast=file.contrast,
        arms=arms,
        seeds=_seeds(seed_value, seed_where),
        profile=Path(profile).stem,
        path=path,
        explanation=file.explanation,
    )


def _profile(path: Path, profile: str) -> tuple[Layer, Any, str]:
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
    layer, data = Layer(), dict(document.data)
    seeds, seed_where = data.pop("seeds", 3), document.where(("seeds",))
    where = {at: document.where(at) for at in document.lines if at}
    for key, value in data.items():
        layer.put((key,), value, where)
    return layer, seeds, seed_where


_Parts = list[tuple[KeyPath, dict[str, Any]]]
"""Where something is said of an arm, and what: one entry of ``variants``, or a level per factor."""


def _labels(document: Document, file: AblationFile) -> list[tuple[str, _Parts]]:
    """Return the label of every arm and the parts that it is made of, in the order of the file."""
    found: dict[str, _Parts] = {}
    for label, entry in file.variants.items():
        found[label] = [(("variants", label), entry or {})]
    factors = [
        [(("grid", factor, level), entry or {}) for level, entry in levels.items()]
        for factor, levels in file.grid.items()
    ]
    for cell in itertools.product(*factors) if factors else ():
        label = "+".join(str(at[-1]) for at, _ in cell)
        if label in found:
            raise ConfigError(f"{document.where(cell[-1][0])}: grid: {label!r} is there twice")
        found[label] = list(cell)
    return list(found.items())


def _arm(document: Document, label: str, parts: _Parts, base: Layer) -> Arm:
    """Resolve one arm: its interventions and what it overrides."""
    last = parts[-1][0]
    here, named = document.where(last), "variants" if last[0] == "variants" else "grid"
    if not LABEL.fullmatch(label):
        raise ConfigError(f"{here}: {named}: {label!r} is no label; use letters, digits, _ . + -")
    layer = base.copy()
    interventions: dict[str, Variant] = {}
    known = registry.names("variants")
    for at, entry in parts:
        for key, value in entry.items():
            place = f"{document.where((*at, key))}: {dotted(at)}"
            if key in interventions:
                raise ConfigError(f"{place}: {key!r} is in two factors of {label!r}")
            if key in known:
                interventions[key] = _intervention(document, (*at, key), value)
            elif key in Settings.model_fields:
                where = {
                    path[len(at) :]: document.where(path)
                    for path in document.lines
                    if path[: len(at) + 1] == (*at, key)
                }
                layer.put((key,), value, where)
            else:
                hint = registry.did_you_mean(key, [*known, *Settings.model_fields])
                raise ConfigError(f"{place}: unknown variant {key!r}; {hint}")
    try:
        settings = Settings.model_validate(layer.data)
    except ValidationError as error:
        path, message = first_error(error)
        raise ConfigError(f"{layer.where(path, here)}: {dotted(path)}: {message}") from None
    try:
        composition = Composition(list(interventions.values()), settings.space)
    except ValueError as error:  # a contradiction, or what the space does not have
        raise ConfigError(f"{here}: {named}.{label}: {error}") from None
    if settings.selection is None:
        rule = registry.parse("selection", composition.default_selection)
        settings = settings.model_copy(update={"selection": rule})
    return Arm(label, tuple(interventions.values()), settings)


def _intervention(document: Document, at: KeyPath, value: Any) -> Variant:
    """Read one variant's parameters, its preset first."""
    parameters = {} if value is None else value
    if not isinstance(parameters, dict):
        raise ConfigError(
            f"{document.where(at)}: {dotted(at)}: expected its parameters as a mapping"
        )
    try:
        found: Variant = registry.parse("variants", {**parameters, "name": at[-1]})
    except ValidationError as error:
        raise named(error, document, at) from None
    except ValueError as error:  # no such preset
        at = (*at, "preset")
        raise ConfigError(f"{document.where(at)}: {dotted(at)}: {error}") from None
    return found


def assignment(text: str) -> tuple[KeyPath, Any]:
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
    count = len(seeds)
    if not 1 <= count <= MAX_SEEDS or len(set(seeds)) != count or min(seeds) < 0:
        raise ConfigError(
            f"{where}: seeds: expected 1 to {MAX_SEEDS} different numbers ≥ 0, not {value!r}"
        )
    if max(seeds) > MAX_SEED:
        raise ConfigError(f"{where}: seeds: at most {MAX_SEED} (2^53 − 1): tables round beyond")
    return tuple(seeds)


def first_error(error: ValidationError) -> tuple[KeyPath, str]:
    """Return the path and message of the first error, looking through members' own errors."""
    details = error.errors()[0]
    path: KeyPath = tuple(details["loc"])
    inner = details.get("ctx", {}).get("error")
    if isinstance(inner, ValidationError):
        deeper, message = first_error(inner)
        return path + deeper, message
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        message = "unknown field"
    elif details["type"] not in {"value_error", "missing"} and not isinstance(
        details["input"], dict
    ):
        message = f"{message[0].lower()}{message[1:]} (got {str(details['input'])[:60]!r})"
    return path, " ".join(message.split())


def named(error: ValidationError, document: Document, at: KeyPath = ()) -> ConfigError:
    """Turn a validation error into one line naming file, line and field."""
    path, message = first_error(error)
    return ConfigError(f"{document.where(at + path)}: {dotted(at + path)}: {message}")
