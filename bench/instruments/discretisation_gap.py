"""What is lost between the supernet that is trained and the cell that is read off it."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from bench.batches import plain_batches
from bench.contracts.instrument import Instrument, Reading
from bench.contracts.space import Architecture
from bench.metrics import Metric, reading
from bench.ranking.evaluate import evaluate
from bench.ranking.protocol import Protocol

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings

NAN = float("nan")


class DiscretisationGap(Instrument):
    """Accuracy (percent) of the mixture, of its argmax cell, and of that cell on its own.

    On the first validation images, not augmented, nothing dropped; batch statistics of all of them
    are recalibrated on training images under the network that is measured, so that they differ by
    the network alone:

    * ``gap_soft``: the supernet under its mixture;
    * ``gap_discrete``: the argmax cell with inherited weights, every operation at weight one;
    * ``gap_finetuned``: the same after ``finetune`` epochs of weight steps at rate ``lr`` on a copy,
      on the batches that the search sees next; absent with 0, NaN where they diverge;
    * ``gap_true``: the cell trained on its own, from the truth table.

    ``discrete_drop`` is soft minus discrete in points. ``regret`` is the table's best accuracy minus
    ``gap_true``. ``mixture_entropy`` is the mean over edges of the entropy of the mixture weights
    over that of equal ones among the operations that still compete: 1 where nothing is decided, 0
    for one-hot; how much of the gap there is to lose. NaN without truth, and, but for ``gap_soft``,
    where the search learns no alpha, since argmax has no meaning there.
    """

    paper: ClassVar[str] = (
        "Zela et al. 2020, Understanding and Robustifying Differentiable Architecture Search, "
        "arXiv:1909.09656; Tian et al. 2020, Discretization-Aware Architecture Search, "
        "arXiv:2007.03154"
    )
    cost: ClassVar[str] = (
        "2·(images + calibration·images/batch)/(3·search batch) F; finetune·steps per epoch F"
    )
    measures: ClassVar[tuple[Metric, ...]] = (
        reading("gap_soft", "accuracy of the supernet under its mixture", "%", 2, "higher"),
        reading(
            "gap_discrete", "accuracy of the argmax cell with inherited weights", "%", 2, "higher"
        ),
        reading("gap_finetuned", "the same after a few epochs of weight steps", "%", 2, "higher"),
        reading("gap_true", "accuracy of that cell trained on its own", "%", 2, "higher"),
        reading("discrete_drop", "gap_soft minus gap_discrete", "points", 2, "lower"),
        reading("regret", "best accuracy of the table minus gap_true", "points", 2, "lower"),
        reading("mixture_entropy", "entropy of the mixture over that of equal weights"),
    )

    images: int | None = Field(1000, ge=2, description="validation images; null: the whole half")
    batch: int = Field(500, ge=2, description="images per forward pass")
    calibration: int = Field(
        512, ge=2, description="training images that batch statistics are taken over"
    )
    finetune: int = Field(0, ge=0, description="epochs of fine-tuning the cell; 0: none")
    lr: float = Field(0.0025, gt=0, description="constant learning rate of fine-tuning")

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.passes`."""
        batch = settings.search.batch
        images = self.images or 1000
        measured = 2 * (images + self.calibration * images / self.batch) / (3 * batch)
        return measured + self.finetune * (settings.data.size or 50_000) / (2 * batch)

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        reading = {"gap_soft": self._soft(setup, state)}
        own = ["gap_discrete", *(["gap_finetuned"] if self.finetune else []), "gap_true"]
        if not setup.composition.learns_architecture:
            others = (*own, "discrete_drop", "regret", "mixture_entropy")
            return reading | dict.fromkeys(others, NAN)
        mixture = setup.mixture(state)
        cell = setup.space.discretise(setup.strength(state))
        reading["gap_discrete"] = self._discrete(setup, state, cell)
        if self.finetune:
            tuned = self._finetuned(setup, state, cell)
            reading["gap_finetuned"] = NAN if tuned is None else self._discrete(setup, tuned, cell)
        truth, true, best = setup.truth, NAN, NAN
        if truth is not None:
            true, best = float(truth.mean([setup.space.encode(cell)])[0]), truth.best
        return reading | {
            "gap_true": true,
            "discrete_drop": reading["gap_soft"] - reading["gap_discrete"],
            "regret": best - true,
            "mixture_entropy": relative_entropy(mixture),
        }

    def _protocol(self) -> Protocol:
        return Protocol(
            images=self.images,
            batch=self.batch,
            batch_norm="recalibrated",
            calibration=self.calibration,
        )

    def _discrete(self, setup: SearchView, state: StateView, cell: Architecture) -> float:
        return float(evaluate(setup, state, [cell], self._protocol()).accuracy[0])

    @torch.no_grad()
    def _soft(self, setup: SearchView, state: StateView) -> float:
        """Return the mixed supernet's accuracy, with statistics from where `evaluate` has them."""
        size = min(self.calibration, len(setup.data.train))
        (front,) = plain_batches(setup.data.train, size, size)
        moment, mixture, right, seen = setup.moment(state, "evaluate"), setup.mixture(state), 0, 0
        with state.supernet.statistics_from(size):
            for batch in plain_batches(setup.data.valid, self.batch, self.images):
                both = replace(batch, images=torch.cat([front.images, batch.images]))
                logits = setup.logits(state, moment, both, mixture, pure=True)[size:]
                right += int((logits.argmax(-1) == batch.labels).sum())
                seen += len(batch.labels)
        return 100 * right / seen

    def _finetuned(
        self, setup: SearchView, state: StateView, cell: Architecture
    ) -> StateView | None:
        """Return a copy of the state whose weights were trained under the cell, if they can be."""
        # Only when it acts: saves start-up time.
        from bench.search.loop import DivergedError, weight_step
        from bench.search.setup import Setup  # late: saves start-up time
        from bench.search.state import SearchState  # late: saves start-up time
        from bench.selection._projection import tuning  # late: saves start-up time

        # An edge that the cell does not have is decided too, and then dropped.
        decided = {edge: max(0, operation) for edge, operation in enumerate(cell)}
        dropped = frozenset(edge for edge, operation in enumerate(cell) if operation < 0)
        stage = Setup.of(tuning(setup, decided, self.lr, dropped=dropped))
        tuned = SearchState.of(copy.deepcopy(state))
        tuned.weight_optimizer.state.clear()
        # What variants schedule stays as it is now; beyond the end, as in the last epoch.
        tuned.epoch = min(state.epoch, setup.settings.search.epochs - 1)
        try:
            for _ in range(self.finetune * setup.steps_per_epoch):
                weight_step(stage, tuned)
                tuned.step += 1
        except DivergedError:
            return None
        return tuned


def relative_entropy(mixture: torch.Tensor) -> float:
    """Return the mean over edges of the entropy of weights [E, O] over its largest value.

    Weights are scaled to a sum of one. Edges with one operation left are decided: 0.
    """
    share = mixture / mixture.sum(dim=-1, keepdim=True)
    entropy = torch.special.entr(share).sum(-1).tolist()
    counts = (share > 0).sum(-1).tolist()
    parts = [h / math.log(n) if n > 1 else 0.0 for h, n in zip(entropy, counts, strict=True)]
    return sum(parts) / len(parts)
