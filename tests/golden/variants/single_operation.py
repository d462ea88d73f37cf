"""One operation on every edge, nothing learned."""

from tests.golden.harness import DARTS, NB201, at

SOURCE = (
    "a control of this suite: no paper defines it; the definition is its docstring's first line"
)


def table(make):
    yield "by default the skip", make().candidates(NB201, at()), [[1]] * 6
    yield "another one", make(only="nor_conv_3x3").candidates(NB201, at()), [[3]] * 6
    yield "in the DARTS space", make().candidates(DARTS, at())[27], [3]
    yield "α is not learned", make().updates_architecture(at()), False
    yield "nor does it mean anything", make.member.learns_architecture, False
