"""What an arm asks for in multiples of the profile's."""

import pytest

from bench.ablation.yamlfile import ConfigError

from .test_config import GOOD, read


def arm(tmp_path, said, **options):
    text = GOOD.replace("search: {epochs: 7}", said)
    return read(tmp_path, text, **options).arms[1].settings


@pytest.mark.parametrize(("said", "times"), [("5x", 5), ("2.5x", 2.5), ("1x", 1)])
def test_it_multiplies_what_the_others_have(tmp_path, said, times):
    settings = arm(tmp_path, f"search: {{epochs: {said}}}", sets=["search.epochs=6"])
    assert settings.search.epochs == 6 * times


def test_a_default_that_no_file_says_is_multiplied_too(tmp_path):
    found = arm(tmp_path, "search: {weights: {lr: 4x}}").search.weights
    assert found.lr == pytest.approx(0.1)
    assert found.momentum == 0.9


def test_neighbours_in_the_same_mapping_stay(tmp_path):
    found = arm(tmp_path, "search: {epochs: 3x, batch: 8}", sets=["search.epochs=2"]).search
    assert (found.epochs, found.batch) == (6, 8)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("search: {epoch: 5x}", "search.epoch"),  # no such setting: nothing to multiply
        ("search: {order: 5x}", "search.order"),
        ("search: {epochs: 5y}", "search.epochs"),
        ("search: {weights: {nesterov: 2x}}", "search.weights.nesterov"),
    ],
)
def test_what_cannot_be_multiplied_is_one_line(tmp_path, said, field):
    with pytest.raises(ConfigError) as error:
        arm(tmp_path, said)
    assert str(error.value).startswith(f"{tmp_path / 'x.yaml'}:8: {field}")
    assert "\n" not in str(error.value)
