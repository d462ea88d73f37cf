"""What the settings of a run are: typed, with the AutoDL protocol as defaults."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from bench.contracts import registry
from bench.contracts.data import DataSource
from bench.contracts.hypergradient import Hypergradient
from bench.contracts.instrument import Instrument
from bench.contracts.plain import Plain
from bench.contracts.selection import Selection
from bench.contracts.space import Space
from bench.contracts.truth import Truth, TruthSource
from bench.ranking.protocol import Protocol


def _reading(seam: str) -> BeforeValidator:
    return BeforeValidator(functools.partial(registry.parse, seam))


_written = PlainSerializer(registry.dump)
SpaceField = Annotated[Space, _reading("spaces"), _written]
DataField = Annotated[DataSource, _reading("data"), _written]
TruthField = Annotated[TruthSource, _reading("truth"), _written]
HypergradientField = Annotated[Hypergradient, _reading("hypergradients"), _written]
SelectionField = Annotated[Selection, _reading("selection"), _written]
InstrumentField = Annotated[Instrument, _reading("instruments"), _written]


MAX_THREADS = 1024
"""More than any machine has cores; far more end the process when they are started."""


class _Model(Plain):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
    )


Beta = Annotated[float, Field(ge=0, lt=1)]


class WeightOptimizer(_Model):
    """SGD on the weights; the rate follows a cosine per step."""

    lr: float = Field(0.025, gt=0, description="learning rate of the first step")
    lr_min: float = Field(0.001, ge=0, description="where the cosine ends")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    nesterov: bool = Field(True, description="Nesterov's form of the momentum")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on the weights")
    clip: float | None = Field(5.0, gt=0, description="global gradient norm; null: no clipping")
    unused: Literal["decay", "leave"] = Field(
        "decay",
        description="weights of operations that a step does not run: momentum and decay act on them "
        "(RSPS and GDAS in their authors' code), or nothing does (SPOS)",
    )


class ArchitectureOptimizer(_Model):
    """Adam on the architecture parameters."""

    lr: float = Field(3e-4, ge=0, description="learning rate of alpha")
    betas: tuple[Beta, Beta] = Field((0.5, 0.999), description="of Adam's two averages")
    weight_decay: float = Field(1e-3, ge=0, description="L2 penalty on alpha")
    initial: float = Field(1e-3, ge=0, description="deviation of the normal initial alpha")


SEARCHES: dict[str, dict[str, dict[str, Any]]] = {
    "autodl": {},
    "sdarts": {
        "search": {
            "epochs": 100,
            "order": "architecture_first",
            "weights": {"weight_decay": 3e-4, "nesterov": False},
        },
        "space": {"running_statistics": True},
    },
}
"""What a preset of ``search`` says where nothing else does. ``autodl``: all defaults, NAS-Bench-201's own
searches. ``sdarts``: SmoothDARTS's (nasbench201/train_search.py), with which every number on
NAS-Bench-201 of SDARTS, DrNAS, DARTS-PT and β-DARTS was searched; its batch norms keep running
statistics, which is said of the space."""


class SearchSettings(_Model):
    """The bilevel loop: AutoDL-Projects' protocol by default."""

    preset: Literal["autodl", "sdarts"] = Field(
        "autodl", description="whose protocol; what stands beside it, or in a profile, wins"
    )
    epochs: int = Field(50, ge=1, description="passes over the training half")
    batch: int = Field(64, ge=2, description="images of a step, of either half")
    order: Literal["weights_first", "architecture_first"] = Field(
        "weights_first", description="architecture_first is the original DARTS code's"
    )
    weights: WeightOptimizer = WeightOptimizer()
    architecture: ArchitectureOptimizer = ArchitectureOptimizer()
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16 runs the supernet under autocast"
    )


def _beneath(said: dict[str, Any], over: Any) -> Any:
    """Return ``over`` with what it does not say taken from ``said``."""
    if not isinstance(over, dict):
        return over
    inner = {k: _beneath(v, over[k]) for k, v in said.items() if isinstance(v, dict) and k in over}
    return {**said, **over, **inner}


class Settings(_Model):
    """All settings of a run; a profile sets them and a variant may override any."""

    space: SpaceField
    data: DataField
    truth: TruthField | None = None
    search: SearchSettings = SearchSettings()
    hypergradient: HypergradientField = Field("first_order", validate_default=True)
    selection: SelectionField | None = None
    ranking: Protocol | None = Protocol()
    instruments: tuple[InstrumentField, ...] = Field(
        ("cell", "supernet_accuracy", "true_accuracy"),
        validate_default=True,
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="auto: the first GPU that is there, else the CPU"
    )
    threads: int = Field(
        1,
        ge=1,
        le=MAX_THREADS,
        description="CPU threads of one run; part of its identity: sums depend on it",
    )
    kernel: Literal["auto", "torch", "inductor"] = Field(
        "auto",
        description="auto: a compiled kernel for the CPU where there is a compiler, equal to rounding; "
        "inductor: torch.compile with CUDA graphs for the search's steps, unmeasured on a GPU",
    )
    deterministic: bool = Field(True, description="refuse operations that are not reproducible")

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: Any) -> Any:
        """Let the preset of ``search`` say what nothing else does."""
        search = data.get("search") if isinstance(data, dict) else None
        named = search.get("preset") if isinstance(search, dict) else None
        said = SEARCHES.get(named, {}) if isinstance(named, str) else {}
        if not said:
            return data
        space = data.get("space")
        space = {"name": space} if isinstance(space, str) else space
        found = {**data, "search": _beneath(said["search"], search)}
        if isinstance(space, dict) and space.get("name") in registry.names("spaces"):
            fields = registry.load("spaces", space["name"]).model_fields
            own = {key: value for key, value in said["space"].items() if key in fields}
            found["space"] = _beneath(own, space)
        return found

    @model_validator(mode="after")
    def _measurable(self) -> Self:
        """Refuse a truth of another space, and a population that the space cannot give."""
        if self.truth is None:
            return self
        if self.truth.space not in (None, self.space.name):
            raise ValueError(
                f"truth: {self.truth.name} knows cells of {self.truth.space}, not of "
                f"{self.space.name}; say truth: null"
            )
        if self.ranking and (refusal := self.ranking.population.drawable(self.space)):
            raise ValueError(f"ranking.population: {refusal}")
        return self

    @property
    def ranks(self) -> bool:
        """Whether sub-networks are ranked: there is a protocol, and a truth to rank by."""
        return self.ranking is not None and self.truth is not None and self.truth.ranks

    def load_truth(self) -> Truth | None:
        """Load the truth, if there is one.

        Raises
        ------
        TruthError
            When it cannot be loaded, or knows no cell of the space.
        ValueError
            When the population that is to be ranked by it cannot be drawn.
        """
        if self.truth is None:
            return None
        truth = self.truth.of(self.space, self.data)
        if self.ranks and self.ranking is not None and self.ranking.population.by_truth:
            self.ranking.population.drawn(self.space, truth)  # now, not after the search
        return truth


def fields(model: type[BaseModel]) -> list[tuple[str, str, Any, str]]:
    """Return (name, type, default, description) of every field, for `show`."""
    rows = []
    for name, info in model.model_fields.items():
        kind = getattr(info.annotation, "__name__", str(info.annotation))
        if "Literal" in str(info.annotation) or "|" in str(info.annotation):
            kind = str(info.annotation).replace("typing.", "")
        default = "required" if info.is_required() else info.get_default(call_default_factory=True)
        rows.append((name, kind, default, info.description or ""))
    return rows
