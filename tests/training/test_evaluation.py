"""Training from scratch: recipe, resuming, cutout, drop-path, what is refused."""

import json

import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

from bench.cli import application
from bench.contracts import registry
from bench.training.asked import read
from bench.training.train import Evaluation, Recipe, cutout, epoch_of, evaluate

SMALL = ["data=digits", "data.size=96", "test=half", "batch=16", "cutout=2"]
TINY = [*SMALL, "space.channels=4", "space.layers=3"]
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|"


def call(*arguments):
    return CliRunner().invoke(application(), list(map(str, arguments)))


def test_the_command_trains_a_published_genotype_and_prints_json(tmp_path):
    sets = [part for text in TINY for part in ("--set", text)]
    done = call("evaluate", "DARTS_V2", "--epochs", 2, *sets, "--json", "-o", tmp_path)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["genotype"].startswith("Genotype(normal=[") and 0 <= found["accuracy"] <= 100
    assert [entry["epoch"] for entry in found["history"]] == [1, 2]
    assert (
        found["parameters"]
        == read("DARTS_V2", TINY, 0).network(read("DARTS_V2", TINY, 0).images()[0]).count()
    )
    kept = json.loads((tmp_path / "evaluation.json").read_text())
    assert kept.pop("checksum") and kept == found
    again = call("evaluate", "DARTS_V2", "--epochs", 2, *sets, "-o", tmp_path)
    assert "goes on after epoch 2" in again.stderr
    assert f"accuracy    {found['accuracy']:.2f} % of 48 test images" in again.stdout


def test_a_cell_of_nas_bench_201_is_trained_by_its_own_recipe():
    evaluation = read(CELL, [*SMALL, "space.channels=4", "space.cells=1", "epochs=2"], seed=0)
    assert evaluation.space.name == "nb201" and evaluation.recipe.lr == 0.1
    assert evaluation.recipe.auxiliary == 0 and evaluation.recipe.nesterov
    assert len(evaluate(evaluation)["history"]) == 2


def test_the_papers_sizes_are_the_default():
    evaluation = read("DARTS_V2", [], 0)
    assert (evaluation.space.channels, evaluation.space.layers) == (36, 20)
    recipe = evaluation.recipe
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.weight_decay) == (600, 96, 0.025, 3e-4)
    assert (recipe.drop_path, recipe.cutout, recipe.auxiliary, recipe.clip) == (0.2, 16, 0.4, 5)


def test_an_interrupted_training_ends_in_the_same_numbers(tmp_path, monkeypatch):
    evaluation = read("DARTS_V1", [*TINY, "epochs=3"], seed=1)
    whole = evaluate(evaluation)

    def until(asked, *rest):
        if rest[-1] == 2:
            raise KeyboardInterrupt
        return epoch_of(asked, *rest)

    monkeypatch.setattr("bench.training.train.epoch_of", until)
    with pytest.raises(KeyboardInterrupt):
        evaluate(evaluation, tmp_path)
    monkeypatch.setattr("bench.training.train.epoch_of", epoch_of)
    resumed = evaluate(evaluation, tmp_path)
    for result in (whole, resumed):
        for entry in result["history"]:
            entry.pop("seconds")
        result.pop("seconds")
    assert whole == resumed
    with pytest.raises(ValueError, match="belongs to run"):
        evaluate(read("DARTS_V1", [*TINY, "epochs=4"], seed=1), tmp_path)


def test_cutout_blanks_a_square_that_may_reach_over_the_border():
    images = torch.ones(400, 2, 8, 8)
    holes = cutout(images, 4, torch.Generator().manual_seed(0)) == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    sizes = holes[:, 0].sum((1, 2))
    assert sizes.max() == 16 and sizes.min() == 4  # in a corner only a quarter is inside
    rows = holes[:, 0].any(2).sum(1)
    assert torch.equal(rows * holes[:, 0].any(1).sum(1), sizes)  # it is a rectangle
    assert cutout(images, 0, torch.Generator()) is images


