"""What `plan` adds up: passes of the search, of the hypergradient and of the instruments, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.ablation.file import read_ablation
from bench.runs import cost
from bench.runs import spec as plan

TEXT = """
question: Does it?
contrast: {metric: skip_count, of: b, against: a}
variants:
  a: {}
  b:
    hypergradient: {name: reverse, T: 10, K: 1}
    instruments: [{name: gradient_share, batches: 8, every: 3}, {name: loss_crossing, batches: 6}]
"""
PROFILE = """
data: {name: digits, size: 128}
space: {channels: 4, cells: 1}
search: {epochs: 10, batch: 32}
ranking: null
instruments: []
seeds: 1
"""


@pytest.fixture
def specs(tmp_path: Path) -> dict[str, plan.RunSpec]:
    (tmp_path / "x.yaml").write_text(TEXT)
    (tmp_path / "p.yaml").write_text(PROFILE)
    ablation = read_ablation(tmp_path / "x.yaml", str(tmp_path / "p.yaml"))
    return {spec.label: spec for spec in plan.plan(ablation)}


def test_passes_of_the_search(specs: dict[str, plan.RunSpec]) -> None:
    """Ten epochs of two steps: 1 + 1 F first-order, 1 + 12 F and one HVP of 5 F truncated reverse."""
    assert cost.cost_in_passes(specs["a"]) == 20 * 2
    assert cost.cost_in_passes(specs["b"]) == 20 * (1 + 12 + 5)


def test_instruments_are_added_up(specs: dict[str, plan.RunSpec]) -> None:
    """Read in epochs 3, 6, 9 and at the end; and in every epoch, a third of F per batch."""
    assert cost.readings(specs["b"]) == {"gradient_share": 4 * 8, "loss_crossing": 10 * 2}
    assert cost.cost(specs["b"], {}).instruments == pytest.approx(52 / (52 + 360))
    assert cost.cost(specs["a"], {}).instruments == 0
    assert cost.multiply_adds(specs["b"]) / cost.multiply_adds(specs["a"]) == pytest.approx(
        (360 + 52) / 40
    )
