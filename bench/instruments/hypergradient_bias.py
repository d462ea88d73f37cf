"""How far every estimator is from the long-horizon gradient, and how it pulls toward skip."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor

from bench.contracts.hypergradient import Hypergradient, Tensors
from bench.contracts.instrument import Instrument, Reading
from bench.contracts.space import Active, Space
from bench.hypergradients.reverse import Reverse
from bench.instruments import _bias as bias
from bench.metrics import Metric, reading
from bench.search.settings import HypergradientField
from bench.streams import seed_of

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings

PREFIX = "bias_"


class HypergradientBias(Instrument):
    """Estimators against an exact reference of a long horizon, from one state and frozen batches.

    ``sequences`` times a sequence of training batches and a validation batch is drawn from streams
    of its own (masks of variants included), and every estimator is asked at the present weights,
    momentum and λ on the first batches of it, as many as it wants. The **reference** is
    ``reverse`` without truncation, through the true inner map at the present learning rate, on the
    whole sequence: the gradient of the validation loss after ``reference.T`` steps.

    Readings are called ``bias_<estimator>_<quantity>``; what is compared, with softmax's null
    directions (the mean over operations of each edge) projected out of every gradient:

    * ``cosine``, ``sign``, ``error``, ``ratio``, and the same of the implicit part alone;
      ``bias``, ``variance`` and ``cosine_debiased`` over the sequences: see
      `bench.instruments._bias.distance`;
    * ``skip``: the component of −gradient, the direction of descent, along the unit vector that
      favours skip_connect equally on all edges; ``skip_share``: the same over the gradient's
      length, which is what Adam reacts to; ``implicit_skip`` and ``implicit_skip_share``: what the
      implicit part adds to them, that is the total minus the direct part at the same weights;
      ``skip_shift``: by how much ``skip_share`` exceeds the reference's. ``_se`` is the standard
      error over sequences;
    * ``seconds`` and ``megabytes`` of one estimate, ``diverged`` and ``indefinite`` as shares of
      sequences.

    The direct part of an estimator that looks ahead is taken at the weights it looks ahead to, so
    its ``skip`` differs from first-order's for two reasons: the implicit part, which is what a short
    horizon leaves out, and the drift of the weights, which is none of its doing. For the reference
    the second is ``drift_skip``, and ``skip_shift`` mixes both. NaN where the search learns no alpha.
    """

    details: ClassVar[str] = PREFIX
    cost: ClassVar[str] = "sequences·(3 T to 5 T) F of the reference, about as much for estimators"
    measures: ClassVar[tuple[Metric, ...]] = tuple(
        reading(
            f"bias_*_{quantity}",
            f"an estimator of the hypergradient: its {quantity} beside the long-horizon reference",
        )
        for quantity in (
            "cosine",
            "cosine_debiased",
            "cosine_debiased_se",
            "sign",
            "error",
            "ratio",
            "bias",
            "variance",
            "skip",
            "skip_share",
            "skip_share_se",
            "skip_shift",
            "skip_shift_se",
            "implicit_skip",
            "implicit_skip_se",
            "implicit_skip_share",
            "implicit_skip_share_se",
            "drift_skip",
            "drift_skip_se",
            "drift_skip_share",
            "drift_skip_share_se",
            "norm",
            "seconds",
            "megabytes",
            "diverged",
            "indefinite",
        )
    )

    every: int = Field(25, ge=1, description="read after every so many epochs")
    sequences: int = Field(16, ge=1, description="R; below 16 for trials only")
    reference: HypergradientField = Field(
        Reverse(T=100), description="reverse with K = T; T ≥ 100 where it is to count as long"
    )
    estimators: dict[str, HypergradientField] = Field(
        {
            "first_order": "first_order",
            "darts_second_order": "darts_second_order",
            "one_step_exact": "one_step_exact",
            "reverse_1": {"name": "reverse", "T": 1},
            "reverse_3": {"name": "reverse", "T": 3},
            "reverse_10": {"name": "reverse", "T": 10},
            "reverse_30": {"name": "reverse", "T": 30},
            "neumann": "neumann",
            "conjugate_gradient": {"name": "conjugate_gradient", "k": 5, "damping": 10.0},
            "stn": "stn",
            "idarts": "idarts",
        },
        validate_default=True,
        description="label → estimator; forward equals reverse and is left out for its cost",
    )

    @field_validator("reference")
    @classmethod
    def _exact(cls, reference: Hypergradient) -> Hypergradient:
        if not isinstance(reference, Reverse) or reference.K not in (None, reference.T):
            raise ValueError("the reference must be `reverse` without truncation (no K)")
        return reference

    @field_validator("estimators")
    @classmethod
    def _labelled(cls, estimators: dict[str, Hypergradient]) -> dict[str, Hypergradient]:
        if bias.REFERENCE in estimators:
            raise ValueError(f"{bias.REFERENCE!r} is the reference's own label")
        return estimators

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        members = (self.reference, *self.estimators.values())
        return self.sequences * sum(member.cost_in_passes(parameters) for member in members)

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        if not setup.composition.learns_architecture:
            return {PREFIX + name: float("nan") for name in bias.quantities(self.estimators)}
        with torch.enable_grad():
            found = bias.measure(
                [self._case(setup, state, r) for r in range(self.sequences)],
                self.estimators,
                self.reference,
                projected,
                skip_direction(state.architecture, setup.space),
                setup.device,
            )
        return {PREFIX + name: value for name, value in found.items()}

    def _case(self, setup: SearchView, state: StateView, r: int) -> bias.Case:
        """Draw a sequence: the search as it would go on under another seed."""
        longest = max(m.horizon for m in (self.reference, *self.estimators.values()))
        other = setup.having(seed=seed_of(setup.seed, "hypergradient_bias", state.epoch, r))
        train = [other.batch("train", state.step + i) for i in range(longest)]
        return bias.Case(other.problem(state), train, other.batch("valid", state.step))


def projected(gradient: Tensors) -> Tensor:
    """Return a gradient as one vector in float64, without alpha's mean over operations."""
    values = {name: value.detach().double().cpu() for name, value in gradient.items()}
    values["alpha"] = values["alpha"] - values["alpha"].mean(dim=-1, keepdim=True)
    return torch.cat([value.reshape(-1) for value in values.values()])


def skip_direction(architecture: Tensors, space: Space) -> Tensor:
    """Return the unit vector that favours skips on all edges, laid out as `projected`.

    NaN in a space without them.
    """
    wanted = {name: torch.zeros(value.shape) for name, value in architecture.items()}
    everything: Active = [range(len(space.operations))] * len(space.edges)
    for edge, own in enumerate(space.candidates() or everything):
        for operation in own:
            if space.operations[operation] == "skip_connect":
                wanted["alpha"][edge, operation] = 1.0
    direction = projected(wanted)
    unit: Tensor = direction / direction.norm()  # 0/0 where there are none
    return unit
