"""DARTS-ES: stop when the curvature of the validation loss in α rises too fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bench.contracts.variant import Stop
from bench.variants._eigenvalue import EigenvalueRule, Rule

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class HessianEarlyStop(EigenvalueRule):
    """Early stopping by the largest eigenvalue λ of ∂²L_val/∂α²; the cell of an earlier epoch counts.

    ``rule: paper``
        λ after every epoch. With λ̄(i) the mean of the 5 epochs around i, stop at the first i with
        λ̄(i − 5)/λ̄(i) < 0.75 and return the cell of epoch i − 5. λ̄(i) needs epoch i + 2, so that
        the search ends 7 epochs after the cell that it returns, never before epoch 10.
    ``rule: trailing``
        The same with means of the 5 epochs up to i: it stops when the former does and returns the
        cell of two epochs later.
    ``rule: code``
        λ after the first epoch and every second one from there. With the mean of the last 5
        measurements over that of 4 measurements earlier above 1.3, stop at epoch e and return the
        cell of epoch e − 12, the middle of the earlier window. That is epoch 11 at the earliest
        (10 as the code counts, from 0), so that the 12th measurement, e = 23, is the first that can
        stop a search; never the last epoch.

    The eigenvalue is read by the instrument `alpha_hessian` (mode lanczos) and kept in the history
    as ``stop_eigenvalue``. Both rules compare averages only where the one below the line is
    positive. At the end of a search the cell of the epoch that counts is derived from that epoch's
    α; rankings see the weights as they are when the search stops.

    Paper and code: that the paper (section 4.3) smooths over 5 epochs *around* i is from memory, not
    re-read; the code's window, too, is centred (``EVLocalAvg``, ``la_epochs``). ``trailing`` is the
    other reading. The code counts epochs from 0, here the first is 1. Both use one batch (``probe:
    official``), whose eigenvalue is noisy; ``frozen`` averages over 8. A search of fewer than 24
    epochs never stops by ``code``: set ``every: 1`` and ``first`` for short ones. Both rules are
    replayed on published eigenvalues in ``tests/variants/test_early_stop_replay.py``.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"rule": "paper"},
        "trailing": {"rule": "trailing"},
        "code": {"rule": "code"},
    }

    def decide(self, setup: SearchView, state: StateView, rule: Rule) -> Stop | None:
        """Stop."""
        values = state.memory[self.name]["values"]
        if (epoch := rule.verdict(values)) is None:
            return None
        return Stop(f"the largest α-Hessian eigenvalue rose to {values[-1]:.3g}", epoch)
