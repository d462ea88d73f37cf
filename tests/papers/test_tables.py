"""Published tables: every one loads, claims are read exactly, mistakes are named."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from bench import papers
from bench.contracts import registry
from bench.papers import Claim, Number, Obtain, PaperTable, parse_claim
from bench.papers.logs import MEASURES
from bench.spaces.nb201 import cells


def test_claims_are_read_as_printed() -> None:
    claim = parse_claim("89.89±.08/93.61±.09")
    assert claim == Claim(Number(89.89, 0.08), Number(93.61, 0.09))
    bare = parse_claim("39.77/54.30")
    assert bare.test.mean == 54.30 and math.isnan(bare.test.sd) and str(bare.test) == "54.30"
    assert parse_claim("–/88.11").valid is None
    assert str(claim.test) == "93.61±0.09"


@pytest.mark.parametrize("text", ["", "93.61", "a/b", "1/2/3", "93.61±/94", "–/–", None])
def test_what_is_no_claim_is_refused(text: str | None) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        parse_claim(text)


@pytest.mark.parametrize("name", papers.names())
def test_every_table_is_whole(name: str) -> None:
    table = papers.load(name)
    assert table.rows and table.title and table.paper
    if not isinstance(table, PaperTable):
        assert all(claim.measure in MEASURES and claim.says for claim in table.logs)
        return
    for row in table.rows:
        if row.obtain.blackbox is not None:
            registry.parse("blackbox", row.obtain.blackbox)
        if row.obtain.cell is not None:
            cells.decode(row.obtain.cell)


def test_nas_bench_201_says_what_the_literature_says() -> None:
    table = papers.load("nas-bench-201")
    rows = {(row.method, row.version): row for row in table.rows}
    rea = rows["REA", "NB201"]
    assert rea.recalled and rea.claimed["cifar10"] == parse_claim("91.19±.31/93.92±.30")
    skip = rows["DARTS-V1 = V2", "NB201 paper; the all-skip cell"]
    assert not skip.recalled and cells.decode(str(skip.obtain.cell)) == (cells.SKIP,) * 6
    assert rows["optimum", "the table"].claimed["imagenet16"].test.mean == 47.31
    recalled = {row.method for row in table.rows if row.recalled}
    assert recalled == {"REA", "random search", "BOHB", "DARTS-PT"}


def test_an_unknown_table_is_named_with_a_suggestion() -> None:
    with pytest.raises(ValueError, match="did you mean 'nas-bench-201'"):
        papers.load("nas-bench-200")


def test_a_row_is_obtained_in_exactly_one_way() -> None:
    with pytest.raises(ValidationError, match="exactly one"):
        Obtain()
    with pytest.raises(ValidationError, match="exactly one"):
        Obtain(optimum=True, gpu_hours=1)


def test_a_claim_about_an_unknown_dataset_is_refused() -> None:
    row = {"method": "x", "version": "y", "claimed": {"mnist": "1/2"}, "obtain": {"gpu_hours": 1}}
    with pytest.raises(ValidationError, match="mnist"):
        PaperTable.model_validate(
            {"title": "t", "paper": "p", "measure": "accuracy", "datasets": ["a"], "rows": [row]}
        )
