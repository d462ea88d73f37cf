"""What is lost between the supernet that is trained and the cell that is read off it."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from pydantic import Field

from bench.batches import plain_batches
from bench.contracts.instrument import Instrument, Reading
from bench.contracts.space import Architecture
from bench.metrics import Metric, reading
from bench.ranking.evaluate import evaluate
from bench.ranking.protocol import Protocol
from bench.streams import generator

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

    ``discrete_drop`` is soft minus discrete in points, ``finetuned_drop`` soft minus fine-tuned. Any
    cell loses when it is cut out of a mixture, so that a drop alone says nothing of the choice.
    With ``random`` cells, drawn uniformly and the same at every reading of a search,
    ``gap_random`` and ``gap_random_finetuned`` are their means under the same treatment, and
    ``discrete_advantage`` and ``finetuned_advantage`` what the argmax cell has over them: how much
    of what the mixture has learned α points out.

    ``regret`` is the table's best accuracy minus
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
        "(2 + random)·(images + calibration·images/batch)/(3·search batch) F; "
        "(1 + random)·finetune·steps per epoch F"
    )
    measures: ClassVar[tuple[Metric, ...]] = (
        reading("gap_soft", "accuracy of the supernet under its mixture", "%", 2, "higher"),
        reading(
            "gap_discrete", "accuracy of the argmax cell with inherited weights", "%", 2, "higher"
        ),
        reading("gap_finetuned", "the same after a few epochs of weight steps", "%", 2, "higher"),
        reading("gap_true", "accuracy of that cell trained on its own", "%", 2, "higher"),
        reading("gap_random*", "the same of cells drawn at random, mean", "%", 2),
        reading("discrete_drop", "gap_soft minus gap_discrete", "points", 2, "lower"),
        reading("finetuned_drop", "gap_soft minus gap_finetuned", "points", 2, "lower"),
        reading("discrete_advantage", "gap_discrete minus gap_random", "points", 2, "higher"),
        reading(
            "finetuned_advantage", "gap_finetuned minus gap_random_finetuned", "points", 2, "higher"
        ),
        reading("regret", "best accuracy of the table minus gap_true", "points", 2, "lower"),
        reading("mixture_entropy", "entropy of the mixture over that of equal weights"),
    )

    images: int | None = Field(1000, ge=2, description="validation images; null: the whole half")
    batch: int = Field(500, ge=2, description="images per forward pass")
    calibration: int = Field(
        512, ge=2, description="training images that batch statistics are taken over"
    )
    random: int = Field(0, ge=0, description="cells drawn at random for comparison; 0: none")
    finetune: int = Field(0, ge=0, description="epochs of fine-tuning every cell; 0: none")
    lr: float = Field(0.0025, gt=0, description="constant learning rate of fine-tuning")

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        batch = settings.search.batch
        images = self.images or 1000
        measured = (
            (2 + self.random) * (images + self.calibration * images / self.batch) / (3 * batch)
        )
        tuned = (1 + self.random) * self.finetune
        return measured + tuned * (settings.data.size or 50_000) / (2 * batch)

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        reading = {"gap_soft": self._soft(setup, state)}
        if not setup.composition.learns_architecture:
            return reading | dict.fromkeys(self._others(), NAN)
        cell = setup.space.discretise(setup.strength(state))
        draws = generator("cpu", setup.seed, self.name, "random")
        random = setup.space.sample(self.random, draws) if self.random else []
        soft, discrete = reading["gap_soft"], self._discrete(setup, state, [cell, *random])
        reading |= {"gap_discrete": discrete[0], "discrete_drop": soft - discrete[0]}
        if random:
            reading["gap_random"] = float(np.mean(discrete[1:]))
            reading["discrete_advantage"] = discrete[0] - reading["gap_random"]
        if self.finetune:
            tuned = [self._after_tuning(setup, state, one) for one in (cell, *random)]
            reading |= {"gap_finetuned": tuned[0], "finetuned_drop": soft - tuned[0]}
            if random:
                reading["gap_random_finetuned"] = float(np.mean(tuned[1:]))
                reading["finetuned_advantage"] = tuned[0] - reading["gap_random_finetuned"]
        truth, true, best = setup.truth, NAN, NAN
        if truth is not None:
            true, best = float(truth.mean([setup.space.encode(cell)])[0]), truth.best
        return reading | {
            "gap_true": true,
            "regret": best - true,
            "mixture_entropy": relative_entropy(setup.mixture(state)),
        }

    def _others(self) -> list[str]:
        """Return the readings that need an alpha."""
        names = ["gap_discrete", "discrete_drop", "gap_true", "regret", "mixture_entropy"]
        names += ["gap_random", "discrete_advantage"] * bool(self.random)
        names += ["gap_finetuned", "finetuned_drop"] * bool(self.finetune)
        both = bool(self.random and self.finetune)
        return names + ["gap_random_finetuned", "finetuned_advantage"] * both

    def _protocol(self) -> Protocol:
        return Protocol(
            images=self.images,
            batch=self.batch,
            batch_norm="recalibrated",
            calibration=self.calibration,
        )

    def _discrete(
        self, setup: SearchView, state: StateView, cells: list[Architecture]
    ) -> list[float]:
        return [float(a) for a in evaluate(setup, state, cells, self._protocol()).accuracy]

    def _after_tuning(self, setup: SearchView, state: StateView, cell: Architecture) -> float:
        tuned = self._finetuned(setup, state, cell)
        return NAN if tuned is None else self._discrete(setup, tuned, [cell])[0]

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
