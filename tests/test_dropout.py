"""Dropout's factors: one set of numbers however they are computed, and fit for their purpose."""

import pytest
import torch

from bench import dropout, kernels
from bench.streams import seed_of


def drawn(number, rate, *key, dtype=torch.float32):
    return dropout.factors([number], rate, seed_of(*key), dtype, torch.device("cpu"))


@pytest.mark.skipif(kernels.compiler() is None, reason="NO C++ COMPILER: nothing to compare")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.5, 0.999])
def test_compiled_and_by_pytorch_are_the_same_bits(rate, dtype, monkeypatch):
    for seed in (0, 1, 2**63 - 1, 2**31, seed_of("skip_dropout", 3)):
        compiled = dropout.factors((7, 5, 3, 4), rate, seed, dtype, torch.device("cpu"))
        with monkeypatch.context() as without:
            without.setattr(kernels, "load", lambda *_: None)
            plain = dropout.factors((7, 5, 3, 4), rate, seed, dtype, torch.device("cpu"))
        assert torch.equal(compiled, plain) and compiled.stride() == plain.stride()
        assert compiled.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_as_many_are_kept_as_should_be_and_the_mean_stays(rate):
    number = 1 << 20
    found = drawn(number, rate, "a", rate)
    kept = found > 0
    sigma = (rate * (1 - rate) / number) ** 0.5
    assert abs(kept.double().mean() - (1 - rate)) < 4 * sigma
    assert found[kept].unique().tolist() == pytest.approx([1 / (1 - rate)])


def test_elements_and_keys_are_independent():
    """Correlations at lags and between keys that differ little stay within what chance allows."""
    number = 1 << 18
    sets = [
        drawn(number, 0.5, "skip_dropout", cell, edge, 7) for cell in range(3) for edge in range(6)
    ]
    signs = torch.stack(sets) - 1
    between = signs @ signs.T / number
    off = between - torch.diag(between.diagonal())
    assert off.abs().max() < 5 / number**0.5
    for lag in (1, 2, 3, 4, 8, 64, 256, 4096, 65536):
        along = (signs[:, lag:] * signs[:, :-lag]).mean(1)
        assert along.abs().max() < 5 / (number - lag) ** 0.5
    runs = signs[0].view(-1, 8).gt(0).long() @ (2 ** torch.arange(8))
    counts = torch.bincount(runs, minlength=256).double()
    expected = number / 8 / 256
    assert ((counts - expected) ** 2 / expected).sum() < 255 + 5 * (2 * 255) ** 0.5
