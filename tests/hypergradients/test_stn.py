"""Self-Tuning Networks beyond the pure contract: the response as state, trained in the loop."""

from __future__ import annotations

import torch

from bench.contracts.hypergradient import InnerStep, Problem
from bench.hypergradients._response import direction
from bench.hypergradients.neumann import Neumann
from bench.hypergradients.stn import Stn

from .problems import EIGENVALUES, close, flat, images, leaf, network, quadratic, total


def test_directions_are_isotropic_sweeps() -> None:
    """A in a row are orthogonal and of squared length A; sweeps differ; the seed decides."""
    first = torch.stack([direction(0, i, 7) for i in range(7)])
    second = torch.stack([direction(0, i, 7) for i in range(7, 14)])
    close(first @ first.T, 7 * torch.eye(7))
    assert float((first - second).norm()) > 0.1
    assert torch.equal(direction(3, 5, 7), direction(3, 5, 7))
    assert not torch.equal(direction(3, 5, 7), direction(4, 5, 7))


def test_in_the_loop_reaches_the_exact_hypergradient() -> None:
    """Weights and response trained together for many steps: the minimum, and ∇F there (1e-8)."""
    inner = InnerStep(lr=0.9 / float(EIGENVALUES[-1]))
    q = quadratic(inner)
    member = Stn(pairs=1)
    state, problem = member.initial_state(q.problem), q.problem
    for step in range(400):
        gradient, state = member.train_step(problem, state, q.batches[0], step)
        weights = {n: leaf(w - inner.lr * gradient[n]) for n, w in problem.weights.items()}
        problem = Problem(
            weights, problem.architecture, problem.train_loss, problem.valid_loss, inner
        )
    close(total(member.estimate_with(problem, state, q.valid)), q.exact(), 1e-8)

    # After λ has moved, the response takes the weights to the new minimum at once.
    moved = {n: 0.5 * torch.ones_like(a) for n, a in problem.architecture.items()}
    H, B, c = q.batches[0]
    lam = flat(problem.architecture).detach() + 0.5
    arrived = member.absorb(problem.weights, state, moved)
    close(flat(arrived).detach(), torch.linalg.solve(H, B @ lam + c), 1e-8)


def test_training_is_pure_and_resumable() -> None:
    """Steps depend on the counter alone; neither the state nor the weights are written to."""
    problem = network(InnerStep(lr=0.05, weight_decay=1e-3))
    batches, member = images(4), Stn(pairs=3)
    state = member.initial_state(problem)
    for step, batch in enumerate(batches[:2]):
        _, state = member.train_step(problem, state, batch, step)
    kept = {n: t.clone() for n, t in state.items()}
    _, one = member.train_step(problem, state, batches[2], 2)
    _, two = member.train_step(problem, kept, batches[2], 2)
    assert all(torch.equal(state[n], kept[n]) and torch.equal(one[n], two[n]) for n in state)


def test_the_weight_gradient_is_the_perturbed_mean() -> None:
    """For small perturbations it is the plain gradient, up to O(scale²)."""
    problem = network(InnerStep(lr=0.05))
    (batch,) = images(1)
    member = Stn(scale=1e-4)
    found, _ = member.train_step(problem, member.initial_state(problem), batch, 0)
    loss = problem.train_loss(problem.weights, problem.architecture, batch)
    names = [n for n in problem.weights if n in found]
    assert "idle" not in names
    expected = torch.autograd.grad(loss, [problem.weights[n] for n in names])
    close(flat(found), torch.cat([g.reshape(-1) for g in expected]), 1e-6)


def test_row_scalings_are_a_descent_on_filter_banks() -> None:
    """On a network the first sweep equals Neumann's K = 1 where the response is unrestricted."""
    problem = network(InnerStep(lr=0.05))
    batch, valid = images(2)
    A = sum(a.numel() for a in problem.architecture.values())
    free = {n: w for n, w in problem.weights.items() if n in ("head.bias",)}
    rest = {n: w.detach() for n, w in problem.weights.items() if n not in free}
    part = Problem(
        free,
        problem.architecture,
        lambda w, a, b: problem.train_loss({**rest, **w}, a, b),
        lambda w, a, b: problem.valid_loss({**rest, **w}, a, b),
        problem.inner,
    )
    stn = Stn(T=1, pairs=A, scale=1e-4).estimate(part, [batch], valid)
    close(flat(stn.implicit), flat(Neumann(K=1).estimate(part, [batch], valid).implicit), 1e-6)
    whole = Stn(T=1, pairs=A).estimate(problem, [batch], valid)
    assert float(flat(whole.implicit).norm()) > 0 and not whole.flags["diverged"]
