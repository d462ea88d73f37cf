"""Several variants as one: their hooks in the order in which the file names them.

The order is that of the ablation file: transforms (mixture, operation, edge, perturb) are chained,
losses added, limits intersected, an update happens where all let it, the first to stop stops.
Operations that no longer compete have alpha −inf before any hook sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.contracts.moment import Half, Moment
from bench.contracts.space import Active, Portion, Space
from bench.contracts.stages import bounds, stage
from bench.contracts.variant import ArchitectureStep, Site, Stop, Variant, overrides

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class ContradictionError(ValueError):
    """Variants that cannot be combined; the sentence says which and why."""


@dataclass(frozen=True)
class BoundHooks:
    """The hooks of all variants at one moment, as the supernet calls them (see `CellHooks`)."""

    variants: tuple[Variant, ...]
    space: Space
    architecture: dict[str, Tensor]
    moment: Moment
    touched: frozenset[int]
    edges: bool
    partial: int | None

    @property
    def recordable(self) -> bool:
        """See `CellHooks`."""
        return True

    def operation(self, y: Tensor, *, cell: int, edge: int, operation: int) -> Tensor:
        """Draw what the space says is drawn, then run every variant that touches the operation."""
        stride = 2 if edge in self.space.halving else 1
        site = Site(cell, edge, self.space.operations[operation], stride=stride)
        if site.operation in self.space.drawn:
            draws = self.moment.generator(site.operation, cell, edge)
            y = torch.empty_like(y).normal_(generator=draws)
        for variant in self.variants:
            if site.operation in variant.touches:
                y = variant.operation(y, site, self.moment)
        return y

    def edge(self, y: Tensor, x: Tensor, *, cell: int, edge: int) -> Tensor:
        """Run every variant that transforms edges."""
        ends = [target for _, target in self.space.edges]
        siblings = tuple(e for e, target in enumerate(ends) if target == ends[edge])
        site = Site(cell, edge, siblings=siblings)
        for variant in self.variants:
            if overrides(variant, "edge"):
                y = variant.edge(y, x, site, self.architecture, self.moment)
        return y


class Composition:
    """The variants of one search.

    Raises
    ------
    ContradictionError
        When they cannot go together; see `_check`.
    """

    def __init__(self, variants: Sequence[Variant], space: Space) -> None:
        self.variants, self.space = tuple(variants), space
        self._check()
        self.options = self._merged("supernet option", lambda v: v.supernet_options())
        if self.space.channels % (parts := self.options.get("partial", 1)):
            raise ContradictionError(
                f"one in {parts} channels is to be mixed, and space.channels is {space.channels}; "
                f"take a multiple of {parts}"
            )
        self.halves: dict[str, Half] = self._merged("images of an update", lambda v: v.halves())
        decays: dict[str, float] = self._merged(
            "weight decay",
            lambda v: {} if v.architecture_decay is None else {"alpha": v.architecture_decay},
        )
        self.architecture_decay: float | None = decays.get("alpha")
        self.stages = max([1, *(v.stages for v in self.variants)])
        self.passes = max([1, *(v.passes(space) for v in self.variants)])
        self._refuse_empty_edges()
        self.parameters(seed=0)  # refuses two of the same name before anything runs

    def _check(self) -> None:
        """Refuse what contradicts itself.

        Two relaxations or two drawers of paths; acting on alpha where it is not learned; perturbing
        a mixture of which one path is run; limits that leave an edge no operation when the search
        begins. Merging refuses what is set twice.
        """

        def having(*hooks: str) -> list[str]:
            return [v.name for v in self.variants if any(overrides(v, hook) for hook in hooks)]

        drawing = [v.name for v in self.variants if v.samples_path]
        for both, what in (
            (having("relax"), "replace softmax(alpha)"),
            (drawing, "draw the path"),
            ([v.name for v in self.variants if v.replaces_step], "replace the optimiser of alpha"),
        ):
            if len(both) > 1:
                raise ContradictionError(f"{' and '.join(both[:2])} both {what}")
        fixed = [v.name for v in self.variants if not v.learns_architecture]
        acting = having("relax", "architecture_loss", "step_architecture", "stop")
        acting += [v.name for v in self.variants if v.ranks_operations]
        if fixed and (acting := [name for name in acting if name not in fixed]):
            raise ContradictionError(f"{acting[0]} acts on alpha, which {fixed[0]} does not learn")
        if not self.space.widens and (widening := [v.name for v in self.variants if v.widens]):
            raise ContradictionError(
                f"{widening[0]} widens the supernet between stages, which that of "
                f"{self.space.name} cannot do; give it one number of channels for all stages"
            )
        if drawing and (perturbing := having("perturb")):
            raise ContradictionError(
                f"{perturbing[0]} perturbs a mixture, of which {drawing[0]} runs one path"
            )

    def _refuse_empty_edges(self) -> None:
        """Refuse variants whose limits leave some edge without any operation when it begins."""
        start = Moment(0, 0, 0, 1, 1, "weights", torch.device("cpu"))
        early = [v for v in self.variants if not v.midway]
        limits = {v.name: kept for v in early if (kept := v.candidates(self.space, start))}
        left = self._agreed([self.space.candidates(), *limits.values()]) if limits else None
        if left is not None and (empty := [e for e, own in enumerate(left) if not own]):
            names = list(limits)
            raise ContradictionError(
                f"{' and '.join(names)} leave no operation on edge {empty[0]} of {self.space.name}"
            )

    def parameters(self, seed: int) -> dict[str, Tensor]:
        """Return the variants' own architecture parameters at their initial values."""
        return self._merged("architecture parameter", lambda v: v.parameters(self.space, seed))

    def _merged(self, what: str, get: Callable[[Variant], dict[str, Any]]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        set_by: dict[str, str] = {}
        for variant in self.variants:
            for key, value in get(variant).items():
                if key in merged:
                    raise ContradictionError(
                        f"{set_by[key]} and {variant.name} set the same {what} {key!r}"
                    )
                merged[key], set_by[key] = value, variant.name
        return merged

    def annealed(self, moment: Moment) -> float:
        """Return how far down the learning rate is, 0 to 1, counted in steps."""
        if self.stages == 1:
            return moment.progress
        number = stage(moment.epoch, moment.epochs, self.stages)
        first, length = bounds(number, moment.epochs, self.stages)
        steps = moment.steps_per_epoch
        return (moment.step - first * steps) / max(1, length * steps)

    def grown(self, epoch: int, epochs: int) -> Space:
        """Return the space with the supernet that runs after so many epochs."""
        space = self.space
        for variant in self.variants:
            space = variant.grown(space, epoch, epochs)
        return space

    @property
    def learns_architecture(self) -> bool:
        """Whether alpha means anything at the end."""
        return all(variant.learns_architecture for variant in self.variants)

    @property
    def default_selection(self) -> str:
        """The selection rule where the file names none."""
        rules = [v.default_selection for v in self.variants if v.default_selection]
        return rules[-1] if rules else "argmax"

    def mixture(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Return the mixture weights [E, O]: softmax(alpha), then every variant's transform.

        Parameters
        ----------
        architecture
            Name → parameter, ``alpha`` [E, O] among them.
        moment
            When hooks are asked.

        Returns
        -------
        Tensor
            [E, O], from which gradients reach the parameters.
        """
        architecture = self._competing(architecture, moment)
        weights = None
        for variant in self.variants:
            weights = variant.relax(architecture, moment) if weights is None else weights
        if weights is None:
            weights = torch.softmax(architecture["alpha"], dim=-1)
        for variant in self.variants:
            weights = variant.mixture(weights, architecture, moment)
        return weights

    def candidates(self, moment: Moment) -> Active | None:
        """Return the operations that compete at this moment for every variant, or None for all."""
        limits = [v.candidates(self.space, moment) for v in self.variants]
        kept = self._agreed([self.space.candidates(), *limits])
        for variant in self.variants:
            kept = variant.drop(self.space, kept, moment)
        return kept

    def strength(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Return the mixture weights [E, O] times what variants say of whole edges."""
        strength = self.mixture(architecture, moment)
        for variant in self.variants:
            if (edges := variant.edge_strength(self.space, architecture)) is not None:
                strength = strength * edges[:, None]
        return strength

    def active(self, architecture: dict[str, Tensor], moment: Moment) -> Active | None:
        """Return the operations to run: what every variant that limits them agrees on."""
        seen = self._competing(architecture, moment)
        limits = [v.active(self.space, seen, moment) for v in self.variants]
        return self._agreed([*limits, self.candidates(moment)])

    def _agreed(self, limits: Sequence[Active | None]) -> Active | None:
        present = [limit for limit in limits if limit is not None]
        if not present:
            return None
        return [
            [o for o in present[0][edge] if all(o in limit[edge] for limit in present[1:])]
            for edge in range(len(self.space.edges))
        ]

    def _competing(self, architecture: dict[str, Tensor], moment: Moment) -> dict[str, Tensor]:
        """Return the architecture parameters with alpha −inf where an operation is out."""
        if (kept := self.candidates(moment)) is None:
            return architecture
        alpha = architecture["alpha"]
        out = torch.ones(alpha.shape, dtype=torch.bool)
        for edge, operations in enumerate(kept):
            out[edge, list(operations)] = False
        return {**architecture, "alpha": alpha.masked_fill(out.to(alpha.device), -torch.inf)}

    def hooks(self, architecture: dict[str, Tensor], moment: Moment) -> BoundHooks | None:
        """Return what happens inside cells, or None where no variant acts there."""
        touched = {o for v in self.variants for o in v.touches if o in self.space.operations}
        touched |= self.space.drawn
        edges = any(overrides(variant, "edge") for variant in self.variants)
        partial = max((k for v in self.variants if (k := v.partial(moment))), default=None)
        if not touched and not edges and partial is None:
            return None
        indices = frozenset(self.space.operations.index(operation) for operation in touched)
        seen = self._competing(architecture, moment)
        return BoundHooks(self.variants, self.space, seen, moment, indices, edges, partial)

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return the sum of the variants' terms, or None."""
        seen = self._competing(architecture, moment)
        terms = [v.architecture_loss(seen, moment) for v in self.variants]
        present = [term for term in terms if term is not None]
        return sum(present[1:], present[0]) if present else None

    def perturb(self, weights: Tensor, loss: Callable[[Tensor], Tensor], moment: Moment) -> Tensor:
        """Perturb the mixture of the weight step, one variant after the other."""
        for variant in self.variants:
            weights = variant.perturb(weights, loss, moment)
        return weights

    @property
    def steers(self) -> bool:
        """Whether some variant has a say in where an update puts the architecture."""
        return any(overrides(variant, "step_architecture") for variant in self.variants)

    def step_architecture(
        self,
        before: dict[str, Tensor],
        after: dict[str, Tensor],
        gradient: dict[str, Tensor],
        moment: Moment,
    ) -> dict[str, Tensor]:
        """Return where an update puts the architecture parameters, by one variant after the other."""
        kept = self.candidates(moment)
        for variant in self.variants:
            step = ArchitectureStep(before, after, gradient, kept)
            after = {**after, **variant.step_architecture(step, moment)}
        return after

    def updates_architecture(self, moment: Moment) -> bool:
        """Say whether every variant lets this step update the architecture."""
        return all(v.updates_architecture(moment) for v in self.variants)

    def updates_weights(self, moment: Moment) -> bool:
        """Say whether every variant lets this step update the weights."""
        return all(v.updates_weights(moment) for v in self.variants)

    def hold_weights(self, setup: SearchView, state: StateView, moment: Moment) -> list[Portion]:
        """Return the weights that some variant leaves alone in this step."""
        return [p for v in self.variants for p in v.hold_weights(setup, state, moment)]

    def after_epoch(self, setup: SearchView, state: StateView) -> None:
        """Let every variant act between epochs."""
        for variant in self.variants:
            variant.after_epoch(setup, state)

    def stop(self, setup: SearchView, state: StateView) -> Stop | None:
        """Return the first variant's wish to stop, if any."""
        return next((s for v in self.variants if (s := v.stop(setup, state)) is not None), None)
