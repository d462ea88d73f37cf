"""The first fifth without weight steps."""

from tests.golden.harness import at

SOURCE = (
    "a control of this suite: no paper defines it; the definition is its docstring's first line"
)


def table(make):
    trains = [e for e in range(50) if make().updates_weights(at(e, 50))]
    yield "weights learn from epoch 10 of 50", trains, [*range(10, 50)]
    yield "whole epochs", make(epochs=3).updates_weights(at(2, 50)), False
    yield "α learns throughout", make().updates_architecture(at(0, 50)), True
