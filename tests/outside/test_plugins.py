"""Members of the user's own: found wherever they are named, recorded, and loaded only then."""

from __future__ import annotations

import json
import shutil
import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.ablation.file import read_ablation
from bench.ablation.yamlfile import ConfigError
from bench.cli import application
from bench.contracts import plugins, registry
from bench.contracts.executor import Job
from bench.runs import sources, store
from bench.runs.spec import RunSpec, plan
from bench.search.settings import Settings


def call(*words: object):
    return CliRunner().invoke(application(), [str(word) for word in words])


def test_an_ablation_with_a_plugin_runs_in_worker_processes_and_is_recorded(outside, bench):
    words = ["--profile", "smoke", "--seeds", "1", "--set", "ranking=null", "--only", "my_penalty"]
    bench("run", "mine.yaml", *words, "--executor", "processes")
    (folder,) = (outside / "results/runs/mine-smoke").glob("my_penalty-*")
    result = store.read_result(folder)
    assert result["status"] == "ok"
    assert result["provenance"]["plugins"] == {"variants/my_penalty": "my_penalty.py"}
    then = result["provenance"]["sources"]["variants/my_penalty"]
    plugins.use(Path("plugins"))
    root = folder.parent
    sources.source.cache_clear()
    assert sources.outdated(root, {folder.name}) == {}
    # A helper is part of the source: with another one the result is said to be of other code.
    (outside / "plugins" / "_helper.py").write_text("def twice(x):\n    return 3 * x\n")
    sources.source.cache_clear()
    assert sources.outdated(root, {folder.name}) == {"my_penalty.py": [folder.name]}
    assert sources.source("variants/my_penalty") not in ("", then)


def test_the_option_and_the_variable_name_files_and_folders(outside, monkeypatch):
    assert call("show", "my_penalty").exception is not None
    assert "Adds strength" in call("show", "my_penalty", "--plugins", "plugins").stdout
    monkeypatch.setenv(plugins.VARIABLE, str(outside / "plugins" / "my_penalty.py"))
    assert "my_penalty" in json.loads(call("list", "--json").stdout)["variants"]
    entry = {e["name"]: e for e in json.loads(call("list", "variants", "--json").stdout)}
    assert entry["my_penalty"]["parameters"] == ["strength"]


def installed(place: Path, group: str = "bench.variants") -> None:
    """Lay out an installed distribution with an entry point."""
    (place / "their_package").mkdir(parents=True)
    (place / "their_package" / "__init__.py").touch()
    text = VARIANT_ALONE.replace("MyPenalty", "TheirPenalty")
    (place / "their_package" / "their_penalty.py").write_text(text)
    info = place / "their_package-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.2\n")
    entry = "their_penalty = their_package.their_penalty"
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")


VARIANT_ALONE = '''from bench.variants import Variant
from pathlib import Path
Path("loaded").touch()


class MyPenalty(Variant):
    """Changes nothing at all in the search."""

    paper = "own"
'''


def test_an_installed_package_adds_members_by_entry_points(tmp_path, bench):
    installed(tmp_path / "site")
    found = bench("list", "--json", PYTHONPATH=f"{Path(__file__).parents[2]}:{tmp_path / 'site'}")
    assert "their_penalty" in json.loads(found.stdout)["variants"]
    assert not (tmp_path / "loaded").exists()  # named, not imported


def test_where_an_installed_member_comes_from_is_told(tmp_path, monkeypatch):
    installed(tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site")
    plugins._installed.cache_clear()
    try:
        assert sources.outside(
            {"engine": "", "variants/their_penalty": "", "spaces/nb201": ""}
        ) == {"variants/their_penalty": "their-package 1.2"}
    finally:
        plugins._installed.cache_clear()
        sys.modules.pop("their_package.their_penalty", None)


def test_what_lies_in_the_working_folder_is_not_installed(tmp_path, bench):
    installed(tmp_path)  # python -m puts the working folder on the path
    assert "their_penalty" not in bench("list").stdout


@pytest.fixture
def foreign(tmp_path, monkeypatch) -> Path:
    """A folder of somebody else's: a run of a variant that is not known here, and its code beside."""
    root = tmp_path / "foreign"
    (root / "plugins").mkdir(parents=True)
    code = VARIANT_ALONE.replace("MyPenalty", "Evil")
    for place in (root, root / "plugins"):
        (place / "evil.py").write_text(code)
    (root / "mine.yaml").write_text("plugins: evil.py\n")
    (tmp_path / "evil.py").write_text(code)
    settings = Settings.model_validate({"space": "nb201", "data": "digits", "ranking": None})
    spec = RunSpec(ablation="mine", label="evil", seed=0, variants=(), settings=settings)
    content = spec.model_dump(mode="json")
    content["variants"] = [{"name": "evil", "plugins": "evil.py"}]
    folder = root / "evil-seed0-0123456789abcdef"
    folder.mkdir()
    store.write_json(folder / store.SPEC, store.seal(content))
    result = {"status": "ok", "label": "evil", "seed": 0, "digest": "0123456789abcdef"}
    result["provenance"] = {
        "plugins": {"variants/evil": "evil.py"},
        "sources": {"variants/evil": "1"},
    }
    store.write_json(folder / store.RESULT, store.seal(result))
    arm = {"label": "evil", "variants": [{"name": "evil"}], "settings": content["settings"]}
    manifest = {
        "question": "?",
        "contrast": {"metric": "skip_count", "of": "evil", "against": "evil"},
        "arms": [arm],
        "runs": [folder.name],
        "plugins": ["evil.py"],
    }
    store.write_json(root / "ablation.json", store.seal(manifest))
    monkeypatch.chdir(root)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "status {root}",
        "report {root}",
        "compare evil evil --in {root}",
        "verdict {root}",
        "signals {root}",
        "rank {run}",
        "select {run}",
        "retry {root}",
        "gc {root}",
        "export parquet {root}",
    ],
)
def test_somebody_elses_folder_makes_no_code_load(words, foreign):
    call(*words.format(root=foreign.parent, run=foreign).split())
    assert not list(foreign.parent.parent.rglob("loaded"))
    assert not [name for name in sys.modules if name.endswith(".evil")]


