"""Which signal leads: steps placed by hand are found, and nothing is found where nothing is."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bench.report import signals


def test_a_step_is_found_where_it_is() -> None:
    found = signals.change([1, 1, 1, 1, 5, 5, 5])
    assert found == signals.Change(4, 1.0, 5.0, pytest.approx(1.0))


def test_against_brute_force() -> None:
    draws = np.random.default_rng(0)
    for _ in range(50):
        x = draws.normal(size=draws.integers(6, 15))
        errors = [
            ((x[:k] - x[:k].mean()) ** 2).sum() + ((x[k:] - x[k:].mean()) ** 2).sum()
            for k in range(1, len(x))
        ]
        found = signals.change(x)
        assert found is not None and found.at == 1 + int(np.argmin(errors))
        total = ((x - x.mean()) ** 2).sum()
        assert found.explained == pytest.approx(1 - min(errors) / total)


def test_constant_short_and_undefined_series_have_no_step() -> None:
    assert signals.change([3.0] * 9) is None
    assert signals.change([1, 1, 5, 5]) is None
    assert signals.change([1, 1, 1, math.nan, 5, 5, 5]) is None


def test_the_accuracy_must_fall_and_by_enough() -> None:
    assert signals.fall([90, 90, 90, 90, 60, 60, 60]).at == 4  # type: ignore[union-attr]
    assert signals.fall([60, 60, 60, 90, 90, 90]) is None
    assert signals.fall([90, 90, 90, 86, 86, 86]) is None  # four points


def searches() -> pd.DataFrame:
    """Two searches fall at epochs 11 and 13; `early` changes at 8 in both, `late` at 15, `noise` never."""
    rows = []
    for seed, falls in ((0, 11), (1, 13), (2, 99)):
        for epoch in range(1, 21):
            rows.append(
                {
                    "label": "darts",
                    "seed": seed,
                    "epoch": epoch,
                    "true_accuracy": 90.0 if epoch < falls else 54.3,
                    "early": float(epoch >= 8),
                    "late": float(epoch >= 15),
                    "constant": 1.0,
                    "wave": float((-1) ** epoch),
                }
            )
    return pd.DataFrame(rows)


def test_leads_by_hand() -> None:
    found = signals.leads(searches()).set_index(["seed", "signal"])
    assert set(found.index.get_level_values("seed")) == {0, 1}  # the third never falls
    assert found.loc[(0, "early"), "lead"] == 3 and found.loc[(1, "early"), "lead"] == 5
    assert found.loc[(0, "late"), "lead"] == -4 and found.loc[(1, "late"), "lead"] == -2
    assert found.loc[[(0, "constant"), (0, "wave")], "lead"].isna().all()


def test_the_table_has_intervals_over_searches() -> None:
    table = signals.table(signals.leads(searches())).set_index("signal")
    early = table.loc["early"]
    assert early["lead"] == 4 and early["searches"] == 2 and early["leads"] == 1
    assert early["lead_high"] - 4 == pytest.approx(12.7062 * 2**0.5 / 2**0.5, rel=1e-4)
    assert table.loc["late", "leads"] == 0 and table.index[0] == "early"
    assert table.loc["wave", "changes"] == 0 and math.isnan(table.loc["wave", "lead"])


def test_no_search_that_falls_gives_an_empty_table() -> None:
    flat = searches().assign(true_accuracy=90.0)
    assert signals.table(signals.leads(flat)).empty
