"""What one search is made of: the fixed parts, built once from settings, variants and a seed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from bench.batches import steps_per_epoch, training_batch
from bench.contracts.data import Batch, Halves, Images
from bench.contracts.hypergradient import Hypergradient, InnerStep, Problem, Tensors
from bench.contracts.moment import Moment, Phase
from bench.contracts.search import SearchView, StateView
from bench.contracts.space import Active, Space
from bench.contracts.truth import Truth
from bench.contracts.variant import Variant
from bench.devices import resolve_device
from bench.search import hypergradient as estimation
from bench.search.composition import Composition
from bench.search.settings import Settings
from bench.search.state import SearchState
from bench.streams import generator


@dataclass(frozen=True)
class Setup:
    """The fixed parts of one search; nothing here changes while it runs."""

    settings: Settings
    space: Space
    composition: Composition
    hypergradient: Hypergradient
    data: Halves
    truth: Truth | None
    device: torch.device
    seed: int

    @classmethod
    def of(cls, view: SearchView) -> Setup:
        """Return the setup behind what a hook was given, for a member that steps the loop itself."""
        if not isinstance(view, cls):
            raise TypeError(f"expected a {cls.__name__}, not a {type(view).__name__}")
        return view

    def having(self, **changes: Any) -> Setup:
        """Return the same parts with some of them changed."""
        return replace(self, **changes)

    @property
    def steps_per_epoch(self) -> int:
        """Bilevel steps per epoch: full batches of the training half."""
        return steps_per_epoch(self.data.train, self.settings.search.batch)

    @functools.cached_property
    def contents(self) -> dict[str, str]:
        """Hashes of what was loaded, as a run's identity has them (`bench.runs.contents.Contents`)."""
        found = {"data": self.data.train.content}
        if self.truth is not None:
            found["truth"] = self.truth.sha256
        if self.settings.ranking is not None and self.settings.ranks:
            found["population"] = self.settings.ranking.population.content()
        return found

    def moment(self, state: StateView, phase: Phase, step: int | None = None) -> Moment:
        """Return the present moment, for hooks, or that of another ``step`` (to look ahead)."""
        epochs, epoch = self.settings.search.epochs, state.epoch
        if step is not None:  # what lies beyond the end is as the last epoch
            epoch = min(step // self.steps_per_epoch, epochs - 1)
        return Moment(
            self.seed,
            epoch,
            state.step if step is None else step,
            epochs,
            self.steps_per_epoch,
            phase,
            self.device,
            state.memory,
        )

    def batch(self, half: str, step: int) -> Batch:
        """Return the batch of an update at a step: ``train`` is the weights', ``valid`` lambda's.

        Each is of its own half unless a variant says otherwise (`Variant.halves`).
        """
        half = self.composition.halves.get(half, half)
        return training_batch(self.images[half], self.settings.search.batch, step, self.seed, half)

    @functools.cached_property
    def images(self) -> dict[str, Images]:
        """The images by half: ``train``, ``valid`` and, only where asked for, their ``union``."""
        halves = {"train": self.data.train, "valid": self.data.valid}
        wanted = set(self.composition.halves.values())
        return halves | ({"union": self.data.union()} if "union" in wanted else {})

    @torch.no_grad()
    def mixture(self, state: StateView) -> Tensor:
        """Return the present mixture weights [E, O] as a measurement sees them."""
        return self.composition.mixture(state.architecture, self.moment(state, "evaluate"))

    @torch.no_grad()
    def strength(self, state: StateView) -> Tensor:
        """Return what a cell is read off by [E, O]: the mixture, whole edges weighed."""
        return self.composition.strength(state.architecture, self.moment(state, "evaluate"))

    def running_statistics(self, state: StateView) -> bool:
        """Say whether forward passes would change buffers of the supernet."""
        return state.supernet.buffered

    def logits(
        self,
        state: StateView,
        moment: Moment,
        batch: Batch,
        mixture: Tensor,
        active: Active | None = None,
        *,
        weights: Tensors | None = None,
        architecture: Tensors | None = None,
        pure: bool = False,
    ) -> Tensor:
        """Run the supernet with the variants' hooks; logits [B, classes] in float32 or wider.

        Parameters
        ----------
        active
            Operations to run; None: what the variants say.
        weights, architecture
            Stand-ins for the state's own.
        pure
            Leave running statistics untouched.
        """
        architecture = architecture or state.architecture
        active = self.composition.active(architecture, moment) if active is None else active
        hooks = self.composition.hooks(architecture, moment)
        arguments: tuple[Any, ...] = (batch.images, mixture, active, hooks)
        low = self.settings.search.precision == "bfloat16"
        inductor, own = state.supernet.inductor, state.supernet.named
        same = weights is None or all(own[name] is value for name, value in weights.items())
        logits: Tensor
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low):
            if inductor is not None and inductor.applies(*arguments):
                logits = inductor(batch.images, mixture, {**own, **(weights or {})})
            elif (weights is None and not pure) or (not state.supernet.buffered and same):
                logits = state.supernet(*arguments)
            else:
                buffers = {name: b.clone() for name, b in state.supernet.named_buffers()}
                logits = functional_call(state.supernet, {**(weights or {}), **buffers}, arguments)
        return logits.float() if low else logits

    def problem(self, state: StateView, perturbation: Tensor | None = None) -> Problem:
        """Return the bilevel problem at this step; its losses are pure functions.

        A batch of another step is seen as that step will see it: a look-ahead draws the masks that
        the search will draw. The learning rate is the present one throughout.

        Parameters
        ----------
        perturbation
            Added to the mixture weights [E, O] of the training loss.
        """

        def loss(
            phase: Phase, weights: Tensors, architecture: Tensors, batch: Batch, part: int = 0
        ) -> Tensor:
            moment = replace(self.moment(state, phase, batch.step), part=part)
            mixture = self.composition.mixture(architecture, moment)
            if perturbation is not None and phase == "weights":
                mixture = mixture + perturbation
            logits = self.logits(
                state, moment, batch, mixture, weights=weights, architecture=architecture, pure=True
            )
            return F.cross_entropy(logits, batch.labels)

        def train_loss(weights: Tensors, architecture: Tensors, batch: Batch) -> Tensor:
            return torch.stack(
                [
                    loss("weights", weights, architecture, batch, part)
                    for part in range(self.composition.passes)
                ]
            ).sum()

        def valid_loss(weights: Tensors, architecture: Tensors, batch: Batch) -> Tensor:
            value = loss("architecture", weights, architecture, batch)
            moment = self.moment(state, "architecture", batch.step)
            term = self.composition.architecture_loss(architecture, moment)
            return value if term is None else value + term

        group, own = state.weight_optimizer.param_groups[0], self.settings.search.weights
        named = state.supernet.named
        momentum = {
            name: buffer
            for name, parameter in named.items()
            if (buffer := state.weight_optimizer.state[parameter].get("momentum_buffer"))
            is not None
        }
        inner = InnerStep(
            group["lr"], group["momentum"], group["nesterov"], group["weight_decay"], own.clip
        )
        return Problem(dict(named), state.architecture, train_loss, valid_loss, inner, momentum)


