"""DA²S's entropy term against numbers worked out by hand."""

import math

import pytest
import torch

from bench.contracts import registry
from bench.contracts.moment import Moment


def test_the_penalty_is_the_mean_entropy_on_a_linear_schedule():
    variant = registry.parse("variants", {"name": "entropy_penalty", "strength": 2.0})
    alpha = torch.zeros(2, 2)
    alpha[1, 0] = math.log(3)  # p = 3/4, 1/4
    even, uneven = math.log(2), -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    moment = Moment(0, 3, 3, 4, 1, "architecture", torch.device("cpu"), {})
    found = variant.architecture_loss({"alpha": alpha}, moment)
    assert float(found) == pytest.approx(2.0 * 0.75 * (even + uneven) / 2)
    start = Moment(0, 0, 0, 4, 1, "architecture", torch.device("cpu"), {})
    assert variant.architecture_loss({"alpha": alpha}, start) is None
