"""An ablation becomes runs, each with an identity by which it is found again."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from bench.ablation.file import Ablation
from bench.contracts import identity, registry
from bench.contracts.variant import Variant
from bench.devices import resolve_device
from bench.names import LABEL, MAX_SEED
from bench.runs.contents import Contents
from bench.search.settings import Settings

SCHEMA = 2
"""Of the code's results: raised when the same settings would give other numbers than before."""


def _read(values: Any) -> Any:
    if not isinstance(values, list | tuple):
        raise ValueError("expected a list of variants")
    return tuple(registry.parse("variants", value) for value in values)


def _write(values: tuple[Variant, ...]) -> list[dict[str, Any]]:
    return [registry.dump(value) for value in values]


_SHARED = ("variants", "settings", "contents", "code")
"""What the identity is made of beside the seed."""


class RunSpec(BaseModel):
    """Everything that determines one run; stored with it and read back."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    ablation: str = Field(pattern=rf"^{LABEL.pattern}$")
    label: str = Field(pattern=rf"^{LABEL.pattern}$")
    seed: int = Field(ge=0, le=MAX_SEED)
    variants: Annotated[tuple[Variant, ...], BeforeValidator(_read), PlainSerializer(_write)]
    settings: Settings
    contents: dict[str, str] = Field(
        {}, description="hashes of what the settings name: images, truth, cells of a file"
    )
    code: int = SCHEMA

    def foreign(self, source: Path) -> RunSpec:
        """Return what a folder of somebody else's may ask for: it downloads and executes nothing.

        Raises
        ------
        ValueError
            Naming ``source``, where its truth would run code that files hold.
        """
        truth = self.settings.truth
        if truth is not None and truth.executes:
            raise ValueError(
                f"{source}: settings.truth: {truth.name} runs code that its files hold; it is used "
                "only by `bench run` with an ablation file that names it"
            )
        data = self.settings.data.offline()
        if data is self.settings.data:
            return self
        return self.model_copy(update={"settings": self.settings.model_copy(update={"data": data})})

    @functools.cached_property
    def shared(self) -> tuple[tuple[Any, ...], dict[str, str]]:
        """What the identity is made of beside the seed, as it is and as it is written."""
        own = tuple(getattr(self, name) for name in _SHARED)
        return own, {
            name: identity.written(identity.described(value))
            for name, value in zip(_SHARED, own, strict=True)
        }

    @property
    def digest(self) -> str:
        """The identity: a hash of settings, contents, variants, seed and code schema.

        Neither names nor places count: what lies at a place is in the contents.
        """
        # A copy takes along what was written of the run that it is a copy of: an arm's seeds need
        # it once. But not where the copy differs in it.
        own, known = self.shared
        parts = {
            name: known[name]
            if getattr(self, name) is value
            else identity.written(identity.described(getattr(self, name)))
            for name, value in zip(_SHARED, own, strict=True)
        }
        return identity.digest_of({**parts, "seed": identity.written(self.seed)})[:16]

    @property
    def folder(self) -> str:
        """The name of the run's folder."""
        return f"{self.label}-seed{self.seed}-{self.digest}"


def plan(
    ablation: Ablation, only: Iterable[str] = (), contents: Contents | None = None
) -> list[RunSpec]:
    """Return every run, seeds outermost, so that an early look has all variants.

    Parameters
    ----------
    ablation
        What is asked.
    only
        Labels to keep; empty: all.
    contents
        What has been hashed so far; None: nothing, and what is not there is an error.

    Returns
    -------
    list[RunSpec]
        A specification per arm and seed.

    Raises
    ------
    ValueError
        When what a run needs is not there: `DataError`, `TruthError`.
    """
    wanted, hashes, first = set(only), contents or Contents(), list[RunSpec]()
    for arm in ablation.arms:
        if wanted and arm.label not in wanted:
            continue
        device = resolve_device(arm.settings.device).type
        settings = arm.settings.model_copy(update={"device": device})
        first.append(
            RunSpec(
                ablation=ablation.name,
                label=arm.label,
                seed=0,
                variants=arm.interventions,
                settings=settings,
                contents=hashes.of(settings),
            )
        )
        _ = first[-1].digest  # copies share what was described for it
    return [run.model_copy(update={"seed": seed}) for seed in ablation.seeds for run in first]


def default_output(ablation: Ablation) -> Path:
    """Return where an ablation's runs go unless the user says otherwise."""
    return Path("results") / "runs" / f"{ablation.name}-{ablation.profile}"
