"""The page stands alone, shows every run, and nothing that a user wrote can act in it."""

from __future__ import annotations

import base64
import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.report.page import write_index, write_page
from bench.report.summary import Summary
from bench.spaces.nb201 import NB201
from tests.report.builders import SKIPS, TRUTH, failed, folder, ok

HOSTILE = "</title><script>window.owned = 1</script><img src=x onerror=owned()>{{ 7*7 }}"


class Tags(HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page(root: Path) -> tuple[str, Tags]:
    text = write_page(Summary.read(root), root / "report.html").read_text()
    tags = Tags()
    tags.feed(text)
    return text, tags


def bare(tmp_path: Path, arms: dict) -> Path:
    """Return a folder whose page has hardly a figure, which take most of the time."""
    return folder(tmp_path / "x", arms, epochs=0, rankings=False)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Tags]:
    root = tmp_path_factory.mktemp("r") / "x"
    evil = ok(
        5, cell=HOSTILE, truth=TRUTH | {"provenance": HOSTILE, "dataset": HOSTILE}, protocol=HOSTILE
    )
    arms = {
        "old": [evil, ok(5)],
        "new": [failed(HOSTILE, HOSTILE), ok(1)],
        f"<b onclick=x>{HOSTILE[:9]}": [None, ok(2)],
    }
    arms = {label.replace("/", ""): runs for label, runs in arms.items()}
    return page(folder(root, arms, question=HOSTILE, command=HOSTILE))


def test_user_text_is_inert(hostile: tuple[str, Tags]) -> None:
    text, tags = hostile
    assert "<script>window.owned" not in text and "{{ 7*7 }}" in text
    assert [tag for tag, _ in tags.found].count("script") == 1
    assert not [tag for tag, _ in tags.found if tag == "img"]
    assert not [
        name for _, attributes in tags.found for name in attributes if name.startswith("on")
    ]


def test_nothing_is_loaded_from_anywhere(hostile: tuple[str, Tags]) -> None:
    text, tags = hostile
    for tag, attributes in tags.found:
        for name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src &#39;none&#39;" in text


def test_ids_are_unique(hostile: tuple[str, Tags]) -> None:
    ids = [attributes["id"] for _, attributes in hostile[1].found if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_every_planned_run_has_a_row(tmp_path: Path) -> None:
    text, _ = page(bare(tmp_path, {"old": [ok(5)] * 3, "new": [ok(1), failed(), None]}))
    rows = text[text.index('id="runs"') :].split("</table>")[0]
    assert rows.count("<tr class=") == 6
    assert "<b>diverged</b>: training loss is nan in epoch 2" in rows
    assert "<b>missing</b>: no result; last seen in epoch 3" in rows
    assert "1 of 3<small>1 diverged, 1 missing</small>" in text
    assert "2 of 6 runs did not finish" in text


@pytest.mark.parametrize(("dataset", "warned"), [("digits", True), ("cifar10", False)])
def test_a_banner_says_when_the_truth_is_another_data_set(
    tmp_path: Path, dataset: str, warned: bool
) -> None:
    run = ok(1, data={"dataset": dataset, "images": 9})
    text, _ = page(bare(tmp_path, {"old": [run], "new": [run]}))
    assert ("Searched on digits, judged by cifar10" in text) == warned


def test_runs_ranked_by_different_protocols_are_said(tmp_path: Path) -> None:
    text, _ = page(bare(tmp_path, {"old": [ok(1)], "new": [ok(1, protocol="other")]}))
    assert "ranked by 2 different protocols" in text


@pytest.mark.parametrize("arms", [
    {"old": [None], "new": [failed()]},
    {"old": [ok(1, tau=None, tau_low=None, true_accuracy=None, truth=None, data=None)],
     "new": [{"status": "ok", "seconds": 1.0}]},
])  # fmt: skip
def test_what_is_missing_leaves_a_page_all_the_same(tmp_path: Path, arms: dict) -> None:
    text, _ = page(folder(tmp_path / "x", arms, epochs=1, rankings=False))
    assert "Every run" in text and ">nan<" not in text.lower() and ">None<" not in text


def test_downloads_hold_the_tables(tmp_path: Path) -> None:
    _, tags = page(bare(tmp_path, {"old": [ok(5)], "new": [ok(1)]}))
    files = {a["download"]: a["href"] for _, a in tags.found if a.get("download")}
    assert set(files) == {"x-variants.csv", "x-runs.csv", "x-history.csv.gz"}
    table = base64.b64decode(str(files["x-runs.csv"]).split(",")[1]).decode()
    assert len(table.splitlines()) == 3 and table.startswith("label,seed,status")
    packed = base64.b64decode(str(files["x-history.csv.gz"]).split(",")[1])
    assert gzip.decompress(packed).decode().startswith("label,seed,")


def test_the_page_is_the_same_every_time(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", {"old": [ok(5)], "new": [ok(1)]}, epochs=2)
    assert page(root)[0] == page(root)[0]


def test_figures_take_the_pages_colour_and_mark_their_variants(tmp_path: Path) -> None:
    text, _ = page(folder(tmp_path / "x", {"old": [ok(5)] * 2, "new": [ok(1)] * 2}))
    assert "#010203" not in text and "currentColor" in text
    assert '<g class="v0">' in text and '<g class="v1">' in text


def test_a_cell_is_drawn_with_all_its_edges() -> None:
    draw = NB201().draw
    image = draw(SKIPS)
    assert image.count("<path") == 6 and image.count(">skip<") == 6
    assert "stroke-dasharray" not in image
    assert "stroke-dasharray" in draw(SKIPS.replace("skip_connect~2", "none~2"))
    assert draw("<b>") == "<code>&lt;b&gt;</code>"


def test_the_index_links_every_ablation_and_says_what_is_broken(tmp_path: Path) -> None:
    root = folder(tmp_path / "a b", {"old": [ok(5)], "new": [ok(1)]}, question="Is <it> so?")
    entries = [
        (root / "report.html", Summary.read(root)),
        (tmp_path / "c" / "report.html", "c is <broken>"),
    ]
    text = write_index(entries, tmp_path / "index.html").read_text()
    assert 'href="a b/report.html"' in text or 'href="a%20b/report.html"' in text
    assert "Is &lt;it&gt; so?" in text and "c is &lt;broken&gt;" in text