def build(settings: Settings, variants: Sequence[Variant], seed: int) -> Setup:
    """Load data and truth and put the parts together.

    Parameters
    ----------
    settings
        Of the run.
    variants
        In the order of the ablation file.
    seed
        All random streams are made from it.

    Returns
    -------
    Setup
        The parts, with the images on the device.

    Raises
    ------
    DataError
        When the images are not there.
    TruthError
        When the truth is not there, or is another space's.
    ContradictionError
        When the variants cannot go together.
    """
    device = resolve_device(settings.device)
    return Setup(
        settings=settings,
        space=settings.space,
        composition=Composition(variants, settings.space),
        hypergradient=settings.hypergradient,
        data=settings.data.halves().to(device),
        truth=settings.load_truth(),
        device=device,
        seed=seed,
    )


def initial_state(setup: Setup, epoch: int = 0) -> SearchState:
    """Return the state before the first step; it depends on the seed alone.

    Parameters
    ----------
    setup
        The fixed parts.
    epoch
        After how many epochs: a supernet may grow along the search.

    Returns
    -------
    SearchState
        Weights, ``alpha`` [E, O], optimisers, and an empty history.
    """
    images, search = setup.data.train, setup.settings.search
    supernet = (
        setup.composition.grown(epoch, search.epochs)
        .supernet(images.channels, images.classes, setup.seed, **setup.composition.options)
        .to(setup.device)
    )
    supernet.compiled = setup.settings.kernel == "auto" and supernet.prepare_kernel()
    if setup.settings.kernel == "inductor":
        from bench.kernels import inductor  # late: saves start-up time

        step = (search.batch, *images.pixels.shape[1:])
        supernet.inductor = inductor.prepare(supernet, step, setup.space.candidates())
    shape = (len(setup.space.edges), len(setup.space.operations))
    alpha = torch.randn(shape, generator=generator("cpu", setup.seed, "alpha"))
    initial: dict[str, Any] = {"alpha": search.architecture.initial * alpha}
    architecture = {
        name: value.clone().to(setup.device).requires_grad_()
        for name, value in (initial | setup.composition.parameters(setup.seed)).items()
    }
    weights, optimizer = search.weights, search.architecture
    decay = setup.composition.architecture_decay
    state = SearchState(
        supernet,
        architecture,
        torch.optim.SGD(
            supernet.parameters(),
            lr=weights.lr,
            momentum=weights.momentum,
            nesterov=weights.nesterov and weights.momentum > 0,
            weight_decay=weights.weight_decay,
            # The same bits as weight by weight, in a seventh of the time.
            fused=True if setup.device.type == "cpu" else None,
        ),
        torch.optim.Adam(
            list(architecture.values()),
            lr=optimizer.lr,
            betas=optimizer.betas,
            weight_decay=optimizer.weight_decay if decay is None else decay,
        ),
    )
    state.hypergradient = estimation.initial(setup, state)
    return state
