"""REINFORCE: a policy of independent categorical choices, moved by the score-function gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from bench.contracts.blackbox import BlackBox, Proposals


class Reinforce(BlackBox):
    """Policy gradient on one softmax per edge with a moving-average baseline, as NAS-Bench-201.

    The policy has no recurrent controller: one row of logits per edge, initialised 1e-3·randn,
    trained by Adam on −log p(a)·(reward − baseline), the reward in percent. The favourite is the
    best that was evaluated, not the policy's mode. Cells that come up again are paid for again.

    Notes
    -----
    Adam moves a logit by about ``lr`` per step: at 0.001 and 110 evaluations the policy stays
    within 0.1 of uniform, so that this is random search in all but name.
    """

    paper: ClassVar[str] = (
        "Zoph et al. 2018, Learning Transferable Architectures for Scalable Image Recognition, "
        "arXiv:1707.07012"
    )

    lr: float = Field(default=0.001, gt=0)
    """Adam's learning rate; betas 0.9 and 0.999."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of the baseline, a bias-corrected moving average of the rewards."""

    def proposals(self, choices: Sequence[int], rng: np.random.Generator) -> Proposals:
        """See `BlackBox.proposals`."""
        edges, width = len(choices), max(choices)
        # Operations that an edge does not have keep probability zero.
        absent = np.arange(width) >= np.asarray(choices)[:, None]
        logits = np.where(absent, -np.inf, 1e-3 * rng.normal(size=(edges, width)))
        first, second = np.zeros((edges, width)), np.zeros((edges, width))
        rewards = weight = 0.0
        step = 0
        while True:
            policy = np.exp(logits - logits.max(axis=1, keepdims=True))
            policy /= policy.sum(axis=1, keepdims=True)
            # Inverse transform sampling, one draw per edge; rounding must not leave the row.
            above = rng.random(edges)[:, None] >= policy.cumsum(axis=1)
            action = np.minimum(above.sum(axis=1), np.asarray(choices) - 1)
            reward = yield tuple(action.tolist())
            rewards = self.momentum * rewards + (1 - self.momentum) * reward
            weight = self.momentum * weight + (1 - self.momentum)
            # ∂(−log p(a)·advantage)/∂logits
            gradient = policy.copy()
            gradient[np.arange(edges), action] -= 1
            gradient *= reward - rewards / weight
            step += 1
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            scale = np.sqrt(second / (1 - 0.999**step)) + 1e-8
            logits = logits - self.lr * first / (1 - 0.9**step) / scale
