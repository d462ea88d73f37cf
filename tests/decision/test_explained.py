"""The rates that docs/until_decided.md prints of explanations, on fewer replays and by exact sums."""

import numpy as np
import pytest
from scipy import stats

from bench.decision import explained


def test_it_asks_what_the_files_ask():
    assert [len(e.criteria) for e in explained.asked()] == [7, 5, 7, 5]
    assert len(explained.primaries()) == 4


@pytest.mark.parametrize("seeds", [8, 12])
def test_wrong_decisions_are_as_rare_as_the_exact_test_says(seeds):
    """Four sign tests at Holm's first step: 1 − (1 − 2·P(at least k of n))⁴."""
    fewest = next(k for k in range(seeds + 1) if 8 * stats.binom.sf(k - 1, seeds, 0.5) <= 0.05)
    one = 2 * stats.binom.sf(fewest - 1, seeds, 0.5)
    exact = 1 - (1 - one) ** 4
    found = explained.wrong(explained.FAMILIES["normal"], seeds, 4000)
    assert found.either == pytest.approx(exact, abs=4 * np.sqrt(exact / 4000))
    assert found.confirmed + found.refuted >= found.either - 1e-12
    assert exact <= 0.05


def test_searches_that_never_come_there_are_beyond_and_those_of_both_are_neither():
    beyond = explained.wrong(lambda rng, size: np.full(size, np.inf), 12, 5)
    neither = explained.wrong(lambda rng, size: np.full(size, np.nan), 12, 5)
    assert (beyond.confirmed, beyond.refuted) == (1.0, 0.0) and neither.either == 0.0


def test_the_look_at_every_pair_is_the_p_of_judge():
    from bench.ablation.criteria import judge

    rng = np.random.default_rng(3)
    criterion = explained.primaries()[0]
    for _ in range(5):
        x = np.where(rng.random(explained.LOOKS) < 0.7, 2.0, 0.0)

        def same(rng, size, x=x):
            return np.broadcast_to(x, size)

        own = judge(criterion.sign * criterion.smallest * x, criterion, looked=True)
        assert explained.looking(same, 1).either == float(4 * own.p <= 0.05)


def test_a_baseline_that_fails_in_half_is_seldom_taken_to_fail_in_more():
    found = explained.verdicts(explained.TRUE["no effect"][0], 12, 2000, rate=0.5)
    assert explained.share(found, "not judged") > 0.95
    assert explained.checked(0.5, 2000) <= 0.05 < 0.9 < explained.checked(0.9, 200)
