"""What is printed can be read: in any encoding, in a pipe, and by a shell that it is copied into."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import terminal
from bench.commands.new import new
from bench.spaces.darts import Darts
from bench.spaces.darts.tables import PUBLISHED

ROOT = Path(__file__).parents[2]


def bench(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    path = os.environ.get("PYTHONPATH", "")
    return subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{path}", **environment},
        capture_output=True,
        timeout=300,
    )


def test_a_terminal_that_lacks_a_letter_gets_a_question_mark():
    done = bench("show", "skip_dropout", PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr
    done = bench("list", "hypergradients", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and b"first_order" in done.stdout


def test_commands_to_copy_are_quoted():
    assert terminal.command("retry", "my out") == "python -m bench retry 'my out'"


def test_a_pipe_is_wide_and_columns_are_honoured(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal.console().width == terminal.PIPED_WIDTH
    monkeypatch.setenv("COLUMNS", "60")
    assert terminal.console().width == 60


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_names_are_never_broken(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    names = ["gdas", "magnitude_finetuned", "a" * 70]
    terminal.entries((name, "what it means, " * 12) for name in names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == names
    assert all(len(line) <= columns for line in lines if "a" * 70 not in line)


def test_a_pipe_gets_an_entry_a_line(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    terminal.entries([("gdas", "what it\nmeans, " * 20), ("b", "c")])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("gdas\twhat it means, what it") and second == "b\tc"


@pytest.mark.parametrize(
    "name", ["search", "true", "argmax", "data", "digits", "question", "name", "none", "nan"]
)
def test_a_variant_needs_a_name_of_its_own(name):
    with pytest.raises(ValueError, match="needs a name of its own"):
        new("variant", name)


def test_a_setting_stays_a_setting_beside_a_variant_of_its_name(tmp_path, monkeypatch):
    from bench.ablation.file import read_ablation
    from bench.contracts import registry

    own = registry.names
    monkeypatch.setattr(
        registry, "names", lambda seam: [*own(seam), *(["search"] if seam == "variants" else [])]
    )
    path = tmp_path / "x.yaml"
    path.write_text(
        "question: q?\ncontrast: {metric: skip_count, of: b, against: a}\n"
        "variants: {a: {}, b: {search: {epochs: 3}}}\n"
    )
    ablation = read_ablation(path, str(ROOT / "ablations/profiles/smoke.yaml"))
    assert ablation.arms[1].settings.search.epochs == 3


@pytest.mark.parametrize("before", ["genotype = ", "DARTS_V9=", "  genotype: ", ""])
def test_a_genotype_is_read_as_it_is_pasted(before):
    space, text = Darts(), PUBLISHED["DARTS_V2"]
    assert space.decode(before + text) == space.decode(text)


def test_the_trials_of_two_tables_are_kept_apart():
    from bench.training.tabulate import journal_folder

    names = [journal_folder(Path(f"{name}.parquet")) for name in ("lr0.025", "lr0.05", "lr0")]
    assert len(set(names)) == 3


def test_a_table_is_parquet(tmp_path):
    done = bench("truth", "tabulate", "ablations/truth/digits.yaml", "-o", str(tmp_path / "b.csv"))
    assert done.returncode == 2 and b"a table is parquet; name it" in done.stderr


def test_timings_that_are_no_numbers_are_refused_before_anything_is_written(tmp_path):
    from bench.gate import speed

    path = tmp_path / "speed.json"
    path.write_text('{"benchmarks": [{"name": "a", "stats": {"median": NaN}}]}')
    with pytest.raises(ValueError, match="the median of 'a' is nan"):
        speed.read(path)


def test_what_pydantic_says_itself_reaches_nobody():
    done = bench("data", "info", "digits", "--root", "/nowhere")
    assert done.returncode == 2
    assert b"http" not in done.stderr and b"root" in done.stderr and done.stderr.count(b"\n") == 1


def test_help_and_version_answer_to_what_people_type_and_no_command_is_without_a_task():
    from bench.cli import TASKS, application

    short, version = bench("-h"), bench("--version")
    assert short.returncode == 0 and b"Ask a question:\n  run " in short.stdout.replace(b"\r", b"")
    assert b"Further:" not in short.stdout and b"--install-completion" in short.stdout
    assert version.returncode == 0 and version.stdout.startswith(b"bench ")
    import typer.main

    commands = typer.main.get_command(application()).commands
    assert set(commands) == {name for names in TASKS.values() for name in names}
