"""Co-adaptation: closed forms on constructed outputs, and the supernet's own by brute force."""

import math

import numpy as np
import pytest
import torch

from bench.instruments._collinearity import Moments, collinearity
from bench.instruments._inside import probe
from bench.instruments.co_adaptation import aggregated
from tests.spaces.textbook import TextbookSupernet


def compared(*maps, parts=3):
    moments = Moments()
    for chunk in zip(*(m.chunk(parts) for m in maps), strict=True):
        moments.add(chunk)
    return collinearity(moments, len(maps))


def normal(n, c, seed=0):
    return torch.randn(n, c, generator=torch.Generator().manual_seed(seed)).double()


def test_cka_of_the_same_is_one_whatever_the_rotation_scale_and_offset():
    x = normal(200, 5)
    rotation = torch.linalg.qr(normal(5, 5, seed=1)).Q
    found = compared(x, x, 3 * x @ rotation + 7)
    torch.testing.assert_close(found.cka, torch.ones(3, 3).double())
    # Correlation does see the rotation: ⟨x, xQ⟩/‖x‖² is tr(SQ)/tr(S) with S the covariance.
    centred = x - x.mean(0)
    S = centred.T @ centred
    expected = float(torch.trace(S @ rotation) / torch.trace(S))
    assert float(found.correlation[0, 2]) == pytest.approx(expected)
    assert float(found.correlation[0, 1]) == pytest.approx(1)


def test_cka_of_independent_features_goes_to_zero_like_channels_over_observations():
    x, y = normal(20_000, 6), normal(20_000, 6, seed=1)
    found = compared(x, y)
    # ‖XᵀY‖² ≈ n·36 and ‖XᵀX‖ = ‖YᵀY‖ ≈ n·√6: 36/(6 n).
    assert float(found.cka[0, 1]) == pytest.approx(6 / 20_000, rel=0.6)
    assert abs(float(found.correlation[0, 1])) < 0.01
    assert found.condition == pytest.approx(1, abs=0.02)
    assert found.vif.tolist() == pytest.approx([1, 1], abs=1e-3)


def test_cka_by_its_definition_with_n_by_n_gram_matrices():
    """HSIC of linear kernels: tr(KHLH), on the observations' side of the product."""
    x, y = normal(40, 3), normal(40, 3, seed=1) + normal(40, 3)
    H = torch.eye(40).double() - 1 / 40
    K, L = H @ x @ x.T @ H, H @ y @ y.T @ H
    expected = (K * L).sum() / (K.norm() * L.norm())
    assert float(compared(x, y).cka[0, 1]) == pytest.approx(float(expected))


@pytest.mark.parametrize("r", [0.0, 0.5, 0.99])
def test_vif_and_condition_of_two_outputs_of_known_correlation(r):
    """VIF 1/(1 − r²) and condition (1 + r)/(1 − r), exactly, for orthonormal parts."""
    basis = torch.linalg.qr(normal(60, 7) - normal(60, 7).mean(0)).Q
    basis = basis - basis.mean(0)
    a, b = basis[:, :3], basis[:, 3:6]
    found = compared(a, r * a + math.sqrt(1 - r**2) * b)
    assert float(found.correlation[0, 1]) == pytest.approx(r, abs=1e-9)
    assert found.vif.tolist() == pytest.approx([1 / (1 - r**2)] * 2)
    assert found.condition == pytest.approx((1 + r) / (1 - r))


def test_vif_is_that_of_a_regression_with_an_intercept_per_channel():
    x, y = normal(50, 4), normal(50, 4, seed=1) + 5
    z = x - 2 * y + 0.7 * normal(50, 4, seed=2) + torch.arange(4.0)
    channel = torch.arange(4).repeat(50)
    dummies = torch.nn.functional.one_hot(channel).double()
    maps = [m.flatten() for m in (x, y, z)]
    expected = []
    for k, target in enumerate(maps):
        others = torch.stack([m for j, m in enumerate(maps) if j != k], 1)
        fitted = torch.cat([others, dummies], 1)
        residual = target - fitted @ torch.linalg.lstsq(fitted, target[:, None]).solution[:, 0]
        within = target - dummies @ torch.linalg.lstsq(dummies, target[:, None]).solution[:, 0]
        expected.append(float((within**2).sum() / (residual**2).sum()))
    assert compared(x, y, z).vif.tolist() == pytest.approx(expected)
    assert min(expected) > 2


def test_the_raw_gram_matrix_sees_norms_and_the_correlations_do_not():
    x, y = normal(4000, 4), normal(4000, 4, seed=1)
    plain, scaled = compared(x, y), compared(x, 10 * y)
    assert scaled.condition == pytest.approx(plain.condition)
    xx, xy, yy = (x * x).sum(), (x * y).sum(), (y * y).sum()
    gram = torch.tensor([[xx, 10 * xy], [10 * xy, 100 * yy]])
    assert scaled.condition_raw == pytest.approx(float(torch.linalg.cond(gram)))
    assert scaled.condition_raw > 50 * plain.condition_raw


