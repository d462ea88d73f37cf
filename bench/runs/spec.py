"""An ablation becomes runs: each with an identity, what is cached, and what it will cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from bench.ablation.file import LABEL, Ablation
from bench.contracts import registry
from bench.contracts.variant import Variant, overrides
from bench.search.settings import Settings

SCHEMA = 2
"""Of the code's results: raised when the same settings would give other numbers than before."""


def _read(values: Any) -> Any:
    return tuple(registry.parse("variants", value) for value in values)


def _write(values: tuple[Variant, ...]) -> list[dict[str, Any]]:
    return [registry.dump(value) for value in values]


class RunSpec(BaseModel):
    """Everything that determines one run; stored with it and read back."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    ablation: str
    label: str = Field(pattern=rf"^{LABEL.pattern}$")
    seed: int = Field(ge=0)
    variants: Annotated[tuple[Variant, ...], BeforeValidator(_read), PlainSerializer(_write)]
    settings: Settings
    code: int = SCHEMA

    @property
    def digest(self) -> str:
        """The identity: a hash of settings, variants, seed and code schema (not of the names)."""
        content = self.model_dump(mode="json", exclude={"ablation", "label"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        """The name of the run's folder."""
        return f"{self.label}-seed{self.seed}-{self.digest}"


def plan(ablation: Ablation, only: Iterable[str] = ()) -> list[RunSpec]:
    """Return every run, seeds outermost, so that an early look has all variants.

    Parameters
    ----------
    only
        Labels to keep; empty: all.
    """
    from bench.search.setup import resolve_device

    wanted, runs = set(only), []
    for seed in ablation.seeds:
        for arm in ablation.arms:
            if wanted and arm.label not in wanted:
                continue
            device = resolve_device(arm.settings.device).type
            settings = arm.settings.model_copy(update={"device": device})
            runs.append(
                RunSpec(
                    ablation=ablation.name, label=arm.label, seed=seed,
                    variants=arm.interventions, settings=settings,
                )
            )  # fmt: skip
    return runs


@dataclass(frozen=True)
class Cost:
    """What a run is expected to take.

    Attributes
    ----------
    seconds
        On one process; rough.
    memory
        Bytes at the peak.
    disk
        Bytes kept.
    basis
        What the time rests on.
    instruments
        Share of the passes through the supernet that instruments take.
    """

    seconds: float
    memory: int
    disk: int
    basis: str
    instruments: float


def readings(spec: RunSpec) -> dict[str, float]:
    """Return what every instrument of a run costs over the whole search, in units of F."""
    settings = spec.settings
    epochs, count = settings.search.epochs, parameters(spec)
    found: dict[str, float] = {}
    for instrument in settings.instruments:
        times = len({e for e in range(1, epochs + 1) if e % instrument.every == 0} | {epochs})
        took = times * instrument.passes(settings, count)
        found[instrument.name] = found.get(instrument.name, 0.0) + took
    return found


def parameters(spec: RunSpec) -> int:
    """Count the entries of alpha."""
    return len(spec.settings.space.edges) * len(spec.settings.space.operations)


def passes(spec: RunSpec) -> float:
    """Return what the steps of a search cost in units of F, without instruments.

    A forward and backward pass in every pass of the weight step, and those of the hypergradient.
    What a variant's perturbation costs is not in.
    """
    settings = spec.settings
    data, search = settings.data, settings.search
    _, total = data.extent()
    each = sum(v.passes(settings.space) for v in spec.variants if overrides(v, "passes")) or 1.0
    each += settings.hypergradient.passes(parameters(spec))
    return search.epochs * max(1, total // 2 // search.batch) * each


def work(spec: RunSpec) -> float:
    """Return the multiply–adds of a run, in 10⁹, by a count of its convolutions.

    Counts the supernet's convolutions in the passes of the search and of the instruments, and one
    forward pass per ranked architecture and image at half the operations; and what the truth has
    to train.
    """
    settings = spec.settings
    data, search = settings.data, settings.search
    resolution, total = data.extent()
    per_image = settings.space.size(resolution).operations / 1e9
    searching = passes(spec) + sum(readings(spec).values())
    ranking = 0.0
    if settings.ranking is not None and settings.ranks:
        cells_ranked = settings.ranking.population.size or 6466
        ranking = cells_ranked * (settings.ranking.images or total / 2) * per_image / 3
    asking = settings.truth.work(settings) if settings.truth is not None else 0.0
    return searching * search.batch * 3 * per_image + ranking + asking


def cost(spec: RunSpec, measured: dict[str, float]) -> Cost:
    """Estimate a run's cost.

    Parameters
    ----------
    measured
        Device → seconds per 10⁹ multiply–adds seen in finished runs of this output folder.
    """
    rate = measured.get(spec.settings.device)
    basis = "finished runs here" if rate else "a rule of thumb"
    rate = rate or (0.11 if spec.settings.device == "cpu" else 0.004)
    size = spec.settings.space.size(spec.settings.data.resolution or 32)
    memory = 400_000_000 + 4 * size.kept * spec.settings.search.batch + 40 * size.weights
    reading = sum(readings(spec).values())
    share = reading / (reading + passes(spec))
    return Cost(work(spec) * rate, memory, 100_000 + 12 * size.weights, basis, share)


def default_output(ablation: Ablation) -> Path:
    """Return where an ablation's runs go unless the user says otherwise."""
    return Path("results") / "runs" / f"{ablation.name}-{ablation.profile}"
