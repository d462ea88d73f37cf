"""Mixtures and penalties, each against its formula computed by hand."""

import math

import pytest
import torch

from bench.contracts import registry
from bench.search.composition import Composition

SPACE = registry.parse("spaces", "nb201")
GENERATOR = torch.Generator().manual_seed(3)
ALPHA = torch.randn(6, 5, generator=GENERATOR)


def parse(name, **parameters):
    return registry.parse("variants", {"name": name, **parameters})


def leaf():
    return ALPHA.clone().requires_grad_()


def test_fair_darts_is_a_sigmoid_pushed_from_a_half(at):
    variant = parse("fair_darts")
    sigma = [[1 / (1 + math.exp(-a)) for a in row] for row in ALPHA.tolist()]
    torch.testing.assert_close(variant.relax({"alpha": ALPHA}, at()), torch.tensor(sigma))
    squares = [(s - 0.5) ** 2 for row in sigma for s in row]
    loss = variant.architecture_loss({"alpha": ALPHA}, at())
    assert loss.item() == pytest.approx(-10 * sum(squares) / 30)
    away = parse("fair_darts", preset="absolute", weight=3.0)
    expected = -3 * sum(abs(s - 0.5) for row in sigma for s in row) / 30
    assert away.architecture_loss({"alpha": ALPHA}, at()).item() == pytest.approx(expected)


def test_beta_darts_penalises_logsumexp_and_its_gradient_is_the_softmax(at):
    alpha, variant = leaf(), parse("beta_darts")
    loss = variant.architecture_loss({"alpha": alpha}, at(epoch=30, epochs=100))
    rows = [math.log(sum(map(math.exp, row))) for row in ALPHA.tolist()]
    assert loss.item() == pytest.approx(50 * 30 / 100 * sum(rows) / 6, rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, alpha)
    torch.testing.assert_close(gradient, 15 / 6 * ALPHA.softmax(-1))
    assert variant.architecture_loss({"alpha": alpha}, at(epoch=0)) is None
    constant = parse("beta_darts", schedule="constant", weight=2.0)
    assert constant.strength(at(epoch=0)) == 2.0


def test_gumbel_draws_choose_each_operation_as_often_as_the_softmax_says(at):
    variant, counts = parse("gdas"), torch.zeros(6, 5)
    for step in range(4000):
        hard = variant.relax({"alpha": ALPHA}, at(step=step))
        assert hard.sum(-1).allclose(torch.ones(6)) and hard.max(-1).values.allclose(torch.ones(6))
        counts += hard
    torch.testing.assert_close(counts / 4000, ALPHA.softmax(-1), atol=0.035, rtol=0)


def test_gdas_gives_the_concrete_gradient_runs_the_drawn_path_and_anneals(at):
    variant, alpha, now = parse("gdas"), leaf(), at(epoch=20)
    tau = 10 - 9.9 * 20 / 49
    assert variant.temperature(now) == pytest.approx(tau)
    assert variant.temperature(at(epoch=49)) == pytest.approx(0.1)
    draws = now.generator("gdas")
    g = -torch.empty(6, 5).exponential_(generator=draws).log()
    soft = ((alpha.log_softmax(-1) + g) / tau).softmax(-1)
    hard = variant.relax({"alpha": alpha}, now)
    assert torch.equal(hard.argmax(-1), soft.argmax(-1))
    c = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    mine, theirs = (torch.autograd.grad((c * p).sum(), alpha)[0] for p in (hard, soft))
    torch.testing.assert_close(mine, theirs)
    drawn = [[o] for o in soft.argmax(-1).tolist()]
    assert variant.active(SPACE, {"alpha": alpha}, now) == drawn
    assert parse("gdas", undrawn="exact").active(SPACE, {"alpha": alpha}, now) is None
    evaluated = at(epoch=20, phase="evaluate")
    assert torch.equal(variant.relax({"alpha": alpha}, evaluated), alpha.softmax(-1))
    assert variant.active(SPACE, {"alpha": alpha}, evaluated) is None


def test_gdas_undrawn_weights_get_the_gradient_of_an_output_of_ones(at, tiny):
    def gradients(undrawn):
        setup, state = tiny({"name": "gdas", "undrawn": undrawn})
        now = setup.moment(state, "architecture")
        bound = setup.composition.hooks(state.architecture, now)
        y = torch.full((2, 4, 3, 3), 7.0)
        out = bound.edge(y, y, cell=0, edge=2)
        return y, out, state, now

    y, out, state, now = gradients("ones")
    torch.testing.assert_close(out, y)  # nothing in value
    weights = parse("gdas").relax(state.architecture, now)[2]
    expected = y.numel() * (weights.sum() - weights[weights.argmax()])
    alpha = state.architecture["alpha"]
    (mine,) = torch.autograd.grad(out.sum(), alpha, retain_graph=True)
    (theirs,) = torch.autograd.grad(expected, alpha)
    torch.testing.assert_close(mine, theirs)
    assert mine[2].abs().max() > 0
    y, out, _, _ = gradients("none")
    assert out is y


