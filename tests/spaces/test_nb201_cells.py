"""The counts of the benchmark, and strings that survive the way there and back."""

import pytest

from bench.spaces.nb201 import cells


def test_counts_are_the_benchmarks():
    everything = list(cells.architectures())
    assert len(everything) == len(set(everything)) == 15_625
    assert len({cells.canonical(c) for c in everything}) == 6_466
    assert len({cells.canonical(c, zero=False) for c in everything}) == 12_751
    assert sum(not cells.connected(c) for c in everything) == 341
    assert len(cells.unique()) == 6_466


def test_every_cell_survives_encoding():
    for position, cell in enumerate(cells.architectures()):
        assert cells.decode(cells.encode(cell)) == cell
        assert cells.index(cell) == position


def test_published_string():
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    cell = cells.decode(text)
    assert cell == (3, 3, 4, 1, 3, 1)
    assert cells.encode(cell) == text
    assert cells.parameters(cell) == 27


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "3 nodes"),
        ("|none~0|+|none~0|none~1|", "3 nodes"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "needs 2 edges"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|conv~2|", "unknown operation 'conv'"),
        ("|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", "must end in ~0"),
        ("none~0+|none~0|none~1|+|none~0|none~1|none~2|", "form"),
    ],
)
def test_malformed_strings_say_what_is_wrong(text, says):
    with pytest.raises(ValueError, match=says):
        cells.decode(text)


@pytest.mark.parametrize("cell", [(), (1, 2, 3), (0, 0, 0, 0, 0, 5), (0, 0, 0, 0, 0, -1)])
def test_not_a_cell(cell):
    with pytest.raises(ValueError, match="not a NAS-Bench-201 cell"):
        cells.encode(cell)
