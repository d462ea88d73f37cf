"""A folder of somebody who has the package and no checkout of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.contracts import plugins

ROOT = Path(__file__).parents[2]

VARIANT = '''"""A variant of one's own."""
from typing import Any, ClassVar

from pydantic import Field

from bench.variants import Variant
from ._helper import twice


class MyPenalty(Variant):
    """Adds strength times the mean of alpha squared."""

    paper: ClassVar[str] = "own"
    off: ClassVar[dict[str, Any] | None] = {"strength": 0.0}
    strength: float = Field(1.0, ge=0)

    def architecture_loss(self, architecture, moment):
        return twice(self.strength) * (architecture["alpha"] ** 2).mean() if self.strength else None
'''
HELPER = "def twice(x):\n    return 2 * x\n"
ABLATION = """\
question: Does it change what is found?
contrast: {metric: skip_count, of: my_penalty, against: darts}
plugins: plugins
space: {name: nb201, channels: 4, cells: 1}
variants:
  darts: {}
  my_penalty:
    my_penalty: {strength: 3.0}
"""


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test names, no other sees."""
    monkeypatch.setenv(plugins.VARIABLE, "")


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with a plug-in of a variant and an ablation that asks about it."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "my_penalty.py").write_text(VARIANT)
    (tmp_path / "plugins" / "_helper.py").write_text(HELPER)
    (tmp_path / "mine.yaml").write_text(ABLATION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs the real command line in the working folder, the package on the path alone."""

    def run(
        *words: str | Path, code: int = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "bench", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run