def test_the_same_folder_does_once_the_code_is_named(foreign):
    """The test above can fail: what is looked for is there when the user says so."""
    call("show", "evil", "--plugins", foreign.parent / "evil.py")
    assert (foreign.parent / "loaded").exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("broken.py", "import nothing_of_the_kind\n", r"broken.py:1: ModuleNotFoundError"),
        ("broken.py", "x = 1\n\ndef f(:\n", r"broken.py:3: SyntaxError"),
        ("empty.py", "x = 1\n", r"empty.py:1: holds 0 members"),
        ("skip_dropout.py", VARIANT_ALONE, r"skip_dropout.py:1: there is a variant 'skip_dropout'"),
        ("two.py", VARIANT_ALONE + VARIANT_ALONE.replace("MyP", "P"), r"two.py:1: holds 2 members"),
        ("No-Name.py", VARIANT_ALONE, r"'No-Name' is no name"),
    ],
)
def test_a_plugin_that_cannot_be_one_is_a_line_with_file_and_line(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    found = call("list", "variants", "--plugins", tmp_path / name)
    assert isinstance(found.exception, ValueError)
    assert "\n" not in str(found.exception)
    with pytest.raises(ValueError, match=said):
        raise found.exception


@pytest.mark.parametrize("path", ["nowhere", "nowhere.py", "."])
def test_a_place_without_members_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(plugins.PluginError, match=r"--plugins .*: (no such|holds no)"):
        plugins.use(Path(path))


@pytest.mark.parametrize("said", ["../elsewhere.py", "/etc/passwd", "link.py"])
def test_a_file_names_only_what_lies_beside_it(said, outside):
    elsewhere = outside.parent / "elsewhere.py"
    elsewhere.write_text(VARIANT_ALONE)
    (outside / "link.py").symlink_to(elsewhere)
    text = (outside / "mine.yaml").read_text().replace("plugins: plugins", f"plugins: {said}")
    (outside / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"mine.yaml:3: plugins: .* is not beside the file"):
        read_ablation(outside / "mine.yaml", "smoke")
    assert not (outside / "loaded").exists()


def test_slurm_jobs_are_told_what_was_named(outside, monkeypatch):
    from bench.executors.slurm import Slurm

    plugins.use(Path("plugins"))
    told: dict[str, object] = {}

    class Executor:
        def __init__(self, **options: object) -> None: ...

        def update_parameters(self, **options: object) -> None:
            told.update(options)
            raise KeyboardInterrupt

    core = types.SimpleNamespace(utils=types.SimpleNamespace(FailedJobError=RuntimeError))
    fake = types.SimpleNamespace(SlurmExecutor=Executor, core=core)
    monkeypatch.setitem(sys.modules, "submitit", fake)
    (spec, *_) = plan(read_ablation(outside / "mine.yaml", "smoke"))
    with pytest.raises(KeyboardInterrupt):
        Slurm()._array([Job(spec=spec, folder=outside / spec.folder)], "cpu", 1)
    assert f"export BENCH_PLUGINS={outside / 'plugins'}" in told["setup"]


def test_a_folder_is_a_member_too(tmp_path):
    """A space may need several files; it is called like its folder."""
    shutil.copytree(Path(registry.__file__).parents[1] / "spaces" / "nb201", tmp_path / "my_nb")
    for file in (tmp_path / "my_nb").glob("*.py"):
        file.write_text(file.read_text().replace("bench.spaces.nb201", __name__ + "_none"))
    text = (tmp_path / "my_nb" / "__init__.py").read_text()
    text = text.replace(
        f"from {__name__}_none import cells, drawing", "from . import cells, drawing"
    )
    (tmp_path / "my_nb" / "__init__.py").write_text(text)
    (tmp_path / "my_nb" / "drawing.py").write_text("")
    plugins.use(tmp_path / "my_nb")
    space = registry.parse("spaces", {"name": "my_nb", "channels": 4})
    assert space.name == "my_nb" and space.decode(space.encode((0, 1, 2, 3, 4, 0)))
    assert len(plugins.files(registry.located("spaces", "my_nb"))) > 5
