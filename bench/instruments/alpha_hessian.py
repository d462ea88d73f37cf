"""The curvature of the validation loss in α: eigenvalues of its Hessian."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from bench.batches import normalise
from bench.contracts.data import Batch
from bench.contracts.instrument import Instrument, Reading
from bench.instruments._hessian import Eigenpair, Loss, eigenpairs, largest, matrix
from bench.metrics import Metric, reading
from bench.streams import generator

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings

SPECTRUM = "hessian_spectrum_"
FULL = 8192
"""Pixels of a batch above which a single product keeps the processor busy (measured on a CPU)."""


class AlphaHessian(Instrument):
    """Eigenvalues of ∂²L_val/∂α² [A, A] at the present weights, by exact products.

    L_val is the cross-entropy on validation images with batch statistics and nothing dropped or
    drawn, through the mixture that variants make of α: as every measurement sees the search. Terms
    that variants add to the loss are not part of it, and the weights do not answer to α. In
    NAS-Bench-201 A = 30, and softmax leaves 6 directions without curvature.

    ``hessian_eigenvalue_max``
        The largest eigenvalue (algebraic) of the mean over batches: λ of RobustDARTS.
    ``hessian_eigenvalue_magnitude``
        The eigenvalue of largest magnitude, with its sign: at the start of a search it is another.
    ``hessian_eigenvalue_max_sd``, ``hessian_eigenvalue_magnitude_sd``
        Standard deviation over batches of vᵀH_b v, with v the eigenvector of the mean. The error
        of λ is this over the root of the number of batches. NaN for one batch.
    ``hessian_trace``
        Of the mean.
    ``hessian_spectrum_00`` …
        All eigenvalues of the mean, smallest first, and ``hessian_spectrum_batch_0`` …, the
        largest one of every single batch. They stay in the history.

    ``mode: lanczos`` reads ``hessian_eigenvalue_max`` and its ``_sd`` alone, several times faster;
    it holds the graphs of all batches. ``probe: frozen`` takes the same images at every reading,
    not augmented. ``probe: official`` does as the RobustDARTS code: one batch, the one that α has
    just been updated on, as it was (augmented), and α's weight decay added to the diagonal; the
    code leaves drop-path on, here nothing is dropped. NaN where the search learns no alpha or the
    loss is no longer finite.
    """

    details: ClassVar[str] = SPECTRUM
    cost: ClassVar[str] = "about 55 F per batch; with lanczos 11 F to 17 F, up to 30 F at the start"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading(
            "hessian_eigenvalue_max*",
            "largest eigenvalue of the validation loss in alpha",
            "",
            3,
            "lower",
        ),
        reading("hessian_eigenvalue_magnitude*", "its eigenvalue of largest magnitude, signed"),
        reading("hessian_trace", "trace of that Hessian"),
    )
    paper: ClassVar[str] = (
        "Zela et al. 2020, Understanding and Robustifying Differentiable Architecture Search "
        "(RobustDARTS), arXiv:1909.09656"
    )

    mode: Literal["matrix", "lanczos"] = Field(
        "matrix", description="the whole matrix, or its largest eigenvalue alone"
    )
    probe: Literal["frozen", "official"] = Field(
        "frozen", description="batches of its own, or the one batch of the official code"
    )
    batches: int = Field(8, ge=1, description="frozen batches, of the search's batch size")
    tolerance: float = Field(
        0.01, gt=0, lt=1, description="lanczos: residual as a share of the largest |eigenvalue|"
    )

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        count = 1 if self.probe == "official" else self.batches
        return count * (2.5 * parameters if self.mode == "matrix" else 20.0)

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        alpha, official = state.architecture["alpha"], self.probe == "official"
        size, count = alpha.numel(), 1 if official else self.batches
        batches = self.probes(setup, state)
        losses = [validation_loss(setup, state, batch) for batch in batches]
        with torch.no_grad():
            sound = all(bool(torch.isfinite(loss(alpha))) for loss in losses)
        if not (sound and setup.composition.learns_architecture):
            zeros = torch.zeros(count, size, size, dtype=torch.float64)
            return dict.fromkeys(self._reading(zeros), float("nan"))
        decay = setup.settings.search.architecture.weight_decay if official else 0.0
        if self.mode == "lanczos":
            draws = generator("cpu", setup.seed, "alpha_hessian", "start")
            start = torch.randn(size, generator=draws, dtype=torch.float64)
            top = largest(losses, alpha, start, self.tolerance)
            return _named("max", replace(top, value=top.value + decay))
        at_once = 10 if batches[0].images[:, 0].numel() <= FULL else 1
        found = torch.stack([matrix(loss, alpha, at_once) for loss in losses])
        return self._reading(found + decay * torch.eye(size, dtype=torch.float64))

    def probes(self, setup: SearchView, state: StateView) -> list[Batch]:
        """Return the batches to read on."""
        if self.probe == "official":
            return [setup.batch("valid", max(0, state.step - 1))]
        images, size = setup.data.valid, setup.settings.search.batch
        chosen = []
        for b in range(self.batches):
            draws = generator("cpu", setup.seed, "alpha_hessian", "probe", b)
            rows = torch.randperm(len(images), generator=draws)[:size].to(setup.device)
            chosen.append(Batch(normalise(images, images.pixels[rows]), images.labels[rows]))
        return chosen

    def _reading(self, hessians: Tensor) -> Reading:
        """Read everything off the Hessians of the batches [B, A, A]."""
        pairs = eigenpairs(hessians)
        reading = _named("max", pairs[-1])
        if self.mode == "lanczos":
            return reading
        reading |= _named("magnitude", max(pairs, key=lambda pair: abs(pair.value)))
        reading["hessian_trace"] = float(hessians.mean(0).trace())
        reading |= {f"{SPECTRUM}{i:02d}": pair.value for i, pair in enumerate(pairs)}
        each = torch.linalg.eigvalsh(hessians)[:, -1].tolist()
        return reading | {f"{SPECTRUM}batch_{b}": value for b, value in enumerate(each)}


def validation_loss(setup: SearchView, state: StateView, batch: Batch) -> Loss:
    """Return L_val on one batch as a function of α, at the state's weights.

    The images take α's precision, so that a state in float64 is measured in float64.
    """
    moment = setup.moment(state, "evaluate")
    weights = {name: weight.detach() for name, weight in state.supernet.named_parameters()}
    others = {name: value.detach() for name, value in state.architecture.items()}
    batch = replace(batch, images=batch.images.to(others["alpha"].dtype))

    def loss(alpha: Tensor) -> Tensor:
        architecture = {**others, "alpha": alpha}
        mixture = setup.composition.mixture(architecture, moment)
        logits = setup.logits(
            state, moment, batch, mixture, weights=weights, architecture=architecture, pure=True
        )
        return F.cross_entropy(logits, batch.labels)

    return loss


def _named(which: str, pair: Eigenpair) -> Reading:
    name = f"hessian_eigenvalue_{which}"
    return {name: pair.value, f"{name}_sd": pair.spread}