def test_snas_is_the_soft_draw(at):
    variant, now = parse("snas"), at(epoch=25, phase="architecture")
    assert variant.temperature(now) == pytest.approx(10 - 9 * 25 / 50)
    g = -torch.empty(6, 5).exponential_(generator=now.generator("snas")).log()
    expected = ((ALPHA.softmax(-1).log() + g) / 5.5).exp()
    expected = expected / expected.sum(-1, keepdim=True)
    torch.testing.assert_close(variant.relax({"alpha": ALPHA}, now), expected)
    evaluated = at(epoch=25, phase="evaluate")
    assert torch.equal(variant.relax({"alpha": ALPHA}, evaluated), ALPHA.softmax(-1))


def elu(a):
    return a if a > 0 else math.exp(a) - 1


def test_drnas_draws_have_the_moments_of_the_dirichlet(at):
    variant = parse("drnas")
    c = torch.tensor([[elu(a) + 1 for a in row] for row in ALPHA.tolist()])
    total = c.sum(-1, keepdim=True)
    draws = torch.stack([variant.relax({"alpha": ALPHA}, at(step=s)) for s in range(6000)])
    assert draws.sum(-1).allclose(torch.ones(6000, 6), atol=1e-5)
    mean = c / total
    torch.testing.assert_close(draws.mean(0), mean, atol=0.015, rtol=0)
    variance = mean * (1 - mean) / (total + 1)
    torch.testing.assert_close(draws.var(0), variance, atol=0.01, rtol=0)
    torch.testing.assert_close(variant.relax({"alpha": ALPHA}, at(phase="evaluate")), mean)


def test_drnas_gradient_is_torchs_own_pathwise_gradient_and_that_of_the_mean_on_average(at):
    variant, weights = parse("drnas"), torch.arange(5.0)
    alpha, now = leaf(), at()
    p = variant.relax({"alpha": alpha}, now)
    (mine,) = torch.autograd.grad((weights * p).sum(), alpha)
    c = torch.nn.functional.elu(alpha) + 1
    x = torch._sample_dirichlet(c.detach(), generator=now.generator("drnas"))
    from torch.distributions.dirichlet import _Dirichlet_backward

    by_c = _Dirichlet_backward(x, c.detach(), weights.expand(6, 5))
    (theirs,) = torch.autograd.grad(c, alpha, by_c, retain_graph=True)
    torch.testing.assert_close(mine, theirs)
    total = torch.zeros(6, 5)
    for step in range(1500):
        drawn = variant.relax({"alpha": alpha}, at(step=step))
        total += torch.autograd.grad((weights * drawn).sum(), alpha)[0]
    mean = (weights * c / c.sum(-1, keepdim=True)).sum()
    torch.testing.assert_close(total / 1500, torch.autograd.grad(mean, alpha)[0], atol=0.04, rtol=0)


def test_drnas_distance_is_torchs_divergence_from_the_flat_dirichlet(at):
    from torch.distributions import Dirichlet, kl_divergence

    c = torch.nn.functional.elu(ALPHA) + 1
    expected = kl_divergence(Dirichlet(c), Dirichlet(torch.ones(6, 5))).sum()
    found = parse("drnas", kl=0.1).architecture_loss({"alpha": ALPHA}, at())
    torch.testing.assert_close(found, 0.1 * expected)
    assert parse("drnas").architecture_loss({"alpha": ALPHA}, at()) is None


@pytest.mark.parametrize("name", ["drnas", "gdas", "snas", "fair_darts", "beta_darts"])
def test_an_operation_that_left_has_weight_zero_and_no_gradient(name, at):
    kept = [[1, 3]] * 6
    memory = {"operation_shrinking": kept}
    other = "drnas" if name == "drnas" else "operation_shrinking"
    memory = {"drnas": {"stage": 0, "kept": kept}} if name == "drnas" else memory
    variants = [parse(name)] if other == name else [parse(name), parse(other)]
    composition, alpha = Composition(variants, SPACE), leaf()
    for phase in ("weights", "evaluate"):
        mixture = composition.mixture({"alpha": alpha}, at(phase=phase, memory=memory))
        assert torch.isfinite(mixture).all() and mixture[:, [0, 2, 4]].abs().max() == 0
        (gradient,) = torch.autograd.grad((mixture * torch.arange(5.0)).sum(), alpha)
        assert torch.isfinite(gradient).all() and gradient[:, [0, 2, 4]].abs().max() == 0
        assert name == "fair_darts" or mixture.sum(-1).allclose(torch.ones(6))
    active = composition.active({"alpha": alpha}, at(memory=memory))
    assert all(set(row) <= {1, 3} and row for row in active)
