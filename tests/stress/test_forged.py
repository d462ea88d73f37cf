"""Forged files at length: every file, a value drawn at random, every command; by a seed.

    pytest -m stress tests/stress/test_forged.py --stress-seed 1 --stress-rounds 40 -s

One line that names the file, or it works; no traceback, no escape, no other run's result lost.
"""

import collections
import random

import pytest

from tests.runs import forged

pytestmark = [pytest.mark.stress, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("name", forged.ARTEFACTS)
def test_forged_values_end_in_one_line_or_work(tmp_path, name, request):
    seed, changes = map(request.config.getoption, ("--stress-seed", "--stress-rounds"))
    root, draw = forged.output(tmp_path), random.Random(f"{name} {seed}")
    wrong = collections.Counter()
    for _ in range(changes):
        wrong.update(forged.attack(root, name, draw, forged.COMMANDS))
    print(f"\n{name}: {changes} changes, {len(forged.COMMANDS)} commands, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)
