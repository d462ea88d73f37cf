"""The multivariate tree-structured Parzen estimator, from optuna."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from bench.contracts.blackbox import BlackBox, MissingLibraryError, Proposals


class Tpe(BlackBox):
    """Model-based proposals from optuna's multivariate tree-structured Parzen estimator.

    What BOHB's model is meant to be, from a library that is maintained: the joint density of the
    good over that of the bad, with weighted categorical kernels. See `bohb` for the published
    search and why it does worse. Hyperband would add nothing: there is one signal. Cells that come
    up again are paid for again. The same seed gives the same search within one version of optuna.
    """

    paper: ClassVar[str] = (
        "Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization; Falkner et al. 2018, "
        "arXiv:1807.01774 (multivariate)"
    )

    startup: int = Field(default=10, ge=1)
    """Random evaluations before the model is used."""
    candidates: int = Field(default=24, ge=1)
    """Proposals that the model compares."""

    def proposals(self, choices: Sequence[int], rng: np.random.Generator) -> Proposals:
        """See `BlackBox.proposals`.

        Raises
        ------
        MissingLibraryError
            When optuna is not installed.
        """
        try:
            import optuna
        except ImportError:
            raise MissingLibraryError(
                "tpe needs optuna; run: pip install 'bench-darts[blackbox]'"
            ) from None
        with warnings.catch_warnings():
            # `multivariate` is marked experimental; the docstring says what that means.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=int(rng.integers(2**31)),
                multivariate=True,
                n_startup_trials=self.startup,
                n_ei_candidates=self.candidates,
            )
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            study = optuna.create_study(direction="maximize", sampler=sampler)
        finally:
            optuna.logging.set_verbosity(verbosity)
        space: dict[str, optuna.distributions.BaseDistribution] = {
            str(edge): optuna.distributions.CategoricalDistribution(range(count))
            for edge, count in enumerate(choices)
        }
        while True:
            trial = study.ask(space)
            accuracy = yield tuple(int(trial.params[str(edge)]) for edge in range(len(choices)))
            study.tell(trial, accuracy)
