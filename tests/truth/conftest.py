"""What the tests of the truth seam share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.truth import builders


@pytest.fixture(scope="session")
def real() -> pd.DataFrame:
    """The real NAS-Bench-201 table."""
    if not builders.REAL.is_file():
        pytest.skip(f"the known answers of NAS-Bench-201 need {builders.REAL}")
    return pd.read_csv(builders.REAL)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete wide table with two measurements, one of them with two seeds."""
    table = builders.everything()
    path = tmp_path_factory.mktemp("synthetic") / "table.csv.gz"
    second = [round(value * 0.99 + 0.5, 4) for value in table.values()]
    pd.DataFrame(
        {
            "index": range(len(table)),
            "arch": list(table),
            "cifar10_test_200": list(table.values()),
            "cifar10_valid_12_seed111": second,
            "cifar10_valid_12_seed777": [*second[:-1], float("nan")],
        }
    ).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def official_content() -> dict[str, Any]:
    """What a small NAS-Bench-201 file holds; treat as read-only."""
    package = pytest.importorskip("nas_201_api", reason="needs the package nas-bench-201")
    return builders.official(package, 24, ("less", "full"))


@pytest.fixture(scope="session")
def few() -> dict[str, Any]:
    """The same with two cells; treat as read-only."""
    package = pytest.importorskip("nas_201_api", reason="needs the package nas-bench-201")
    return builders.official(package, 2, ("less", "full"))


@pytest.fixture(scope="session")
def few_file(few: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two cells as a file."""
    import torch

    path = tmp_path_factory.mktemp("few") / "few.pth"
    torch.save(few, path)
    return builders.signed(path, "NAS-Bench-201-v1_1", ".pth")


@pytest.fixture(scope="session")
def official_file(
    official_content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same as a file."""
    import torch

    path = tmp_path_factory.mktemp("official") / "official.pth"
    torch.save(official_content, path)
    return builders.signed(path, "NAS-Bench-201-v1_1", ".pth")


@pytest.fixture(scope="session")
def imported(
    official_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The table made of it, and what the import said."""
    from bench.truth._official import import_official

    out = tmp_path_factory.mktemp("imported") / "table.parquet"
    return out, import_official(official_file, out)