def test_what_is_exactly_collinear_ends_at_the_floor():
    x, y = normal(50, 2), normal(50, 2, seed=1)
    found = compared(x, y, x + y)
    assert found.condition == pytest.approx(1e12, rel=1e-3)
    assert all(1e10 < value <= 1e12 for value in found.vif.tolist())


def test_what_does_not_vary_is_left_out():
    x, y = normal(50, 2), normal(50, 2, seed=1)
    three, two = compared(x, y, 4.2 + 0 * x), compared(x, y)
    assert torch.isnan(three.cka[2]).all() and math.isnan(three.vif[2])
    assert three.vif[:2].tolist() == pytest.approx(two.vif.tolist())
    assert three.summary()["cka"] == pytest.approx(two.summary()["cka"])
    nothing = compared(0 * x, 0 * x).summary()
    assert all(math.isnan(value) for value in nothing.values())


def test_aggregates_are_over_edges_that_are_there():
    names = ("cka", "correlation", "condition", "condition_raw", "vif")
    rows = [dict.fromkeys(names, value) for value in (1.0, 2.0, 6.0, math.nan)]
    found = aggregated(rows)
    assert [found[f"coadaptation_vif_{over}"] for over in ("mean", "median", "max")] == [3, 2, 6]


@torch.no_grad()
def by_the_textbook(setup, state, batches):
    """CKA and correlation of every edge's operations, on all pixels of the naive supernet."""
    naive, seen = TextbookSupernet(1, 10, 4, 1), {}
    naive.copy_from(state.supernet)
    cells = [block for block in naive.blocks if hasattr(block, "edges")]
    for c, cell in enumerate(cells):
        for e, edge in enumerate(cell.edges):
            for o, operation in enumerate(edge.ops):
                operation.register_forward_hook(
                    lambda m, i, y, key=(c, e, o): seen.setdefault(key, []).append(y)
                )
    for batch in batches:
        naive(batch.images, setup.mixture(state))
    edges = {}
    for c in range(len(cells)):
        for e in range(6):
            maps = [torch.cat(seen[c, e, o]).double() for o in (1, 2, 3, 4)]
            flat = [m.movedim(1, -1).reshape(-1, m.shape[1]) for m in maps]
            flat = [m - m.mean(0) for m in flat]
            cka, correlation = [], []
            for i in range(4):
                for j in range(i + 1, 4):
                    x, y = flat[i], flat[j]
                    cka.append((x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm()))
                    correlation.append(((x * y).sum() / (x.norm() * y.norm())).abs())
            R = torch.corrcoef(torch.stack([m.flatten() for m in flat]))
            edges[c, e] = {
                "cka": torch.stack(cka).mean(),
                "correlation": torch.stack(correlation).mean(),
                "condition": torch.linalg.cond(R),
                "vif": torch.linalg.inv(R).diagonal().mean(),
            }
    return edges


def test_readings_are_those_of_the_textbook_supernet(searched, read):
    setup, state = searched()
    found = read(setup, state, "co_adaptation", batches=2, positions=None)
    edges = by_the_textbook(setup, state, probe(setup, "co_adaptation", 2))
    for quantity in ("cka", "correlation", "condition", "vif"):
        values = np.array([float(row[quantity]) for row in edges.values()])
        for over in ("mean", "median", "max"):
            reading = found[f"coadaptation_{quantity}_{over}"]
            assert reading == pytest.approx(getattr(np, over)(values), rel=2e-3)
        last = np.mean([float(edges[c, 5][quantity]) for c in range(3)])
        assert found[f"coadaptation_at_2_3_{quantity}"] == pytest.approx(last, rel=2e-3)


def test_drawn_positions_estimate_what_all_of_them_give(searched, read):
    setup, state = searched()
    whole = read(setup, state, "co_adaptation", batches=2, positions=None)
    some = read(setup, state, "co_adaptation", batches=2, positions=16)
    assert some["coadaptation_cka_mean"] == pytest.approx(whole["coadaptation_cka_mean"], abs=0.1)
    assert some["coadaptation_cka_mean"] != whole["coadaptation_cka_mean"]
    assert some == read(setup, state, "co_adaptation", batches=2, positions=16)


@pytest.mark.parametrize("variant", ["uniform_sampling", "partial_channels", "gdas"])
def test_it_needs_no_alpha_and_all_channels(searched, read, variant):
    setup, state = searched(variant)
    found = read(setup, state, "co_adaptation", batches=2)
    assert all(math.isfinite(value) for value in found.values())
    assert 0 < found["coadaptation_cka_median"] <= 1
