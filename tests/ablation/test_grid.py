"""The factorial syntax: every combination is an arm, errors name file, line and field."""

from pathlib import Path

import pytest

from bench.ablation.file import read_ablation
from bench.ablation.yamlfile import ConfigError
from bench.runs.spec import plan

SMOKE = str(Path(__file__).parents[2] / "ablations" / "profiles" / "smoke.yaml")
GRID = """\
question: Do they help each other?
contrast: {metric: skip_count, of: partial+drop+short, against: plain}
variants:
  plain: {}
grid:
  channels:
    full: {}
    partial: {partial_channels: {preset: paper, K: 2}}
  skips:
    keep: {}
    drop: {skip_dropout: {rate: 0.3}}
  length:
    short: {search: {epochs: 3, weights: {lr: 0.1}}}
    long: {search: {epochs: 5}}
"""


def read(tmp_path, text, **options):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return read_ablation(path, SMOKE, **options)


def test_every_combination_is_an_arm_in_the_order_of_the_factors(tmp_path):
    ablation = read(tmp_path, GRID)
    labels = [arm.label for arm in ablation.arms]
    assert (
        labels[0] == "plain"
        and len(labels) == 9
        and labels[1:3]
        == [
            "full+keep+short",
            "full+keep+long",
        ]
    )
    by_label = {arm.label: arm for arm in ablation.arms}
    both = by_label["partial+drop+long"]
    assert [v.name for v in both.interventions] == ["partial_channels", "skip_dropout"]
    assert both.interventions[0].K == 2 and both.interventions[0].warmup == 0.3
    assert both.settings.search.epochs == 5 and both.settings.search.weights.lr == 0.025
    assert by_label["full+keep+short"].settings.search.weights.lr == 0.1
    assert by_label["full+keep+short"].settings.search.architecture.lr == 3e-3  # the profile's


def test_seeds_are_paired_over_all_arms(tmp_path):
    runs = plan(read(tmp_path, GRID, seeds="2"))
    assert len(runs) == 18 and len({run.digest for run in runs}) == 18
    assert {run.seed for run in runs if run.label == "full+drop+long"} == {0, 1}


def test_a_grid_may_stand_alone(tmp_path):
    text = GRID.replace("variants:\n  plain: {}\n", "").replace(
        "against: plain", "against: full+keep+long"
    )
    assert len(read(tmp_path, text).arms) == 8


def test_later_factors_win_over_earlier_ones_in_settings(tmp_path):
    text = GRID.replace(
        "    drop: {skip_dropout: {rate: 0.3}}", "    drop: {search: {epochs: 9, batch: 16}}"
    )
    arm = {a.label: a for a in read(tmp_path, text).arms}["full+drop+long"]
    assert (arm.settings.search.epochs, arm.settings.search.batch) == (5, 16)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("rate: 0.3", "rate: 3", 11, "grid.skips.drop.skip_dropout.rate"),
        (
            "{skip_dropout: {",
            "{skip_droput: {",
            11,
            "grid.skips.drop: unknown variant 'skip_droput'; did you mean",
        ),
        ("epochs: 5", "epochs: 0", 14, "search.epochs"),
        ("epochs: 5", "epoch: 5", 14, "search.epoch: unknown field"),
        (
            "preset: paper",
            "preset: papr",
            8,
            "grid.channels.partial.partial_channels.preset: unknown preset 'papr'",
        ),
        ("preset: paper", "preset: [1]", 8, "unknown preset"),
        ("against: plain", "against: full", 2, "contrast.against: no variant 'full'"),
        ("  plain: {}", "  full+keep+short: {}", 13, "grid: 'full+keep+short' is there twice"),
        (
            "    keep: {}",
            "    keep: {partial_channels: {}}",
            10,
            "'partial_channels' is in two factors",
        ),
        (
            "    keep: {}",
            "    keep: {drnas: {preset: progressive}}",
            13,
            "grid.partial+keep+short: partial_channels and drnas",
        ),
        ("    keep: {}", "    ke/ep: {}", 13, "is no label"),
        (
            "  channels:\n    full: {}\n    partial: {partial_channels: {preset: paper, K: 2}}",
            "  channels: {}",
            6,
            "grid.channels: Dictionary should have at least 1 item",
        ),
        (
            "  length:\n",
            "  length:\n" + "".join(f"    n{i}: {{}}\n" for i in range(99)),
            5,
            "404 combinations; at most 256",
        ),
        ("grid:", "grd:", 5, "grd: unknown field"),
    ],
)
def test_malformed_grids_are_one_line_naming_file_line_and_field(tmp_path, old, new, line, says):
    assert old in GRID
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, GRID.replace(old, new, 1))
    message = str(caught.value)
    assert "\n" not in message and says in message, message
    assert message.startswith(f"{tmp_path / 'x.yaml'}:{line}: "), message


def test_the_overview_holds_the_families_of_the_literature():
    path = Path(SMOKE).parents[1] / "family_overview.yaml"
    arms = read_ablation(path, SMOKE).arms
    used = {variant.name for arm in arms for variant in arm.interventions}
    assert len(used) >= 20 and {arm.label for arm in arms} >= {"darts", "darts_pt"}
