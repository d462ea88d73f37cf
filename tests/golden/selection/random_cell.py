"""A cell drawn uniformly."""

from types import SimpleNamespace

from tests.golden.harness import NB201

SOURCE = "a control of this suite: every cell of the space is as likely"


def table(make):
    cells = [
        make().select(SimpleNamespace(space=NB201, seed=s), SimpleNamespace(step=0))
        for s in range(600)
    ]
    counts = [sum(cell[0] == o for cell in cells) / 600 for o in range(5)]
    yield (
        "each operation of an edge one in five times",
        all(abs(c - 0.2) < 0.06 for c in counts),
        True,
    )
    yield "one cell", [len(cells[0]), all(0 <= o < 5 for o in cells[0])], [6, True]


INERT = {"sample(1, draws)": "the first of however many are drawn"}
