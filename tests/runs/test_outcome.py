"""What a finished search says of itself."""

from __future__ import annotations

import pytest

from bench.runs.run import conclude
from bench.search.setup import build, initial_state


@pytest.mark.parametrize("size", [None, 128, 127])
def test_the_images_are_those_of_both_halves(small, tmp_path, size):
    """The halves of 1,797 digits differ by one image."""
    setup = build(small(data={"name": "digits", "size": size}), [], 0)
    said = conclude(setup, initial_state(setup), tmp_path)["data"]["images"]
    assert said == (size or 1797)
