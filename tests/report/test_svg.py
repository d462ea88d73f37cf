"""Figures are made small without changing what they show."""

import re

import numpy as np
import pytest

from bench.report import svg


def drawn(name="f"):
    """Draw eight lines of thirty points; return the SVG and the lines in points of the figure."""
    steps = np.linspace(0, 6, 30)
    with svg.style():
        figure = svg.figure()
        axes = figure.add_subplot()
        lines = [axes.plot(steps, np.sin(steps + i), color="#0f83c9")[0] for i in range(8)]
        text = svg.to_svg(figure, name, "waves")
    height = 72 * figure.get_size_inches()[1]
    places = [line.get_transform().transform(line.get_xydata()) for line in lines]
    scale = 72 / figure.dpi
    return text, [np.stack([p[:, 0] * scale, height - p[:, 1] * scale], 1) for p in places]


def points(path):
    """Read a path of steps back as points [N, 2]."""
    start, steps = re.fullmatch(r"M([^l]+)l(.*)", path).groups()
    numbers = np.array(f"{start} {steps}".split(), dtype=float)
    return numbers.reshape(-1, 2).cumsum(0)


def test_steps_of_tenths_stay_where_the_line_was():
    text, lines = drawn()
    found = [points(d) for d in re.findall(r' d="(M[^"z]+)"', text) if d.count(" ") > 50]
    assert len(found) == len(lines) == 8
    for mine, theirs in zip(found, lines, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=0.07)  # rounding does not add up


def test_shared_styles_belong_to_one_figure_and_are_said_once():
    one, other = drawn("f")[0], drawn("g")[0]
    said, asked = (re.findall(p, one) for p in (r"\.(f-\d+)\{", r'class="(f-\d+)"'))
    assert said and set(asked) == set(said) and len(said) == len(set(said))
    assert not set(said) & set(re.findall(r"\.(g-\d+)\{", other))
    assert one.count("#0f83c9") == 1


@pytest.mark.parametrize("reference", [r'href="#([^"]+)"', r"url\(#([^)]+)\)"])
def test_what_is_referred_to_keeps_its_id(reference):
    text, _ = drawn()
    wanted = set(re.findall(reference, text))
    assert wanted and wanted <= set(re.findall(r' id="([^"]+)"', text))


def test_numbered_ids_go_unless_something_refers_to_them():
    text = '<g id="a_1"/><g id="b_2"/><g id="named"/><use href="#b_2"/>'
    assert svg._without_idle_ids(text) == text.replace(' id="a_1"', "")
