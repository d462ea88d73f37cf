"""What an ablation file may say, and how file, profile and command line become settings."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator

from bench.ablation.asked import checked
from bench.ablation.criteria import Explanation
from bench.ablation.layers import Layer, assignment
from bench.ablation.mistakes import named
from bench.ablation.places import ablation_file, profile_file
from bench.ablation.relative import relative, resolved
from bench.ablation.yamlfile import ConfigError, Document, KeyPath, dotted, load
from bench.contracts import plugins, registry
from bench.contracts.plain import Plain
from bench.contracts.variant import Variant
from bench.decision import budget
from bench.names import LABEL
from bench.search.composition import Composition
from bench.search.settings import Settings

MAX_CELLS = 256
MAX_VARIANTS = 512


class Contrast(Plain):
    """The one comparison that an ablation is about, stated before it is run."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    metric: str = Field(description="a column of the results table, e.g. skip_count")
    of: str = Field(description="the variant that is asked about")
    against: str = Field(description="the variant that it is compared with")
    expect: Literal["lower", "higher", "different"] = "different"
    smallest: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="smallest effect of interest, in the metric's unit; of a rate, between 0 and 1",
    )


class AblationFile(Plain):
    """The keys of an ablation file.

    Beside ``variants``, or instead of it, ``grid`` crosses factors: factor → level → what the level
    says, as a variant would. Every combination of levels becomes a variant whose label joins theirs
    with ``+`` in the order of the factors; interventions are composed and settings merged in that
    order. All variants share the seeds, so that every comparison within the grid is paired.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    question: str = Field(min_length=1)
    contrast: Contrast
    plugins: str | list[str] = Field(
        [], description="members of one's own: files or folders beside this one, or below it"
    )
    explanation: Explanation | None = None
    space: Any = "nb201"
    variants: dict[str, dict[str, Any] | None] = Field({}, max_length=MAX_VARIANTS)
    grid: dict[str, Annotated[dict[str, dict[str, Any] | None], Field(min_length=1)]] = Field({})

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
    until: budget.Until | None = None
    """Seeds are added until the contrast is decided; `seeds` are then those that there may be."""
    notes: tuple[str, ...] = ()
    """What a reader of the command line should know: options that an arm does not take."""


def read_ablation(
    path: Path,
    profile: str = "quick",
    sets: list[str] | None = None,
    seeds: str | None = None,
    *,
    until: str | None = None,
    seed_offset: int = 0,
) -> Ablation:
    """Read an ablation file at the scale of a profile.

    Parameters
    ----------
    path
        The file, or the name of one that is shipped.
    profile
        A name under ``profiles/`` beside the file or above it, or a path to a YAML file.
    sets
        ``key=value`` with dotted keys: changes what the profile says.
    seeds
        A count (``5``) or a list (``0,3,7``); overrides the profile's.
    until
        A budget (``5m``, ``40``, ``5m,40``; empty: the profile's): pairs of seeds are added until the contrast
        is decided or it is spent.
    seed_offset
        Added to every seed: the same question asked of others.

    Returns
    -------
    Ablation
        The question, its contrast by metric names, and every arm with the settings that it ends up with.

    Raises
    ------
    ConfigError
        One line naming file, line and field.
    """
    path = ablation_file(path)
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
        raise named(error, document, AblationFile, document.data) from None
    if not file.variants and not file.grid:
        raise ConfigError(f"{document.where(('variants',))}: variants: needed, or a grid")
    _use_plugins(document, file.plugins)
    base, seed_value, seed_where = _profile(path, profile)
    space = {"name": file.space} if isinstance(file.space, str) else file.space
    where = {at: document.where(at) for at in document.under(("space",))}
    base.put(("space",), space, where or {("space",): document.where(())})
    for text in sets or []:  # on top of file and profile; only what an arm says itself comes after
        if text.partition("=")[0] == "seeds":
            seed_value, seed_where = assignment(text)[1], f"--set {text}"
        else:
            base.assign([text])
    notes: list[str] = []
    arms = tuple(
        _arm(document, label, parts, base, notes) for label, parts in _labels(document, file)
    )
    contrast, explanation = checked(
        document,
        file.contrast,
        file.explanation,
        {arm.label: {i.name for i in arm.settings.instruments} for arm in arms},
        {arm.label: arm.settings.space.says_nothing for arm in arms},
    )
    if seeds is not None:
        seed_value, seed_where = (
            (list(seeds.split(",")) if "," in seeds else seeds),
            "--seeds",
        )
    if until is not None:
        seed_value = seed_value if isinstance(seed_value, dict) else {}
        given = budget.read(seed_value, seed_where)[1] or budget.Until()
        seed_value = (given.within(until) if until else given).model_dump()
    numbers, open_until = budget.read(seed_value, seed_where, seed_offset)
    return Ablation(
        name=path.stem,
        question=file.question,
        contrast=contrast,
        arms=arms,
        seeds=numbers,
        until=open_until,
        profile=Path(profile).stem,
        path=path,
        explanation=explanation,
        notes=tuple(notes),
    )


def _use_plugins(document: Document, said: str | list[str]) -> None:
    """Name the plug-ins of a file, which must lie beside it: whoever has the file has them too."""
    for i, text in enumerate([said] if isinstance(said, str) else said):
        where = document.where(("plugins", i) if isinstance(said, list) else ("plugins",))
        home = document.path.resolve().parent
        place = (home / text).resolve()
        if Path(text).is_absolute() or not place.is_relative_to(home):
            raise ConfigError(
                f"{where}: plugins: {text!r} is not beside the file; name what lies elsewhere with "
                "--plugins"
            )
        try:
            plugins.use(home / text)
        except plugins.PluginError as error:
            raise ConfigError(f"{where}: plugins: {error}") from None


def _profile(path: Path, profile: str) -> tuple[Layer, Any, str]:
    """Read a profile into a layer; return it with its seeds and where they stand."""
    document = load(profile_file(profile, path))
    if not isinstance(document.data, dict):
        raise ConfigError(f"{document.path}:1: a profile is a mapping of settings")
    data = dict(document.data)
    seeds, seed_where = data.pop("seeds", 3), document.where(("seeds",))
    return Layer.of(document, "a profile is a mapping of settings", data), seeds, seed_where


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


def _arm(document: Document, label: str, parts: _Parts, base: Layer, notes: list[str]) -> Arm:
    """Resolve one arm: its interventions and what it overrides."""
    last = parts[-1][0]
    here, named = document.where(last), "variants" if last[0] == "variants" else "grid"
    if not LABEL.fullmatch(label):
        raise ConfigError(f"{here}: {named}: {label!r} is no label; use letters, digits, _ . + -")
    layer = base.copy()
    interventions: dict[str, Variant] = {}
    # A setting's name stays a setting's, whatever a folder of variants has in it.
    known = [name for name in registry.names("variants") if name not in Settings.model_fields]
    for at, entry in parts:
        for key, value in entry.items():
            place = f"{document.where((*at, key))}: {dotted(at)}"
            if key in interventions:
                raise ConfigError(f"{place}: {key!r} is in two factors of {label!r}")
            if key in known:
                interventions[key] = _intervention(document, (*at, key), value)
            elif key in Settings.model_fields:
                where = {
                    path[len(at) :]: document.where(path) for path in document.under((*at, key))
                }
                if relative(value):
                    others = base.read(Settings, here).model_dump()
                    value = resolved(value, others[key], (key,), where, here)
                layer.put((key,), value, where)
            else:
                hint = registry.or_own(key, [*known, *Settings.model_fields])
                raise ConfigError(f"{place}: unknown variant {key!r}; {hint}")
    settings = layer.read(Settings, here)
    for at, option in base.origin.items():
        if option.startswith("--set ") and layer.origin.get(at) != option:
            notes.append(f"{label} has its own {dotted(at)} ({layer.origin[at]}), not {option}")
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
        kind = registry.load("variants", str(at[-1]))
        raise named(error, document, kind, parameters, at) from None
    except ValueError as error:  # no such preset
        at = (*at, "preset")
        raise ConfigError(f"{document.where(at)}: {dotted(at)}: {error}") from None
    return found
