"""Early stopping replayed on eigenvalues that its authors published (RobustDARTS, S1 on CIFAR-10)."""

import csv

import numpy as np
import pytest

from bench.variants._eigenvalue import RULES
from tests.conftest import SHARED

PUBLISHED = SHARED / "robustdarts" / "eigenvalues.csv"


def series():
    """Return the eigenvalues at epochs 0, 2, …, 48 (counted from 0) of every published search."""
    found = {}
    with PUBLISHED.open() as file:
        for row in csv.DictReader(file):
            key = (row["drop_path"], row["weight_decay"], row["run"])
            if int(row["epoch"]) % 2 == 0:
                found.setdefault(key, {})[int(row["epoch"])] = float(row["largest"])
    return {
        key: [values[e] for e in sorted(values)]
        for key, values in found.items()
        if sorted(values) == list(range(0, 50, 2))
    }


def tracker(values, epochs=50, every=2, window=5, start=10, delta=4, factor=1.3):
    """Stop as the authors' ``EVLocalAvg`` does; return (epoch, epoch that counts), from 0.

    Written from its description: averages of the last five measurements (of what there is from the
    third on) belong to the epoch two measurements back, and are compared with that of four earlier.
    """
    averages = []
    for n in range(1, len(values) + 1):
        epoch = every * (n - 1)
        if n < (window + 1) // 2 or epoch >= epochs - 1:
            continue
        averages.append(np.mean(values[max(0, n - window) : n]))
        target = epoch - every * (window // 2) - every * delta
        if target >= start and averages[-1] / averages[-1 - delta] > factor:
            return epoch, target
    return None


def replay(rule, values):
    for n in range(1, len(values) + 1):
        if (target := RULES[rule].verdict(values[:n])) is not None:
            return RULES[rule].epoch_of(n), target
    return None


def centred(values, k=5):
    """Apply the paper's rule as it is read here, from its formula; epochs from 1."""
    smooth = {i: np.mean(values[i - 3 : i + 2]) for i in range(3, len(values) - 1)}
    for i in sorted(smooth):
        if i - k in smooth and smooth[i] > 0 and smooth[i - k] / smooth[i] < 0.75:
            return i + 2, i - k
    return None


@pytest.fixture(scope="module")
def published():
    if not PUBLISHED.is_file():
        pytest.skip(f"{PUBLISHED} is not there: the published eigenvalues cannot be replayed")
    found = series()
    assert len(found) >= 9
    return found


def test_the_rule_of_the_code_stops_where_the_authors_tracker_stops(published):
    stopped = 0
    for key, values in published.items():
        theirs = tracker(values)
        mine = replay("code", values)
        assert mine == (theirs and (theirs[0] + 1, theirs[1] + 1)), key
        stopped += theirs is not None
    assert 0 < stopped < len(published), "the comparison needs both outcomes"


def test_one_measurement_earlier_would_stop_elsewhere(published):
    from dataclasses import replace

    early = replace(RULES["code"], first=9)
    differing = 0
    for values in published.values():
        verdicts = (early.verdict(values[:n]) for n in range(1, len(values) + 1))
        first = next((target for target in verdicts if target is not None), None)
        right = replay("code", values)
        differing += first != (right and right[1])
    assert differing > 0, "the published series do not tell the two apart"


def test_the_rule_of_the_paper_is_its_formula(published):
    # The series has every second epoch; the formula does not care what a step stands for.
    outcomes = {replay("paper", values) for values in published.values()}
    for key, values in published.items():
        assert replay("paper", values) == centred(values), key
        stop = replay("trailing", values)
        assert stop == (centred(values) and (centred(values)[0], centred(values)[0] - 5)), key
    assert len(outcomes) > 2
