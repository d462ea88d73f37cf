"""The first three tenths with operations that have weights alone, α frozen."""

from tests.golden.harness import DARTS, NB201, at

SOURCE = (
    "a control of this suite: no paper defines it; the definition is its docstring's first line"
)


def table(make):
    variant = make()
    yield "convolutions alone", variant.candidates(NB201, at(14, 50)), [[2, 3]] * 6
    yield "then everything", variant.candidates(NB201, at(15, 50)), None
    yield "in the DARTS space", variant.candidates(DARTS, at())[0], [4, 5, 6, 7]
    learns = [e for e in range(50) if variant.updates_architecture(at(e, 50))]
    yield "α learns from epoch 15 of 50", learns, [*range(15, 50)]
