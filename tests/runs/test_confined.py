"""Paths that lead out of the project, through ``..`` and links: nothing is written outside."""

import json
import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from bench.ablation.file import read_ablation
from bench.ablation.yamlfile import ConfigError
from bench.cli import application
from bench.executors.inline import Inline
from bench.runs import store
from bench.runs.campaign import Campaign
from bench.runs.spec import RunSpec, default_output
from tests.executors.common import FILE, ROOT, listing, specs

OUT = (
    "..",
    "../x",
    "../../x",
    "a/../../x",
    "/x",
    "/tmp/x",
    "./../x",
    "a/b",
    "a\\..\\x",
    ".",
    "~/x",
    "..%2fx",
    "x/",
    "//x",
    "a/./b",
    "\u2025/x",
    "\uff0e\uff0e/x",
    "a\0b",
    "a\n../x",
    "-rf",
    "",
)

MANIFEST = {"question": "q", "contrast": {"metric": "tau", "of": "a", "against": "b"}, "arms": []}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a project folder to work in, with something outside that must not change."""
    outside, project = tmp_path / "outside", tmp_path / "project"
    outside.mkdir()
    (outside / "precious").write_text("as it was")
    project.mkdir()
    monkeypatch.chdir(project)
    yield project
    found = sorted(p.relative_to(tmp_path).parts[0] for p in tmp_path.iterdir())
    assert found == ["outside", "project"]
    assert [p.name for p in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "as it was"


@pytest.mark.parametrize("label", OUT)
def test_21_labels_that_lead_out_are_refused_in_files_and_in_specifications(project, label):
    data = {
        "question": "q",
        "contrast": {"metric": "tau", "of": "b", "against": label},
        "variants": {label: {}, "b": {}},
    }
    file = project / "x.yaml"
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match="no label"):
        read_ablation(file, str(ROOT / "ablations/profiles/smoke.yaml"))
    (run,) = specs()
    with pytest.raises(ValueError, match="label"):
        RunSpec.model_validate({**run.model_dump(mode="json"), "label": label})
    # And where validation was gone around:
    forged = run.model_copy(update={"label": label})
    if "/" in label:
        with pytest.raises(ValueError, match=r"leads out|null byte"):
            Campaign(project / "out", [forged]).run(Inline(), interval=0.01)


@pytest.mark.parametrize("name", ["../..", "../x", "/tmp/x", "a/b"])
def test_4_manifests_that_name_folders_elsewhere_are_refused(project, name):
    (project / "ablation.json").write_text(json.dumps({**MANIFEST, "runs": [f"{name}-seed0-ab"]}))
    for command in ("status", "retry", "gc"):
        done = CliRunner().invoke(application(), [command, "."])
        assert isinstance(done.exception, ValueError)
        assert "not the name of a run folder" in str(done.exception)


def link_everything(where, outside):
    """Put links in the place of every file that a run writes."""
    where.mkdir(parents=True)
    for name in (*store.FILES, ".lock"):
        (where / name).symlink_to(outside / "precious" if name != ".lock" else outside / "new")


def test_7_links_in_the_place_of_files_are_replaced_not_followed(project):
    outside = project.parent / "outside"
    (run,) = specs()
    folder = project / "out" / run.folder
    link_everything(folder, outside)
    (project / "out" / ".index.json").symlink_to(outside / "precious")
    campaign = Campaign(project / "out", [run])
    campaign.run(Inline(), interval=0.01)
    assert campaign.ended == {folder: "ok"}
    assert len(listing(project / "out")) == 1
    assert not any(path.is_symlink() for path in (project / "out").rglob("*"))


def test_a_link_in_the_place_of_a_run_folder_is_refused(project):
    (run,) = specs()
    (project / "out").mkdir()
    for target in (project.parent / "outside", project, Path("..")):
        (project / "out" / run.folder).symlink_to(target)
        with pytest.raises(ValueError, match="leads out of"):
            Campaign(project / "out", [run]).run(Inline(), interval=0.01)
        (project / "out" / run.folder).unlink()


@pytest.mark.parametrize("where", ["results", "results/runs", "results/runs/skip_dropout-smoke"])
def test_3_default_outputs_behind_links_are_refused(project, where):
    (project / where).parent.mkdir(parents=True, exist_ok=True)
    (project / where).symlink_to(project.parent / "outside")
    words = ["run", str(FILE), "-p", "smoke", "--seeds", "1", "--executor", "inline"]
    done = CliRunner().invoke(application(), words)
    assert isinstance(done.exception, ValueError) and "name it with --output" in str(done.exception)


@pytest.mark.parametrize(
    "stem", [".", "..", "...", "a b", "a\n#b", "$(touch x)", "-rf", "a" * 65, "ä"]
)
def test_9_names_of_ablation_files_and_profiles_that_are_none_are_refused(project, stem):
    profile = ROOT / "ablations/profiles/smoke.yaml"
    (project / f"{stem}.yaml").write_text(FILE.read_text())
    with pytest.raises(ConfigError, match=r"the file: .* cannot be a name"):
        read_ablation(project / f"{stem}.yaml", str(profile))
    (project / f"{stem}.yaml").write_text(profile.read_text())
    with pytest.raises(ConfigError, match=r"--profile: .* cannot be a name"):
        read_ablation(FILE, str(project / f"{stem}.yaml"))


def test_names_of_ablation_files_stay_inside(project):
    name = "a..yaml"
    (project / name).write_text(FILE.read_text())
    ablation = read_ablation(project / name, str(ROOT / "ablations/profiles/smoke.yaml"))
    root = default_output(ablation)
    assert root.parent == Path("results/runs")
    assert root.resolve().parent == (project / "results/runs").resolve()


def test_an_output_that_is_named_may_be_anywhere(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "out"
    words = ["run", str(FILE), "-p", "smoke", "--seeds", "1", "--executor", "inline"]
    words += ["--only", "darts", "--only", "skip_dropout_0.3", "-o", str(elsewhere)]
    done = CliRunner().invoke(application(), words)
    assert done.exit_code == 0, done.exception
    assert len(listing(elsewhere)) == 2
    assert not list(project.iterdir())


def test_gc_deletes_no_link_s_target(project):
    outside = project.parent / "outside"
    (run,) = specs()
    root = project / "out"
    campaign = Campaign(root, [run])
    campaign.run(Inline(), interval=0.01)
    (root / "ablation.json").write_text(json.dumps({**MANIFEST, "runs": [run.folder]}))
    os.symlink(outside, root / "old-seed0-ffffffffffffffff")
    os.symlink(outside, root / "slurm")
    (root / run.folder / store.CHECKPOINT).unlink()
    os.symlink(outside / "precious", root / run.folder / store.CHECKPOINT)
    done = CliRunner().invoke(application(), ["gc", str(root), "--delete", "--foreign"])
    assert done.exit_code == 0 and not os.path.lexists(root / run.folder / store.CHECKPOINT)
