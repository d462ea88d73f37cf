"""What every operation is worth to the supernet, and whether alpha ranks operations likewise."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from bench.batches import plain_batches
from bench.contracts.instrument import Instrument, Reading
from bench.instruments._inside import competing
from bench.metrics import Metric, reading
from bench.ranking.correlation import tau_b
from bench.streams import generator

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings

Floats = NDArray[np.float64]
Worth = dict[tuple[int, int], Floats]
"""(edge, operation) → points of accuracy and nats of loss [2], positive where it helps."""
PREFIX = "strength_at_"
SUFFIXES = ("", "_loss")
"""Of readings by accuracy and by loss."""


class OperationStrength(Instrument):
    """What masking an operation costs (D), what it gives alone (I), and what pairs share.

    On the first validation images, batch statistics, nothing dropped, the mixture left as it is
    but for one edge e and never renormalised:

    * D_{e,o}: what the supernet loses when o is masked (the criterion of DARTS-PT);
    * I_{e,o}: what it gains, over the edge without any operation, from o alone; at the weight of
      the whole edge (``alone: whole``, which discretises the edge) or at its own (``own``);
    * interaction D_{oo'} − D_o − D_{o'} of pairs that are masked together: above zero where each
      stands in for the other, so that masking one shows little of what the two are worth.

    All in points of accuracy, and again in mean cross-entropy (``_loss``), which is finer on few
    images. ``strength_tau_masked`` and ``strength_tau_alone`` are Kendall's τ-b, on one edge,
    between mixture weights, which order operations as α does, and D or I: the mean over edges
    where it is defined, NaN where no alpha is learned. `none` takes part, with D = I = 0.
    ``strength_masked`` and ``strength_alone`` are means over all edges and operations but `none`,
    ``strength_interaction`` over pairs. Details, by loss: ``strength_at_<edge>_<operation>_masked``
    and ``..._alone`` (edge ``0_1``: from node 0 to node 1).
    """

    paper: ClassVar[str] = (
        "Wang et al. 2021, Rethinking Architecture Selection in Differentiable NAS (DARTS-PT), "
        "arXiv:2108.04392 (masking)"
    )
    details: ClassVar[str] = PREFIX
    cost: ClassVar[str] = (
        "(1 + E·(2·O + 1 + pairs)) forward passes on the images for O operations besides `none`: "
        "61·images/(3·batch) F on NAS-Bench-201 with one pair"
    )
    measures: ClassVar[tuple[Metric, ...]] = (
        reading("strength_masked*", "what masking an operation costs, mean over operations"),
        reading("strength_alone*", "what an operation gives alone, mean over operations"),
        reading("strength_interaction*", "what masking two costs beyond the sum, mean over pairs"),
        reading(
            "strength_tau_*",
            "τ of mixture weights with what operations cost or give",
            "",
            2,
            "higher",
        ),
    )

    every: int = Field(5, ge=1, description="read after every so many epochs")
    images: int = Field(500, ge=2, description="validation images, the same at every reading")
    batch: int = Field(250, ge=2, description="images per batch, over which batch norm averages")
    alone: Literal["whole", "own"] = Field(
        "whole", description="weight of the operation that is left: the edge's, or its own"
    )
    pairs: int | None = Field(
        1, ge=0, description="pairs per edge whose interaction is read, drawn; null: all"
    )

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        space = settings.space
        each = len(space.operations) - 1  # `none` has no strength
        pairs = each * (each - 1) // 2 if self.pairs is None else self.pairs
        networks = 1 + len(space.edges) * (1 + 2 * each + pairs)
        return networks * self.images / (3 * settings.search.batch)

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        mixture, kept = setup.mixture(state), competing(setup, state)
        none = [o for o, name in enumerate(setup.space.operations) if name == "none"]
        run = [[o for o in row if o not in none] for row in kept]
        pairs = [(e, *pair) for e, row in enumerate(run) for pair in self._pairs(setup, e, row)]
        networks = {"whole": mixture}
        networks |= {f"{e}": masked(mixture, e, row) for e, row in enumerate(run)}
        for e, row in enumerate(run):
            for o in row:
                networks[f"{e}-{o}"] = masked(mixture, e, [o])
                networks[f"{e}+{o}"] = self._left(mixture, e, o, row)
        networks |= {f"{e}-{a}-{b}": masked(mixture, e, [a, b]) for e, a, b in pairs}
        values = scores(setup, state, list(networks.values()), kept, self.batch, self.images)
        worth = dict(zip(networks, values, strict=True))
        whole, places = worth["whole"], [(e, o) for e, row in enumerate(run) for o in row]
        found = {
            "masked": {(e, o): whole - worth[f"{e}-{o}"] for e, o in places},
            "alone": {(e, o): worth[f"{e}+{o}"] - worth[f"{e}"] for e, o in places},
        }
        both = [
            whole - worth[f"{e}-{a}-{b}"] - found["masked"][e, a] - found["masked"][e, b]
            for e, a, b in pairs
        ]
        reading: Reading = {}
        for i, suffix in enumerate(SUFFIXES):
            for name, own in found.items():
                tau = agreement(mixture, kept, own, i)
                learns = setup.composition.learns_architecture
                reading[f"strength_tau_{name}{suffix}"] = tau if learns else np.nan
                reading[f"strength_{name}{suffix}"] = mean([value[i] for value in own.values()])
            reading[f"strength_interaction{suffix}"] = mean([value[i] for value in both])
        for name, own in found.items():
            for (e, o), value in own.items():
                edge = "_".join(map(str, setup.space.edges[e]))
                reading[f"{PREFIX}{edge}_{setup.space.operations[o]}_{name}"] = float(value[1])
        return reading

    def _pairs(self, setup: SearchView, edge: int, row: list[int]) -> list[tuple[int, int]]:
        """Draw pairs of operations of an edge, the same at every reading while they compete."""
        pairs = list(itertools.combinations(row, 2))
        draws = generator("cpu", setup.seed, self.name, edge)
        order = torch.randperm(len(pairs), generator=draws).tolist()
        return [pairs[i] for i in order[: self.pairs]]

    def _left(self, mixture: Tensor, edge: int, operation: int, row: list[int]) -> Tensor:
        """Leave one operation on an edge."""
        left = masked(mixture, edge, [o for o in row if o != operation])
        if self.alone == "whole":
            left[edge, operation] = mixture[edge].sum()
        return left


def masked(mixture: Tensor, edge: int, operations: Sequence[int]) -> Tensor:
    """Return the mixture [E, O] with weights of one edge at zero, not renormalised."""
    changed = mixture.clone()
    changed[edge, list(operations)] = 0.0
    return changed


@torch.no_grad()
def scores(
    setup: SearchView,
    state: StateView,
    mixtures: Sequence[Tensor],
    kept: list[list[int]],
    batch: int,
    images: int,
) -> Floats:
    """Return accuracy (percent) and minus the mean loss of the supernet under each mixture [N, 2].

    Operations of weight zero are not run: they would add nothing.
    """
    moment, total, seen = setup.moment(state, "evaluate"), np.zeros((len(mixtures), 2)), 0
    for part in plain_batches(setup.data.valid, batch, images):
        seen += len(part.labels)
        for i, mixture in enumerate(mixtures):
            on = (mixture != 0).tolist()
            active = [[o for o in row if on[e][o]] for e, row in enumerate(kept)]
            logits = setup.logits(state, moment, part, mixture, active, pure=True)
            total[i, 0] += 100 * int((logits.argmax(-1) == part.labels).sum())
            total[i, 1] -= float(F.cross_entropy(logits, part.labels, reduction="sum"))
    return total / seen


def agreement(mixture: Tensor, kept: list[list[int]], worth: Worth, score: int) -> float:
    """Return the mean over edges of τ-b between weights and worth; what has none is worth 0."""
    found = []
    for e, row in enumerate(kept):
        own = [float(worth[e, o][score]) if (e, o) in worth else 0.0 for o in row]
        found.append(tau_b([float(mixture[e, o]) for o in row], own))
    return mean(found)


def mean(values: Sequence[float]) -> float:
    """Return the mean of what is defined; NaN where nothing is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan
