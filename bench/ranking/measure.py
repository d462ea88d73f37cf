"""One ranking: a supernet's scores, the truth, and the panel that compares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.contracts.identity import described
from bench.ranking.correlation import tau_b
from bench.ranking.evaluate import evaluate
from bench.ranking.panel import Panel, panel
from bench.ranking.protocol import Protocol

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


@dataclass(frozen=True)
class Ranking:
    """The outcome of one ranking.

    Attributes
    ----------
    table
        One row per architecture: ``arch``, ``accuracy``, ``loss``, ``truth``, ``parameters`` and,
        of a stratified sample, ``weight`` and ``stratum``.
    accuracy, loss
        The panels of the two scores (of the negative loss).
    digest
        Of the protocol, with the truth and the data.
    """

    table: pd.DataFrame
    accuracy: Panel
    loss: Panel
    protocol: Protocol
    digest: str

    def flat(self) -> dict[str, Any]:
        """Return flat numbers: ``tau_*`` by accuracy, ``tau_loss_*``, and both panels by prefix."""
        (a, a_low, a_high), (b, b_low, b_high) = self.accuracy.tau, self.loss.tau
        primary = self.accuracy if self.protocol.score == "accuracy" else self.loss
        numbers: dict[str, Any] = {
            "tau": a,
            "tau_low": a_low,
            "tau_high": a_high,
            "tau_loss": b,
            "tau_loss_low": b_low,
            "tau_loss_high": b_high,
            "tau_primary": primary.tau.estimate,
            "tau_parameters": self.accuracy.values["tau_parameters"],
            "noise_ceiling": self.accuracy.values["noise_ceiling"],
            "ranked": len(self.table),
            "protocol": self.digest,
        }
        for name, found in (("accuracy", self.accuracy), ("loss", self.loss)):
            for key, value in found.flat().items():
                if key.startswith(
                    (
                        "tau_top",
                        "tau_sparse",
                        "tau_partial",
                        "tau_weighted",
                        "spearman",
                        "precision",
                        "best_rank",
                        "regret",
                    )
                ):
                    numbers[f"{name}_{key}"] = value
        connected = self.table["connected"].to_numpy()
        for name, sign in (("accuracy", 1), ("loss", -1)):
            scores = sign * self.table[name].to_numpy()[connected]
            weights = self.table["weight"].to_numpy()[connected] if "weight" in self.table else None
            truth = self.table["truth"].to_numpy()[connected]
            numbers[f"{name}_tau_connected"] = tau_b(scores, truth, weights)
        return numbers

    @property
    def reasons(self) -> dict[str, str]:
        """Why a τ that is reported first has no value, or no bounds."""
        found: dict[str, str] = {}
        for name, measured in (("tau", self.accuracy), ("tau_loss", self.loss)):
            found |= {
                key.replace("tau", name): why
                for key, why in measured.reasons.items()
                if key in ("tau", "tau_interval")
            }
        if why := self.accuracy.reasons.get("tau_parameters"):
            found["tau_parameters"] = why
        return found


def measure(setup: SearchView, state: StateView, protocol: Protocol) -> Ranking:
    """Rank sub-networks of a supernet against the truth.

    Parameters
    ----------
    setup, state
        The search whose weights are inherited.
    protocol
        Which cells, on which images, in which way.

    Returns
    -------
    Ranking
        τ and its companions, their intervals, and the scores that they were worked out from.

    Raises
    ------
    ValueError
        When the setup has no truth to rank by, or the protocol asks for what is not there.
    """
    space, truth = setup.space, setup.truth
    if truth is None or not truth.reference:
        raise ValueError("truth: a ranking needs ground truth that knows cells beforehand")
    sample = protocol.population.drawn(space, truth)
    names = [space.encode(cell) for cell in sample.cells]
    worth = truth.mean(names)
    scores = evaluate(setup, state, sample.cells, protocol)
    parameters = np.array([float(space.parameters(cell)) for cell in sample.cells])
    table = pd.DataFrame(
        {
            "arch": names,
            "accuracy": scores.accuracy,
            "loss": scores.loss,
            "truth": worth,
            "parameters": parameters,
            "connected": [space.connected(cell) for cell in sample.cells],
        }
    )
    if sample.weights is not None and sample.strata is not None:
        table["weight"], table["stratum"] = sample.weights, sample.strata
    by_seed = [truth.accuracy.get(truth.known_as(name), np.array([np.nan])) for name in names]
    seeds = max(len(row) for row in by_seed)
    truths = np.array(
        [np.pad(row, (0, seeds - len(row)), constant_values=np.nan) for row in by_seed]
    )
    panels = [
        panel(
            values,
            worth,
            parameters,
            seed=setup.seed,
            truth_by_seed=truths if seeds > 1 else None,
            weights=sample.weights,
            strata=sample.strata,
            best=truth.best,
            resamples=protocol.resamples,
        )
        for values in (scores.accuracy, -scores.loss)
    ]
    digest = protocol.digest(
        truth=truth.sha256,
        column=f"{truth.dataset}_{truth.split}_{truth.budget}",
        data=described(setup.settings.data),
        images=setup.data.train.content,
        space=space.name,
    )
    return Ranking(table, panels[0], panels[1], protocol, digest)
