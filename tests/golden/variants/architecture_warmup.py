"""The first epochs in which α is frozen."""

from tests.golden.harness import at

SOURCE = (
    "PC-DARTS, train_search.py (`if epoch >= 15`, 50 epochs); P-DARTS, train_search.py "
    "(eps_no_archs = 10 of 25 epochs); DARTS-PT, blank-proj-201.sh (α is never trained)"
)


def begins(variant, epochs):
    return [variant.updates_architecture(at(e, epochs)) for e in range(epochs)].index(True)


def table(make):
    yield "PC-DARTS: first epoch with α of 50", begins(make("paper"), 50), 15
    yield "P-DARTS: first epoch with α of 25", begins(make("pdarts"), 25), 10
    fixed = make("fixed_alpha")
    yield "DARTS-PT: α of the last epoch", fixed.updates_architecture(at(49, 50)), False
    yield "by default as PC-DARTS", begins(make(), 50), 15
    yield "whole epochs from 1 on", begins(make(epochs=1), 50), 1
    yield "and 7 are 7", begins(make(epochs=7), 50), 7
