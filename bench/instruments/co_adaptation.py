"""Whether the operations of an edge can be told apart: CKA, correlation, condition, VIF."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.instrument import Instrument, Reading
from bench.instruments._collinearity import QUANTITIES, Collinearity, Moments, collinearity
from bench.instruments._inside import competing, probe, watched
from bench.metrics import Metric, reading
from bench.streams import generator

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings

PREFIX = "coadaptation_at_"
OVER: dict[str, Callable[[list[float]], Any]] = {
    "mean": np.mean,
    "median": np.median,
    "max": np.max,
}


class CoAdaptation(Instrument):
    """How alike the outputs of the operations of an edge are, on frozen validation images.

    Choosing among operations by their mixture weights is selection among correlated variables; the
    outputs are those that enter the mixture, `none` left out since it is zero. For every edge of
    every cell (see `bench.instruments._collinearity` for the definitions):

    * ``cka``: linear CKA, mean over pairs of operations;
    * ``correlation``: mean over pairs of |Pearson's correlation| of the entries;
    * ``condition``: condition number of their correlation matrix, and ``condition_raw`` that of
      the Gram matrix, in which the norms of the outputs count too;
    * ``vif``: variance inflation 1/(1 − R²_o) of an operation on the others, mean over operations.

    Readings are ``coadaptation_<quantity>_mean``, ``_median`` and ``_max`` over edges and cells.
    Means over cells are details: ``coadaptation_at_<edge>_<quantity>`` for every edge (``0_1`` from
    node 0 to node 1), and ``coadaptation_at_<operation>_vif`` over all edges. Conditions and VIF end
    at 1e12. NaN where fewer than two operations of an edge give anything.

    It needs no alpha: for supernets trained on single paths, the controls, inputs of the cells are
    those of the uniform mixture.
    """

    paper: ClassVar[str] = (
        "Kornblith et al. 2019, Similarity of Neural Network Representations Revisited, "
        "arXiv:1905.00414 (CKA)"
    )
    details: ClassVar[str] = PREFIX
    cost: ClassVar[str] = "batches/3 F, and the products of positions · batch observations"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading(
            "coadaptation_cka_*",
            "linear CKA of the outputs of an edge's operations, over edges",
            "",
            3,
            "lower",
        ),
        reading(
            "coadaptation_correlation_*",
            "absolute correlation of their outputs, over edges",
            "",
            3,
            "lower",
        ),
        reading("coadaptation_condition*", "condition number of their correlation or Gram matrix"),
        reading("coadaptation_vif_*", "variance inflation of one on the others", "", 2, "lower"),
    )

    batches: int = Field(8, ge=1, description="validation batches, the same at every reading")
    positions: int | None = Field(
        16, ge=1, description="pixels per image that are compared, drawn; null: all"
    )

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        return self.batches / 3

    @torch.no_grad()
    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        space, kept = setup.space, competing(setup, state)
        run = [[o for o in row if space.operations[o] != "none"] for row in kept]
        outputs = _Outputs(run, self.positions, (setup.seed, self.name))
        looking, moment = watched(setup, outputs), setup.moment(state, "evaluate")
        mixture = setup.mixture(state)
        for outputs.batch, batch in enumerate(probe(setup, self.name, self.batches)):
            looking.logits(state, moment, batch, mixture, pure=True)
        found = {
            (cell, edge): collinearity(moments, len(run[edge]))
            for (cell, edge), moments in outputs.moments.items()
            if len(run[edge]) > 1
        }
        reading = aggregated([own.summary() for own in found.values()])
        for e, (source, target) in enumerate(space.edges):
            here = [own.summary() for (_, edge), own in found.items() if edge == e]
            for quantity in QUANTITIES:
                value = _over(np.mean, [row[quantity] for row in here])
                reading[f"{PREFIX}{source}_{target}_{quantity}"] = value
        for o, name in enumerate(space.operations):
            if name != "none":
                reading[f"{PREFIX}{name}_vif"] = _over(np.mean, _inflation(found, run, o))
        return reading


@dataclass
class _Outputs:
    """Adds up every edge's outputs as soon as all of them are there."""

    run: list[list[int]]
    positions: int | None
    key: tuple[int, str]
    batch: int = 0
    moments: dict[tuple[int, int], Moments] = field(default_factory=dict)
    waiting: dict[int, dict[int, Tensor]] = field(default_factory=dict)

    def operation(self, y: Tensor, cell: int, edge: int, operation: int) -> Tensor:
        pixels = y.detach().flatten(2)
        if self.positions is not None and self.positions < pixels.shape[-1]:
            # The same for all operations, so that they are compared at the same places.
            draws = generator("cpu", *self.key, self.batch, pixels.shape[-1])
            drawn = torch.randperm(pixels.shape[-1], generator=draws)[: self.positions]
            pixels = pixels[..., drawn.to(pixels.device)]
        rows = pixels.movedim(1, -1).flatten(0, 1).float().cpu()
        self.waiting.setdefault(edge, {})[operation] = rows
        return y

    def edge(self, cell: int, edge: int) -> None:
        outputs = self.waiting.pop(edge, {})
        if outputs:
            maps = [outputs[operation] for operation in self.run[edge]]
            self.moments.setdefault((cell, edge), Moments()).add(maps)


def aggregated(rows: list[dict[str, float]]) -> Reading:
    """Return mean, median and maximum over edges and cells of every quantity."""
    return {
        f"coadaptation_{quantity}_{over}": _over(function, [row[quantity] for row in rows])
        for quantity in QUANTITIES
        for over, function in OVER.items()
    }


def _over(function: Callable[[list[float]], Any], values: list[float]) -> float:
    """Aggregate what is there; NaN where nothing is."""
    known = [value for value in values if not np.isnan(value)]
    return float(function(known)) if known else float("nan")


def _inflation(
    found: dict[tuple[int, int], Collinearity], run: list[list[int]], operation: int
) -> list[float]:
    return [
        float(own.vif[run[edge].index(operation)])
        for (_, edge), own in found.items()
        if operation in run[edge]
    ]
