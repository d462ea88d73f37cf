"""Which operations the validation loss pulls at: the weight-free share of the mixture's gradient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from bench.contracts.instrument import Instrument, Reading
from bench.instruments._inside import competing, probe, watched
from bench.metrics import Metric, reading

if TYPE_CHECKING:
    from bench.contracts.data import Batch
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings
    from bench.contracts.space import Space

Floats = NDArray[np.float64]
PREFIX = "gradient_by_"


class GradientShare(Instrument):
    """How much of the gradient of the mixture weights is on operations without weights.

    With G_o(e) = |∂L_val/∂p_{e,o}| at the mixture that a measurement sees, ``gradient_share`` is
    S = Σ over weight-free operations of G / Σ G, over all edges. G grows with the norm of an
    operation's output, and weight-free operations do not end in batch norm; so the same with the
    cosine c_o(e) = ⟨δ, o(x)⟩/(‖δ‖‖o(x)‖) in place of G: ``gradient_share_normalised``. δ is the
    gradient at the output of the edge's mixture. The copies of an edge in all cells share p_{e,o}
    and are taken as one long vector, so that ⟨δ, o(x)⟩ is the gradient itself.

    The output of `none` is zero and so is its G, always: it adds nothing to S. The null, what S
    would be if all operations were alike, is therefore the weight-free share of the operations
    other than `none`: ``gradient_null``; ``gradient_excess`` and ``gradient_excess_normalised``
    are the shares minus it. ``gradient_null_with_none`` counts `none` as if it could have a
    gradient. Both count the operations that still compete; NaN where those are of one kind.

    Shares are means over the probe batches, ``_sd`` their standard deviation. Per operation, as
    details: ``gradient_by_<operation>`` (its part of ΣG), ``..._normalised`` (of Σ|c|) and
    ``..._pull``, the mean over edges of −c: above zero where descent raises its weight. Cosines
    are free of norms, not of smoothness: among vectors with few large components they are larger
    by chance alone. Where no alpha is learned, the mixture is the uniform one.
    """

    details: ClassVar[str] = PREFIX
    cost: ClassVar[str] = "batches F"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading(
            "gradient_share*", "share of the mixture weights' gradient on weight-free operations"
        ),
        reading(
            "gradient_excess*", "that share minus what it would be if all operations were alike"
        ),
        reading("gradient_null*", "that null"),
    )

    batches: int = Field(8, ge=1, description="validation batches, the same at every reading")

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        return float(self.batches)

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        kept = competing(setup, state)
        found = []
        for batch in probe(setup, self.name, self.batches):
            gradient, cosine = gradients(setup, state, batch, kept)
            found.append(
                shares(np.abs(gradient), kept, setup.space)
                | shares(np.abs(cosine), kept, setup.space, "_normalised")
                | pulls(cosine, kept, setup.space)
            )
        reading = {name: float(np.mean([row[name] for row in found])) for name in found[0]}
        null, with_none = nulls(kept, setup.space)
        for name in ("gradient_share", "gradient_share_normalised"):
            values = [row[name] for row in found]
            reading[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
            reading[name.replace("share", "excess")] = reading[name] - null
        return reading | {"gradient_null": null, "gradient_null_with_none": with_none}


def gradients(
    setup: SearchView, state: StateView, batch: Batch, kept: list[list[int]]
) -> tuple[Floats, Floats]:
    """Return ∂L_val/∂p and the cosine c, both [E, O]; zero and NaN for what is not run."""
    mixture = setup.mixture(state).detach().requires_grad_()
    taps = _Taps(mixture.detach(), strongest(mixture, kept, setup.space))
    with torch.enable_grad():
        moment = setup.moment(state, "evaluate")
        logits = watched(setup, taps).logits(state, moment, batch, mixture, pure=True)
        loss = F.cross_entropy(logits, batch.labels)
        outputs = [z for own in taps.outputs.values() for z in own]
        found = torch.autograd.grad(loss, [mixture, *outputs], allow_unused=True)
    gradient = torch.zeros_like(mixture) if found[0] is None else found[0]
    squared = torch.zeros_like(taps.norms[:, 0])
    edges = [edge for edge, own in taps.outputs.items() for _ in own]
    for edge, grad in zip(edges, found[1:], strict=True):
        if grad is not None:
            weight = taps.mixture[edge, taps.chosen[edge]]
            squared[edge] += (grad.float() / weight).square().sum()
    scale = torch.sqrt(squared[:, None] * taps.norms)
    # Over a zero norm the cosine has no meaning: of `none`, and of what nothing reaches.
    cosine = torch.where(scale > 0, gradient / scale, torch.nan)
    return gradient.cpu().double().numpy(), cosine.cpu().double().numpy()


def strongest(mixture: Tensor, kept: list[list[int]], space: Space) -> list[int | None]:
    """Return for every edge the operation with the largest weight among those that are run."""
    run = [[o for o in row if space.operations[o] != "none"] for row in kept]
    weights = mixture.tolist()
    return [
        max(row, key=own.__getitem__, default=None) for own, row in zip(weights, run, strict=True)
    ]


@dataclass
class _Taps:
    """Sums of squares of all outputs, and per edge the outputs of one operation.

    An operation's output is weighted by p, so the gradient that arrives at it is p·δ: one
    operation per edge gives δ, also where only a part of the channels is mixed.
    """

    mixture: Tensor
    chosen: list[int | None]
    norms: Tensor = field(init=False)
    outputs: dict[int, list[Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.norms = torch.zeros_like(self.mixture)

    def operation(self, y: Tensor, cell: int, edge: int, operation: int) -> Tensor:
        self.norms[edge, operation] += y.detach().float().square().sum()
        if operation != self.chosen[edge]:
            return y
        # Of its own in the graph: skips of several edges give one and the same tensor.
        y = y.view_as(y) if y.requires_grad else y.detach().requires_grad_()
        self.outputs.setdefault(edge, []).append(y)
        return y

    def edge(self, cell: int, edge: int) -> None:
        pass


def shares(values: Floats, kept: list[list[int]], space: Space, suffix: str = "") -> Reading:
    """Return the weight-free share of values [E, O] ≥ 0, and every operation's; NaN counts zero."""
    names = space.operations
    total = {
        name: float(np.nansum([values[e, o] for e, row in enumerate(kept) if o in row]))
        for o, name in enumerate(names)
    }
    whole = sum(total.values())
    free = sum(total[name] for name in names if name in space.weight_free)
    mixed = 0 < nulls(kept, space)[0] < 1
    reading = {f"gradient_share{suffix}": free / whole if whole and mixed else np.nan}
    return reading | {
        f"{PREFIX}{name}{suffix}": total[name] / whole if whole else np.nan for name in names
    }


def pulls(cosine: Floats, kept: list[list[int]], space: Space) -> Reading:
    """Return the mean over edges of −c per operation; NaN where it is never run."""
    reading = {}
    for o, name in enumerate(space.operations):
        values = np.array([cosine[e, o] for e, row in enumerate(kept) if o in row])
        values = values[~np.isnan(values)]
        reading[f"{PREFIX}{name}_pull"] = float(-values.mean()) if values.size else np.nan
    return reading


def nulls(kept: list[list[int]], space: Space) -> tuple[float, float]:
    """Return the weight-free share of competing operations, without `none` and with it."""
    free = sum(space.operations[o] in space.weight_free for row in kept for o in row)
    none = sum(space.operations[o] == "none" for row in kept for o in row)
    count = sum(map(len, kept))
    return (free - none) / (count - none) if count > none else np.nan, free / count
