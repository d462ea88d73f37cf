"""Several variants as one: their hooks in the order in which the file names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.spaces import Active, Space
from bench.variants import Moment, Site, Stop, Variant, overrides

if TYPE_CHECKING:
    from bench.state import SearchState


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

    def operation(self, y: Tensor, *, cell: int, edge: int, operation: int) -> Tensor:
        """Run every variant that touches the operation."""
        site = Site(cell, edge, self.space.operations[operation])
        for variant in self.variants:
            if site.operation in variant.touches:
                y = variant.operation(y, site, self.moment)
        return y

    def edge(self, y: Tensor, x: Tensor, *, cell: int, edge: int) -> Tensor:
        """Run every variant that transforms edges."""
        site = Site(cell, edge)
        for variant in self.variants:
            if overrides(variant, "edge"):
                y = variant.edge(y, x, site, self.architecture, self.moment)
        return y


class Composition:
    """The variants of one search.

    Raises
    ------
    ContradictionError
        When two variants both replace the relaxation, set the same supernet option or add an
        architecture parameter of the same name.
    """

    def __init__(self, variants: Sequence[Variant], space: Space) -> None:
        self.variants, self.space = tuple(variants), space
        relaxing = [v.name for v in self.variants if overrides(v, "relax")]
        if len(relaxing) > 1:
            raise ContradictionError(f"{' and '.join(relaxing)} both replace softmax(alpha)")
        self.options = self._merged("supernet option", lambda v: v.supernet_options())
        self.parameters: dict[str, Tensor] = self._merged(
            "architecture parameter", lambda v: v.parameters(space)
        )

    def _merged(self, what: str, get: Callable[[Variant], dict[str, Any]]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for variant in self.variants:
            for key, value in get(variant).items():
                if key in merged:
                    raise ContradictionError(f"two variants set the same {what} {key!r}")
                merged[key] = value
        return merged

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
        """Return the mixture weights [E, O]: softmax(alpha), then every variant's transform."""
        weights = None
        for variant in self.variants:
            weights = variant.relax(architecture, moment) if weights is None else weights
        if weights is None:
            weights = torch.softmax(architecture["alpha"], dim=-1)
        for variant in self.variants:
            weights = variant.mixture(weights, architecture, moment)
        return weights

    def active(self, moment: Moment) -> Active | None:
        """Return the operations to run: what every variant that limits them agrees on."""
        limits = [a for v in self.variants if (a := v.active(self.space, moment)) is not None]
        if not limits:
            return None
        return [
            [o for o in limits[0][edge] if all(o in limit[edge] for limit in limits[1:])]
            for edge in range(len(self.space.edges))
        ]

    def hooks(self, architecture: dict[str, Tensor], moment: Moment) -> BoundHooks | None:
        """Return what happens inside cells, or None where no variant acts there."""
        touched = {o for v in self.variants for o in v.touches if o in self.space.operations}
        edges = any(overrides(variant, "edge") for variant in self.variants)
        if not touched and not edges:
            return None
        indices = frozenset(self.space.operations.index(operation) for operation in touched)
        return BoundHooks(self.variants, self.space, architecture, moment, indices, edges)

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return the sum of the variants' terms, or None."""
        terms = [v.architecture_loss(architecture, moment) for v in self.variants]
        present = [term for term in terms if term is not None]
        return sum(present[1:], present[0]) if present else None

    def perturb(self, weights: Tensor, loss: Callable[[Tensor], Tensor], moment: Moment) -> Tensor:
        """Perturb the mixture of the weight step, one variant after the other."""
        for variant in self.variants:
            weights = variant.perturb(weights, loss, moment)
        return weights

    def updates_architecture(self, moment: Moment) -> bool:
        """Say whether every variant lets this step update the architecture."""
        return all(v.updates_architecture(moment) for v in self.variants)

    def updates_weights(self, moment: Moment) -> bool:
        """Say whether every variant lets this step update the weights."""
        return all(v.updates_weights(moment) for v in self.variants)

    def after_epoch(self, state: SearchState, moment: Moment) -> None:
        """Let every variant act between epochs."""
        for variant in self.variants:
            variant.after_epoch(state, moment)

    def stop(self, state: SearchState, moment: Moment) -> Stop | None:
        """Return the first variant's wish to stop, if any."""
        return next((s for v in self.variants if (s := v.stop(state, moment)) is not None), None)
