"""The page stands alone, shows every run, and nothing that a user wrote can act in it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np
import pytest

from bench.report import svg
from bench.report.index import write_index
from bench.report.page import write_page
from bench.report.summary import Summary
from bench.spaces.nb201 import NB201
from tests.report.builders import OPERATIONS, SKIPS, TRUTH, failed, folder, history, ok

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
        "new": [failed("failed", HOSTILE), ok(1)],
        "third": [None, ok(2)],  # names that are no labels are refused where the manifest is read
    }
    return page(folder(root, arms, question=HOSTILE, command=HOSTILE))


def test_user_text_is_inert(hostile: tuple[str, Tags]) -> None:
    text, tags = hostile
    assert "<script>window.owned" not in text and "{{ 7*7 }}" in text
    scripts = [attributes.get("type") for tag, attributes in tags.found if tag == "script"]
    assert scripts == ["application/json", None]
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


EVIL_METRIC = '"><script>window.owned = 1</script><svg onload=owned()>'


def test_names_of_readings_are_data(tmp_path: Path) -> None:
    rows = [
        entry
        | {
            EVIL_METRIC: 1.0,
            "hessian" + EVIL_METRIC: 2.0,
            "gap_" + EVIL_METRIC: 1.0,
            "p_" + EVIL_METRIC: 0.1,
        }
        for entry in history(3, 0)
    ]
    run = ok(1, history=rows, **{EVIL_METRIC: 1.0})
    text, tags = page(folder(tmp_path / "x", {"old": [run] * 2, "new": [run] * 2}, rankings=False))
    assert "<script>window" not in text and "<svg onload" not in text
    assert not [a for _, attributes in tags.found for a in attributes if a.startswith("on")]
    assert sum(tag == "script" for tag, _ in tags.found) == 2
    named = [a["data-name"] for _, a in tags.found if a.get("data-name")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.+-]+", name) for name in named)
    assert EVIL_METRIC.replace("_", " ") in str(charts_of(text))  # and shown as it is


def charts_of(text: str) -> list[dict]:
    """Return what the page's script draws from."""
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


def test_only_the_pages_own_script_may_run(hostile: tuple[str, Tags]) -> None:
    text, tags = hostile
    policy = next(a["content"] for _, a in tags.found if a.get("http-equiv"))
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert "script-src 'unsafe-inline'" not in policy and "base-uri 'none'" in policy


@pytest.mark.parametrize("name", ["50%_x", "a b?x#1", "javascript:alert(1)", "ä&<b>", "a'\"b"])
def test_the_index_links_to_any_folder(tmp_path: Path, name: str) -> None:
    root = bare(tmp_path, {"old": [ok(5)], "new": [ok(1)]}).rename(tmp_path / name)
    (root / "report.html").write_text("here")
    tags = Tags()
    entries = [(root / "report.html", Summary.read(root))]
    tags.feed(write_index(entries, tmp_path / "index.html").read_text())
    (link,) = [a["href"] for tag, a in tags.found if tag == "a"]
    # As a browser resolves it: no scheme of its own, and the very file.
    resolved = urlsplit(urljoin(tmp_path.as_uri() + "/index.html", link))
    assert resolved.scheme == "file" and not resolved.query and not resolved.fragment
    assert Path(unquote(resolved.path)).read_text() == "here"


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


@pytest.mark.parametrize(
    "arms",
    [
        {"old": [None], "new": [failed()]},
        {
            "old": [ok(1, tau=None, tau_low=None, true_accuracy=None, truth=None, data=None)],
            "new": [{"status": "ok", "seconds": 1.0}],
        },
    ],
)
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
    (forest, first, *_) = charts_of(text)
    assert [line["v"] for line in first["panels"][0]["lines"]] == [0, 1]
    assert [line["v"] for line in forest["panels"][0]["lines"]] == [1]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 30 variants and 10 seeds; what is worth most comes last."""
    rng = np.random.default_rng(0)
    cell = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
    arms: dict[str, list] = {
        f"arm{i:02d}": [
            ok(1, 60.0 + i + rng.normal() / 9, cell=cell.format(*rng.choice(OPERATIONS, 6)))
            for _ in range(10)
        ]
        for i in range(30)
    }
    arms["arm03"][1] = failed()
    root = tmp_path_factory.mktemp("r") / "x"
    return folder(
        root, arms, of="arm01", against="arm00", metric="true_accuracy", expect="higher",
        epochs=50, rankings=False,
    )  # fmt: skip


def test_many_runs_leave_a_small_page(many: Path) -> None:
    text, tags = page(many)
    assert len(text) < 1_000_000
    assert sum(tag == "path" for tag, _ in tags.found) < 1_000
    charts = charts_of(text)
    assert sum(chart["name"].startswith("alpha") for chart in charts) == 30
    assert max(len(panel["x"]) for chart in charts for panel in chart["panels"]) <= 60
    assert "the most frequent cell of each variant" in text


def test_many_variants_are_sorted_first_and_have_a_panel_each(many: Path) -> None:
    text, tags = page(many)
    charts = {chart["name"]: chart for chart in charts_of(text)}
    rows = charts["differences"]["panels"][0]["lines"]
    assert [row["n"] for row in rows] == [f"arm{i:02d}" for i in range(29, 0, -1)]
    assert [row["n"] for row in rows if row["strong"]] == ["arm01"]
    sections = [a["id"] for tag, a in tags.found if tag == "section"]
    assert sections[:3] == ["answer", "all", "variants"]
    for name in ("trajectory-0-skip_count", "shares"):
        panels = charts[name]["panels"]
        assert len(panels) == 30 and charts[name]["kind"] == "multiples"
        assert len({(p["low"], p["high"], *p["view"]) for p in panels}) == 1  # axes in common
        assert [p["v"] for p in panels] == [0, *range(29, 0, -1)]  # the first figure's order
    marks = {p["v"]: p.get("marks") for p in charts["trajectory-0-skip_count"]["panels"]}
    assert [v for v, found in marks.items() if found] == [3]  # whose run failed


def test_colour_and_marker_tell_many_variants_apart() -> None:
    labels = [f"a{i}" for i in range(64)]
    looks = [(svg.colours(labels)[x], svg.markers(labels)[x]) for x in labels]
    assert len(set(looks)) == 64


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
    assert 'href="./a%20b/report.html"' in text
    assert "Is &lt;it&gt; so?" in text and "c is &lt;broken&gt;" in text
