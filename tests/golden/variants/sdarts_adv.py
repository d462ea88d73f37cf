"""Seven steps of sign-gradient ascent within the ball."""

import torch

from tests.golden.harness import at
from tests.golden.variants import sdarts_rs

SOURCE = (
    "attacker/perturb.py of SmoothDARTS as DARTS-PT keeps it (Linf_PGD_alpha: 7 steps of 2ε/7, random start, "
    "the unperturbed mixture where its loss is higher); the clip as for SDARTS-RS"
)


def clip(p):
    p = p.clamp(0, 1)
    return p / p.sum(-1, keepdim=True)


def wave(q):
    """Return a loss with its top within the ball: 0.11, 0.19, 0.31, 0.4 and a level of −1 elsewhere."""
    return -(q - torch.tensor([[0.11, 0.19, 0.31, 0.39]])).abs().sum()


def attack(p, cost, epsilon, start, steps=7):
    """Ascend Σ cost·p, or the wave, from a start, by the source's words; no row sums to zero."""
    q = clip(p + start)
    for _ in range(steps):
        slope = (
            cost.sign()
            if cost is not None
            else (torch.tensor([[0.11, 0.19, 0.31, 0.39]]) - q).sign()
        )
        q = clip(p + (q + 2 * epsilon / steps * slope - p).clamp(-epsilon, epsilon))
    return q


def table(make):
    yield from sdarts_rs.table(make)
    p = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    cost = torch.tensor([[1.0, -2.0, 0.5, -0.3]])
    for epoch in (0, 50):
        epsilon, now = 0.03 + 0.27 * epoch / 100, at(epoch, 100)
        variant = make("paper")
        start = torch.empty(1, 4).uniform_(
            -epsilon, epsilon, generator=now.generator(make.member.name)
        )
        found = variant.perturb(p, lambda q: (q * cost).sum(), now)
        yield f"the attack at epoch {epoch}", found, attack(p, cost, epsilon, start)
    few = make("paper", steps=2)  # 2ε/2 each, so that the ball's edge is not reached by all
    start = torch.empty(1, 4).uniform_(-0.165, 0.165, generator=at(50, 100).generator(few.name))
    found = few.perturb(p, lambda q: (q * cost).sum(), at(50, 100))
    yield "the attack of two steps", found, attack(p, cost, 0.165, start, 2)
    half = make("paper").perturb(p, wave, at(0, 100))
    start = torch.empty(1, 4).uniform_(-0.03, 0.03, generator=at(0, 100).generator(few.name))
    yield "on a loss whose slope turns", half, attack(p, None, 0.03, start)
    kept = make("paper").perturb(p, lambda q: -((q - p) ** 2).sum(), at(50, 100))
    yield "where it found no higher loss, the mixture itself", kept, p
    flat = torch.tensor([[1.0, 0.0, 0.5, 0.0]])
    found = make("paper").perturb(p, lambda q: (q * flat).sum(), at(50, 100))
    start = torch.empty(1, 4).uniform_(-0.165, 0.165, generator=at(50, 100).generator(few.name))
    yield "where a slope is zero, no step", found, attack(p, flat, 0.165, start)
    level = make("paper").perturb(p, lambda q: 0 * q.sum(), at(50, 100))
    yield "of equal losses the attack's", level, clip(p + start)
    yield "steps", make().steps, 7


EQUIVALENT = {"0 -> 1": "no ε is one; at zero nothing is added either way"}
