"""Genotypes as pages show them: read, drawn, shortened."""

import re
import xml.etree.ElementTree as ET

from bench.spaces.darts import Darts, drawing
from bench.spaces.darts.tables import PUBLISHED

SPACE = Darts()
V2 = PUBLISHED["DARTS_V2"]


def test_both_cells_are_drawn_edge_by_edge():
    svg = SPACE.draw(V2)
    root = ET.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    normal, reduce = root.findall(f"{space}g")
    for cell, words in (
        (normal, ["sep3"] * 5 + ["skip", "skip", "dil3"]),
        (reduce, ["max", "max", "skip", "max", "max", "skip", "skip", "max"]),
    ):
        assert len(cell.findall(f"{space}path")) == 8 and len(cell.findall(f"{space}circle")) == 6
        labels = [t.text for t in cell.findall(f"{space}text") if t.get("class") != "node"]
        assert labels == words
    place = [float(c.get("cx")) for c in normal.findall(f"{space}circle")]
    ends = [re.findall(r"-?\d+", p.get("d")) for p in normal.findall(f"{space}path")]
    read = [(place.index(float(e[0])), place.index(float(e[-2]))) for e in ends]
    assert read == [(0, 2), (1, 2), (0, 3), (1, 3), (1, 4), (0, 4), (0, 5), (2, 5)]


def test_nothing_leaves_the_drawing():
    far = V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 1)")
    numbers = [float(y) for y in re.findall(r'y="(-?[\d.]+)"', SPACE.draw(far))]
    assert min(numbers) >= 8 and max(numbers) <= drawing.HEIGHT - 3


def test_short_form():
    short = SPACE.short(V2)
    assert short.startswith(
        "normal sep3~0 sep3~1|sep3~0 sep3~1|sep3~1 skip~0|skip~0 dil3~2; reduce "
    )


def test_what_is_no_genotype_is_shown_as_it_is():
    for text in ("Genotype(normal=[])", "Genotype(", "x"):
        assert SPACE.draw(text) == f"<code>{text}</code>"
    wrong = V2.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 9)", 1)
    assert SPACE.draw(wrong).startswith("<code>")