def test_drop_path_spares_identities_and_keeps_the_mean():
    space = registry.parse("spaces", {"name": "darts", "channels": 2, "layers": 3, "nodes": 1})
    network = space.standalone((3, 4, 3, 4), 3, 10, seed=0)
    cell = network.cells[0]  # node 2 = skip(0) + sep(1)
    x = torch.randn(3000, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    skip = cell.preprocess[0](x)
    plain = cell(x, x, 0.0, None) - skip
    dropped = cell(x, x, 0.25, torch.Generator().manual_seed(1)) - skip
    gone = (dropped.abs().amax((1, 2, 3)) < 1e-6).float().mean()
    assert float(gone) == pytest.approx(0.25, abs=0.03)
    kept = dropped.abs().amax((1, 2, 3)) >= 1e-6
    torch.testing.assert_close(dropped[kept], plain[kept] / 0.75, rtol=1e-3, atol=1e-4)


def test_the_auxiliary_head_is_the_original_on_8x8_features():
    space = registry.parse("spaces", {"name": "darts", "channels": 2, "layers": 3})
    network = space.standalone(space.decode("DARTS_V2"), 3, 10, seed=0, auxiliary=True)
    logits, auxiliary = network.both(torch.randn(4, 3, 32, 32))
    assert logits.shape == auxiliary.shape == (4, 10)
    head, x = network.auxiliary.eval(), torch.randn(2, 32, 8, 8)
    pooled = F.avg_pool2d(F.relu(x), 5, stride=3, count_include_pad=False)
    assert pooled.shape[-2:] == (2, 2)
    y = F.relu(head.norm1(F.conv2d(pooled, head.conv1.weight)))
    y = F.relu(head.norm2(F.conv2d(y, head.conv2.weight))).flatten(1)
    torch.testing.assert_close(head(x), F.linear(y, head.classifier.weight, head.classifier.bias))
    assert head(torch.randn(2, 32, 4, 4)).shape == (2, 10)
    assert network.eval().both(torch.randn(4, 3, 32, 32))[1] is None


def test_noise_trains_too():
    s4 = registry.parse("spaces", {"name": "darts", "preset": "s4", "channels": 2, "layers": 3})
    cell = s4.sample(1, torch.Generator().manual_seed(0))[0]
    data = registry.parse("data", {"name": "digits", "size": 64})
    recipe = Recipe(epochs=1, batch=16, test="half", cutout=0)
    first, second = (evaluate(Evaluation(s4, cell, data, recipe, 0)) for _ in range(2))
    assert first["loss"] == second["loss"]
    text = s4.encode(cell)
    assert read(text, ["space.preset=s4", "space.channels=2"], 0).architecture == cell


@pytest.mark.parametrize(
    ("text", "sets", "says"),
    [
        ("DARTS_V7", [], "known: DARTS_V1"),
        ("DARTS_V2", ["space.cells=3"], r"space.cells: unknown field"),
        (CELL, ["space.layers=3"], r"space.layers: unknown field"),
        ("DARTS_V2", ["space.name=nb201"], "3 nodes joined"),
        ("DARTS_V2", ["epocs=3"], "epocs: unknown field"),
        ("DARTS_V2", ["search.epochs=3"], "search: unknown field"),
        ("DARTS_V2", ["data=cifr10"], "did you mean 'cifar10'"),
    ],
)
def test_what_cannot_be_read_is_refused(text, sets, says):
    with pytest.raises(ValueError, match=says):
        read(text, sets, 0)


@pytest.mark.parametrize(
    ("field", "says"), [("drop_path=0.2", "do not drop"), ("auxiliary=0.4", "no auxiliary")]
)
def test_what_a_spaces_networks_do_not_have_is_refused(field, says):
    evaluation = read(CELL, [*SMALL, field], 0)
    with pytest.raises(ValueError, match=says):
        evaluation.network(evaluation.images()[0])
