"""`bench new` writes members that keep their seam's promises; `check-member` finds those that do not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench import scaffold
from bench.ablation.yamlfile import loads
from bench.cli import application
from bench.contracts import registry
from bench.spaces.nb201 import cells


def call(*words: object):
    return CliRunner().invoke(application(), [str(word) for word in words])


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What members that read a file are given, in a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(scaffold.__file__).parents[2]))
    draws = np.random.default_rng(0)
    known = [cells.encode(cell) for cell in cells.unique()[:300]]
    worth = draws.uniform(80, 94, len(known)).round(2)
    lines = [f"{arch},{value}" for arch, value in zip(known, worth, strict=True)]
    Path("t.csv").write_text("arch,accuracy\n" + "\n".join(lines))
    images = draws.integers(0, 256, (120, 8, 8), dtype=np.uint8)
    np.savez("i.npz", images=images, labels=np.arange(120) % 10)
    return {"truth": ["--set", "path=t.csv"], "data": ["--set", "path=i.npz"]}


def test_there_is_a_beginning_for_every_seam():
    assert scaffold.seams() == sorted(registry.SEAMS)


@pytest.mark.parametrize("seam", sorted(registry.SEAMS))
def test_what_new_writes_keeps_every_promise(seam, files):
    name = f"my_{registry.singular(seam)}"
    assert call("new", registry.singular(seam), name).exit_code == 0
    path = Path("plugins") / f"{name}.py"
    text = path.read_text()
    assert max(map(len, text.splitlines())) <= 100
    done = call("check-member", path, *files.get(seam, []))
    assert done.exit_code == 0, done.stdout
    assert done.stdout.count("\nok ") >= 3 and "FAILED" not in done.stdout


BROKEN = {
    "says where": ("variants", 'paper: ClassVar[str] = "own"', 'paper: ClassVar[str] = ""'),
    "off is plain": ("variants", '{"strength": 0.0}', '{"strength": 0.5}'),
    "global stream": ("variants", "(architecture", "torch.rand(()) * (architecture"),
    "goes on bit for bit": (
        "variants",
        "return self.strength",
        "SEEN.append(0)\n        return 0.01 * len(SEEN) * self.strength",
    ),
    "leaves the state": (
        "selection",
        "(state).clone()",
        "(state).zero_()\n        state.memory['x'] = 1",
    ),
    "ends where one without": (
        "instruments",
        "largest =",
        "state.architecture['alpha'].data += 1\n        largest =",
    ),
    "declared numbers": ("instruments", 'return {"', 'return {"x": 1.0, "'),
    "exact where": ("hypergradients", "is None else one", "is None else 2 * one"),
    "linear in": ("hypergradients", "name: -self.a * one", "name: -self.a * one**2"),
    "percentages": ("truth", 'float(row["accuracy"])', 'float(row["accuracy"]) / 100'),
    "twice gives the same": (
        "truth",
        "hashlib.sha256(content)",
        "hashlib.sha256(__import__('os').urandom(9))",
    ),
    "as they must be": ("data", ".long()", ".int()"),
    "its budget": ("blackbox", "while True:", "for _ in range(5):"),
    "on its seed": ("blackbox", "rng.integers(choices[edge])", "np.random.randint(choices[edge])"),
    "each once": ("executors", "or Outcome(status)", "or Outcome.FAILED"),
    "is the cell's network": ("spaces", "mixture[edge, o] * y", "mixture[edge, o] * y * 2"),
    "are written and read": ("spaces", "OPERATIONS.index(word)", "len(word) % 4"),
    "depend on the seed": ("spaces", "torch.manual_seed(seed)", "torch.manual_seed(0)"),
}


@pytest.mark.parametrize("promise", BROKEN)
def test_a_promise_that_is_not_kept_is_named(promise, files):
    seam, good, bad = BROKEN[promise]
    text = scaffold.member(seam, "my_member")
    assert good in text
    text = text.replace(good, bad).replace(
        "from pydantic import Field", "import torch\nfrom pydantic import Field"
    )
    head, future, rest = text.partition("from __future__ import annotations\n")
    Path("my_member.py").write_text(f"{head}{future}\nSEEN: list[int] = []\n{rest}")
    done = call("check-member", "my_member.py", *files.get(seam, []), "--json")
    assert done.exit_code == 1, done.stdout
    failed = [f["promise"] for f in json.loads(done.stdout) if f["broken"]]
    assert any(promise in one for one in failed), failed


def test_a_parameter_that_is_missing_is_a_wrong_use(files):
    assert call("new", "truth", "my_truth").exit_code == 0
    done = call("check-member", "plugins/my_truth.py")
    assert isinstance(done.exception, ValueError) and "path" in str(done.exception)


def test_new_prints_the_ablation_that_asks_about_a_variant(files):
    done = call("new", "variant", "my_variant")
    document = loads(done.stdout, Path("x.yaml")).data
    assert document["plugins"] == "plugins/my_variant.py"
    assert document["variants"]["my_variant"] == {"my_variant": {"strength": 1.0}}


@pytest.mark.parametrize("name", ["Skip", "1st", "a-b", "a b", "../x", "_x", "class", "", "é"])
def test_bad_names_are_refused(name, files):
    assert call("new", "variant", name).exit_code != 0 and not Path("plugins").exists()


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("variant", "skip_dropout", "already"),
        ("variant", "search", "a setting of a run"),
        ("variant", "nb201", "a space already"),
        ("variants", "true", "a word of YAML"),
        ("varient", "x", "did you mean 'variant"),
    ],
)
def test_names_that_mean_something_are_refused(kind, name, said, files):
    done = call("new", kind, name)
    assert said in str(done.exception) and not Path("plugins").exists()


def test_nothing_is_written_over(files):
    assert call("new", "space", "my_space").exit_code == 0
    assert "is there already" in str(call("new", "space", "my_space").exception)
