"""Composition: the order is the file's, limits intersect, contradictions are refused."""

import pytest
import torch

from bench.contracts import registry
from bench.contracts.variant import Variant
from bench.search.composition import Composition, ContradictionError

SPACE = registry.parse("spaces", {"name": "nb201", "channels": 4, "cells": 1})
ALPHA = {"alpha": torch.zeros(6, 5)}


class Add(Variant):
    name = "add"
    touches = ("skip_connect",)

    def mixture(self, weights, architecture, moment):
        return weights + 1

    def operation(self, y, site, moment):
        return y + 1

    def edge(self, y, x, site, architecture, moment):
        return y + 1

    def perturb(self, weights, loss, moment):
        return weights + 1


class Double(Add):
    name = "double"

    def mixture(self, weights, architecture, moment):
        return weights * 2

    def operation(self, y, site, moment):
        return y * 2

    def edge(self, y, x, site, architecture, moment):
        return y * 2

    def perturb(self, weights, loss, moment):
        return weights * 2


def test_transforms_are_chained_in_the_order_of_the_file(at):
    y = torch.full((1, 4, 2, 2), 3.0)
    for variants, expected in (([Add(), Double()], 8.0), ([Double(), Add()], 7.0)):
        composition = Composition(variants, SPACE)
        hooks = composition.hooks(ALPHA, at())
        assert hooks.operation(y, cell=0, edge=0, operation=1).unique().tolist() == [expected]
        assert hooks.edge(y, y, cell=0, edge=0).unique().tolist() == [expected]
        assert composition.perturb(y, lambda p: p.sum(), at()).unique().tolist() == [expected]
        mixture = composition.mixture(ALPHA, at())
        first = 0.2
        wanted = (first + 1) * 2 if variants[0].name == "add" else first * 2 + 1
        torch.testing.assert_close(mixture, torch.full((6, 5), wanted))


def test_the_file_order_reaches_the_composition(tmp_path):
    from pathlib import Path

    from bench.ablation.file import read_ablation

    text = (
        "question: q\ncontrast: {metric: skip_count, of: a, against: b}\nvariants:\n"
        "  a:\n    norm_on_weight_free: {}\n    skip_dropout: {}\n"
        "  b:\n    skip_dropout: {}\n    norm_on_weight_free: {}\n"
    )
    (tmp_path / "x.yaml").write_text(text)
    smoke = Path(__file__).parents[2] / "ablations" / "profiles" / "smoke.yaml"
    arms = read_ablation(tmp_path / "x.yaml", str(smoke)).arms
    names = [[v.name for v in arm.interventions] for arm in arms]
    assert names == [
        ["norm_on_weight_free", "skip_dropout"],
        ["skip_dropout", "norm_on_weight_free"],
    ]


def test_limits_intersect_and_updates_need_every_variant(at):
    class Early(Variant):
        name = "early"

        def candidates(self, space, moment):
            return [[1, 2, 3]] * 6

        def updates_weights(self, moment):
            return moment.epoch > 1

    class Late(Early):
        name = "late"

        def active(self, space, architecture, moment):
            return [[3, 4]] * 6

        def candidates(self, space, moment):
            return [[3, 2]] * 6

        def updates_weights(self, moment):
            return moment.epoch > 2

    composition = Composition([Early(), Late()], SPACE)
    assert composition.candidates(at()) == [[2, 3]] * 6
    assert composition.active(ALPHA, at()) == [[3]] * 6
    assert [composition.updates_weights(at(epoch=e)) for e in (1, 2, 3)] == [False, False, True]


@pytest.mark.parametrize(
    ("variants", "says"),
    [
        (["fair_darts", "drnas"], "fair_darts and drnas both replace softmax"),
        (["gdas", "uniform_sampling"], "gdas and uniform_sampling both draw the path"),
        (["uniform_sampling", "beta_darts"], "beta_darts acts on alpha, which uniform_sampling"),
        (["fair_sampling", "darts_plus"], "darts_plus acts on alpha"),
        (["operation_shrinking", "uniform_sampling"], "operation_shrinking acts on alpha"),
        (["sdarts_rs", "gdas"], "sdarts_rs perturbs a mixture, of which gdas runs one path"),
        (
            ["partial_channels", {"name": "drnas", "preset": "progressive"}],
            "partial_channels and drnas set the same supernet option 'partial'",
        ),
        ([{"name": "partial_channels", "K": 8}], "one in 8 channels .* space.channels is 4"),
    ],
)
def test_contradictions_are_refused_with_a_sentence(variants, says):
    with pytest.raises(ContradictionError, match=says):
        Composition([registry.parse("variants", v) for v in variants], SPACE)
