"""Which way descent pulls α, against what it does without training and without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from bench.contracts.data import Batch
from bench.contracts.instrument import Instrument, Reading
from bench.instruments._inside import competing, probe
from bench.metrics import Metric, reading
from bench.streams import generator

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings
    from bench.contracts.space import Space

Floats = NDArray[np.float64]
PREFIX = "pull_by_"
NAMES = ("weight_free", "weight_free_se", "untrained", "shuffled", "excess")


class ArchitecturePull(Instrument):
    """The signed pull of −∂L_val/∂α on operations without weights, and two nulls for it.

    Taken through the softmax, so that it is what α does and operations compete in it: with
    G = ∂L_val/∂p, −∂L_val/∂α_o = p_o (Σ p G − G_o), whose sum over an edge is zero. ``pull_weight_free``
    is the cosine of −∂L_val/∂α, averaged over the probe batches, with the unit vector that favours
    operations without weights (`none` left out: it gives nothing) over those with weights, equally
    on all edges; above zero, descent raises their share. ``..._se`` is its standard error over the
    batches, the length taken as known.

    A pull that is there without anything learned explains no search. The same number

    * at the untrained weights, with α as it is now: ``pull_untrained``;
    * at the present weights, the labels of every batch permuted: ``pull_shuffled``

    are the nulls, and ``pull_excess`` is the pull minus the larger of the two. Details are cosines
    for every operation against all others of its edge, ``pull_by_<operation>``. NaN where the search
    learns no alpha, and where operations that compete are of one kind.

    `gradient_share` asks how large the gradients are, not which way they point; a large gradient on
    an operation may lower its share.
    """

    details: ClassVar[str] = PREFIX
    cost: ClassVar[str] = "3·batches F, and a supernet that is built"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading("pull_weight_free", "pull of descent on α toward operations without weights"),
        reading("pull_weight_free_se", "its standard error over batches"),
        reading("pull_untrained", "the same at untrained weights"),
        reading("pull_shuffled", "the same on permuted labels"),
        reading("pull_excess", "that pull beyond both of its nulls"),
    )

    batches: int = Field(8, ge=2, description="validation batches, the same at every reading")

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        return 3.0 * self.batches

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        space, kept = setup.space, competing(setup, state)
        if not setup.composition.learns_architecture:
            single = {f"{PREFIX}{name}": np.nan for name in space.operations}
            return {f"pull_{name}": np.nan for name in NAMES} | single
        batches = probe(setup, self.name, self.batches)
        pulls = descents(setup, state, state, batches)
        toward = weight_free_direction(kept, space)
        whole = pulls.mean(0)
        nulls = {
            "pull_untrained": self._untrained(setup, state, batches),
            "pull_shuffled": descents(setup, state, state, self._permuted(setup, batches)).mean(0),
        }
        found = {"pull_weight_free": cosine(whole, toward)}
        length = float(np.linalg.norm(whole))
        along = (pulls * toward).sum((1, 2))
        found["pull_weight_free_se"] = (
            float(along.std(ddof=1) / np.sqrt(len(along)) / length) if length else np.nan
        )
        found |= {name: cosine(null, toward) for name, null in nulls.items()}
        found["pull_excess"] = found["pull_weight_free"] - max(found[name] for name in nulls)
        for o, name in enumerate(space.operations):
            found[f"{PREFIX}{name}"] = cosine(whole, direction(kept, [o], space))
        return found

    def _permuted(self, setup: SearchView, batches: list[Batch]) -> list[Batch]:
        """Give every batch the labels of its own images in another order."""
        found = []
        for i, batch in enumerate(batches):
            draws = generator("cpu", setup.seed, self.name, "labels", i)
            order = torch.randperm(len(batch.labels), generator=draws).to(batch.labels.device)
            found.append(Batch(batch.images, batch.labels[order]))
        return found

    def _untrained(self, setup: SearchView, state: StateView, batches: list[Batch]) -> Floats:
        from bench.search.setup import Setup, initial_state  # late: saves start-up time

        fresh = initial_state(Setup.of(setup), state.epoch)
        mean: Floats = descents(setup, state, fresh, batches).mean(0)
        return mean


def descents(
    setup: SearchView, state: StateView, weights: StateView, batches: list[Batch]
) -> Floats:
    """Return −∂L_val/∂α per batch [N, E, O], at the α of ``state`` and the weights of another."""
    moment, found = setup.moment(state, "evaluate"), []
    for batch in batches:
        own = {k: v.detach().clone().requires_grad_() for k, v in state.architecture.items()}
        with torch.enable_grad():
            logits = setup.logits(
                weights,
                moment,
                batch,
                setup.composition.mixture(own, moment),
                architecture=own,
                pure=True,
            )
            loss = F.cross_entropy(logits, batch.labels)
            (gradient,) = torch.autograd.grad(loss, [own["alpha"]], allow_unused=True)
        found.append(-(torch.zeros_like(own["alpha"]) if gradient is None else gradient))
    stacked: Tensor = torch.stack(found).detach().double().cpu()
    values: Floats = stacked.numpy()
    return values


def weight_free_direction(kept: list[list[int]], space: Space) -> Floats:
    """Return the unit vector [E, O] that favours what has no weights over what has; `none` is 0.

    Zero on edges where operations of one kind compete; NaN where that is so on all.
    """
    names = space.operations
    given = [[o for o in row if names[o] != "none"] for row in kept]
    free = [o for o, name in enumerate(names) if name in space.weight_free]
    return direction(given, free, space)


def direction(kept: list[list[int]], favoured: list[int], space: Space) -> Floats:
    """Return the unit vector [E, O] that favours some of the operations named over the others."""
    found = np.zeros((len(kept), len(space.operations)))
    for e, row in enumerate(kept):
        ours = [o for o in row if o in favoured]
        theirs = [o for o in row if o not in favoured]
        if ours and theirs:
            found[e, ours], found[e, theirs] = 1 / len(ours), -1 / len(theirs)
    length = np.linalg.norm(found)
    return found / length if length else np.full_like(found, np.nan)


def cosine(pull: Floats, toward: Floats) -> float:
    """Return the cosine of a pull with a unit vector; NaN where nothing pulls."""
    length = float(np.linalg.norm(pull))
    return float((pull * toward).sum() / length) if length else np.nan
