"""The two published protocols of a search on NAS-Bench-201, from profile and command line."""

from pathlib import Path

import pytest

from bench.ablation.file import read_ablation
from bench.search.settings import SEARCHES, Settings

ABLATIONS = Path(__file__).parents[2] / "ablations"
# AutoDL-Projects, configs/nas-benchmark/algos/DARTS.config and exps/algos/DARTS-V1.py.
AUTODL = {
    "epochs": 50,
    "batch": 64,
    "order": "weights_first",
    "precision": "float32",
    "weights": {
        "lr": 0.025,
        "lr_min": 0.001,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 5e-4,
        "clip": 5.0,
        "unused": "decay",
    },
    "architecture": {"lr": 3e-4, "betas": (0.5, 0.999), "weight_decay": 1e-3, "initial": 1e-3},
}
# SmoothDARTS, nasbench201/train_search.py (arguments, SGD, the architect's step before the weights') and
# optimizers/darts/architect.py; nasbench201/model.py (track_running_stats=True).
SDARTS = {
    "epochs": 100,
    "batch": 64,
    "order": "architecture_first",
    "precision": "float32",
    "weights": {
        "lr": 0.025,
        "lr_min": 0.001,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 3e-4,
        "clip": 5.0,
        "unused": "decay",
    },
    "architecture": {"lr": 3e-4, "betas": (0.5, 0.999), "weight_decay": 1e-3, "initial": 1e-3},
}
PUBLISHED = {"autodl": (AUTODL, False), "sdarts": (SDARTS, True)}


def resolved(**said):
    return Settings.model_validate({"space": "nb201", "data": "digits", **said})


@pytest.mark.parametrize("preset", SEARCHES)
def test_a_preset_is_the_published_protocol(preset):
    found = resolved(search={"preset": preset})
    search, running = PUBLISHED[preset]
    assert found.search.model_dump() == {"preset": preset, **search}
    assert found.space.running_statistics is running


def test_what_stands_beside_it_wins_and_it_is_read_back_the_same():
    found = resolved(
        search={"preset": "sdarts", "epochs": 7, "weights": {"nesterov": True, "lr": 0.1}},
        space={"name": "nb201", "running_statistics": False},
    )
    assert (found.search.epochs, found.search.order) == (7, "architecture_first")
    assert (found.search.weights.nesterov, found.search.weights.weight_decay) == (True, 3e-4)
    assert not found.space.running_statistics
    for settings in (found, resolved(search={"preset": "sdarts"})):
        assert Settings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("profile", ["smoke", "quick", "laptop", "paper"])
def test_one_set_gives_it_at_every_scale(profile):
    def settings(*sets):
        file = ABLATIONS / "smoothing.yaml"
        return read_ablation(file, profile, list(sets)).arms[0].settings

    plain, other = settings(), settings("search.preset=sdarts")
    assert (plain.space.running_statistics, other.space.running_statistics) == (False, True)
    assert other.search.order == "architecture_first" and not other.search.weights.nesterov
    assert other.search.weights.weight_decay == 3e-4
    stated = {"smoke": 2, "quick": 12, "laptop": 8}
    assert other.search.epochs == stated.get(profile, 100)
    assert plain.search.epochs == stated.get(profile, 50)
    assert other.space.channels == plain.space.channels
    assert other.search.architecture == plain.search.architecture


# RobustDARTS, src/search/args.py (batch 64, learning rate 0.025 to 0.001, momentum 0.9, weight decay 3e-4,
# clip 5, 50 epochs, 8 layers, 16 channels, arch 3e-4 and 1e-3) and scripts/*.sh (all with --unrolled).
ROBUSTDARTS = {
    "epochs": 50, "batch": 64, "order": "architecture_first",
    "weights": {"lr": 0.025, "lr_min": 0.001, "momentum": 0.9, "nesterov": False,
                "weight_decay": 3e-4, "clip": 5.0},
    "architecture": {"lr": 3e-4, "betas": (0.5, 0.999), "weight_decay": 1e-3},
}  # fmt: skip


@pytest.mark.parametrize("space", ["s1", "s2", "s3", "s4"])
def test_the_paper_profile_of_the_darts_space_is_robustdarts_second_order_search(space):
    asked = read_ablation(ABLATIONS / f"darts_space/{space}.yaml", "paper", [])
    (plain,) = (arm.settings for arm in asked.arms if arm.label == "darts")
    assert plain.hypergradient.name == "darts_second_order"
    assert (plain.space.channels, plain.space.layers) == (16, 8)
    assert plain.space.running_statistics
    found = plain.search.model_dump()
    for part, published in ROBUSTDARTS.items():
        if isinstance(published, dict):
            assert {key: found[part][key] for key in published} == published, part
        else:
            assert found[part] == published, part
    for arm in asked.arms:
        assert arm.settings.hypergradient.name == "darts_second_order", arm.label
