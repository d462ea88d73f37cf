"""The wheel in a fresh environment outside the checkout: nothing but `bench`, and it works."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of what is under version control, with the environment's own setuptools."""
    place = tmp_path_factory.mktemp("wheel")
    listed = [
        "git",
        "-C",
        str(ROOT),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    names = subprocess.run(listed, capture_output=True, check=True).stdout.decode().split("\0")
    for name in names:
        needed = ("bench", "ablations", "pyproject.toml", "setup.py", "README.md", "LICENSE")
        if name.split("/")[0] in needed and (ROOT / name).is_file():
            (place / "src" / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "src" / name).write_bytes((ROOT / name).read_bytes())
    # What must not be shipped is beside it, as in a checkout.
    (place / "src" / "benchmarks").mkdir()
    (place / "src" / "benchmarks" / "__init__.py").touch()
    build = "from setuptools import build_meta; print(build_meta.build_wheel('../dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=place / "src", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (found,) = (place / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the interpreter of an environment that has the wheel beside this one's packages."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, symlinks=True, with_pip=False)
    (site,) = place.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    # The packages that it needs are this environment's; the checkout is on no path.
    others = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    (site / "beside.pth").write_text("\n".join(others))
    return [str(place / "bin" / "python"), "-P"]


def test_nothing_but_the_package_is_shipped(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bench"}
    for needed in (
        "bench/ablations/skip_dropout.yaml",
        "bench/ablations/profiles/quick.yaml",
        "bench/ablations/explanations/1-gradient-share.yaml",
        "bench/scaffold/spaces.txt",
        "bench/scaffold/folder/question.yaml",
        "bench/scaffold/folder/profiles/small.yaml",
        "bench/report/page.html",
        "bench/py.typed",
    ):
        assert needed in names, needed
    tables = [n for n in names if n.startswith("bench/truth/tables/")]
    kept = [p.name for p in (ROOT / "bench/truth/tables").iterdir() if p.is_file()]
    assert {Path(name).name for name in tables} >= set(kept)


def test_the_first_hour_of_somebody_who_has_only_the_wheel(python, tmp_path):
    """No checkout, no compiler, an empty folder: doctor, the main job, a folder of one's own."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "BENCH_PLUGINS")}
    env = {**inherited, "CXX": "/nonexistent", "CC": "/nonexistent"}

    def bench(*words: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            [*python, "-m", "bench", *words], cwd=cwd, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    assert (
        str(ROOT)
        not in subprocess.run(
            [*python, "-c", "import bench; print(bench.__file__)"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        ).stdout
    )
    assert "!!" not in bench("doctor").split("bench")[0]
    bench("run", "ablations/skip_dropout.yaml", "--profile", "smoke", "--seeds", "1")
    assert (tmp_path / "results/runs/skip_dropout-smoke/report.html").is_file()
    bench("init", "own")
    out = bench(
        "run",
        "question.yaml",
        "--profile",
        "small",
        "--seeds",
        "1",
        "--set",
        "search.epochs=1",
        cwd=tmp_path / "own",
    )
    assert "my_penalty" in out
    # A profile of one's own comes before the package's of the same name.
    (tmp_path / "own/profiles/smoke.yaml").write_text("data: digits\nnonsense: 1\n")
    done = subprocess.run(
        [*python, "-m", "bench", "plan", "question.yaml", "--profile", "smoke"],
        cwd=tmp_path / "own",
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "profiles/smoke.yaml:2" in done.stderr
