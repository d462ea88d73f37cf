"""The page in a real browser: it renders, fits desktop and phone, and its controls work."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.report.page import write_page
from bench.report.summary import Summary
from tests.report.builders import failed, folder, ok

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason="NO CHROMIUM FOUND: the page was not tested in a browser (apt-get install chromium)",
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=10000",
)  # fmt: skip
WIDTHS = (1280, 390)
LONG = "a_variant_with_a_long_label_and_not_a_single_space_in_it_0.1234"
MEASURE = """
<script>
const seen = {};
function measure(frame) {
  const page = frame.contentDocument, wide = page.documentElement;
  frame.contentWindow.dispatchEvent(new Event("beforeprint"));  // draws what is out of view
  const outside = [...page.querySelectorAll("body *")].filter((e) => !e.closest(".scroll, pre, svg")
    && e.getBoundingClientRect().right > wide.clientWidth + 1).map((e) => e.tagName);
  const all = (query) => [...page.querySelectorAll(query)];
  const box = all(".legend input")[1];
  const shown = () => all(".v1").filter((e) => e.getClientRects().length > 0).length;
  const before = shown();
  box.click();
  const hidden = shown();
  box.click();
  const button = all("#runs thead button").find((b) => b.textContent === "skips");
  const column = button.closest("th").cellIndex;
  const skips = () => all("#runs tbody tr").map((r) => r.cells[column]?.dataset.key ?? "");
  button.click();
  const up = skips();
  button.click();
  seen[frame.width] = { scroll: wide.scrollWidth, client: wide.clientWidth, outside,
    before, hidden, again: shown(), up, down: skips(), title: page.title,
    images: all("figure > svg").length, figures: all("figure[data-name]").length,
    dots: all("#rankings svg").map((e) => [...e.querySelectorAll("path")].some((p) =>
      (p.getAttribute("d").match(/M/g) ?? []).length > 20 && p.isPointInFill(p.getPointAtLength(0)))),
    saves: all(".save").length, owned: frame.contentWindow.owned === 1 };
}
addEventListener("load", () => {
  for (const frame of document.querySelectorAll("iframe")) measure(frame);
  document.querySelectorAll("iframe").forEach((f) => f.remove());
  document.body.textContent = "SEEN" + JSON.stringify(seen) + "NEES";
});
</script>
"""


def chromium(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the page said on the console; it should say nothing at all."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    away = ok(
        2,
        88.0,
        data={"dataset": "digits", "images": 900},
        stopped={"epoch": 2, "reason": "told to"},
    )
    arms = {
        "old": [ok(5, 54.3), ok(6, 54.3), ok(6, 54.3)],
        "new": [ok(1, 91.0), ok(0, 93.0), away],
        LONG: [ok(2, 90.0), failed("failed", "KeyError: " + "x" * 200), None],
    }
    question = (
        "Does <script>window.owned = 1</script> " + "averylongwordwithoutanybreak" * 4 + " help?"
    )
    root = folder(
        tmp_path_factory.mktemp("r") / "x", arms, question=question, command="python " + "x" * 300
    )
    return write_page(Summary.read(root), root / "report.html")


@pytest.fixture(scope="module")
def seen(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a script in a frame around the page finds, at each width."""
    folder = tmp_path_factory.mktemp("browser")
    source = html.escape(page.read_text())
    frames = "".join(
        f'<iframe width="{w}" height="900" style="border:0" srcdoc="{source}"></iframe>'
        for w in WIDTHS
    )
    (folder / "frames.html").write_text(
        f"<!doctype html><meta charset=utf-8><body>{frames}{MEASURE}</body>"
    )
    done = chromium(
        folder, "--window-size=1400,1000", "--dump-dom", f"file://{folder / 'frames.html'}"
    )
    assert console(done) == []
    found = re.search(r"SEEN(\{.*\})NEES", done.stdout)
    assert found, done.stdout[-500:] + done.stderr[-500:]
    return dict(json.loads(html.unescape(found[1])))


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_hangs_over_the_edge(seen: dict[str, Any], width: int) -> None:
    at = seen[str(width)]
    assert at["client"] == width and at["scroll"] == width and at["outside"] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_controls_work(seen: dict[str, Any], width: int) -> None:
    at = seen[str(width)]
    assert at["before"] > 10 and at["hidden"] == 0 and at["again"] == at["before"]
    assert at["up"] == ["0", "1", "2", "2", "5", "6", "6", "", ""]
    assert at["down"] == ["6", "6", "5", "2", "2", "1", "0", "", ""]
    assert at["images"] == at["saves"] == at["figures"] > 15


@pytest.mark.parametrize("width", WIDTHS)
def test_points_of_the_scatters_have_an_area(seen: dict[str, Any], width: int) -> None:
    """Round caps on lines of no length are left out at some scales: a cloud of nothing."""
    assert seen[str(width)]["dots"] == [True] * 3


def test_the_question_ran_nothing(seen: dict[str, Any]) -> None:
    assert not seen["1280"]["owned"] and seen["1280"]["title"].startswith(
        "Does <script>window.owned"
    )


MANY = """
<script>
addEventListener("load", () => {
  const view = document.querySelector("iframe").contentWindow, page = view.document, seen = {};
  const all = (query) => [...page.querySelectorAll(query)];
  view.dispatchEvent(new Event("beforeprint"));
  const rows = () => all("#all svg g[data-follow]").length;
  const panels = () => all("#trajectories > .grid figure:first-of-type g[data-follow]").length;
  const visible = () => all("#variants tbody tr").filter((r) => !r.hidden).length;
  seen.before = [rows(), panels(), visible()];
  const filter = page.getElementById("filter");
  filter.value = "arm2";
  filter.dispatchEvent(new Event("input"));
  seen.filtered = [rows(), panels(), visible()];
  filter.value = "";
  filter.dispatchEvent(new Event("input"));
  all("#all svg g[data-follow]")[0].dispatchEvent(new MouseEvent("click", { bubbles: true }));
  seen.lit = [...new Set(all(".lit").map((e) => e.getAttribute("class").match(/v\\d+/)[0]))];
  const box = all("#all svg")[0].getBoundingClientRect();
  const at = { bubbles: true, clientX: box.left + 90, clientY: box.top + 12 };
  all("#all svg")[0].dispatchEvent(new PointerEvent("pointermove", at));
  seen.tip = page.getElementById("tip").textContent;
  const heads = () => all("#variants thead th").filter((h) => !h.hidden).length;
  seen.heads = [heads()];
  all("#variants .chooser input").filter((b) => !b.checked).forEach((b) => b.click());
  seen.heads.push(heads(), all("#variants thead th").length);
  seen.inert = all("#every tbody tr").length;
  page.getElementById("every").open = true;
  setTimeout(() => {
    seen.rows = all("#every tbody tr").length;
    document.body.textContent = "SEEN" + JSON.stringify(seen) + "NEES";
  }, 200);
});
</script>
"""


def test_thirty_variants_are_filtered_followed_and_read_off(tmp_path: Path) -> None:
    arms = {f"arm{i:02d}": [ok(i % 6, 60.0 + i)] * 7 for i in range(30)}
    root = folder(
        tmp_path / "x", arms, of="arm01", against="arm00", metric="true_accuracy", rankings=False
    )
    source = html.escape(write_page(Summary.read(root), root / "report.html").read_text())
    (tmp_path / "frame.html").write_text(
        f'<!doctype html><body><iframe width="1300" height="900" srcdoc="{source}"></iframe>{MANY}</body>'
    )
    done = chromium(tmp_path, "--dump-dom", f"file://{tmp_path / 'frame.html'}")
    assert console(done) == []
    found = re.search(r"SEEN(\{.*\})NEES", done.stdout)
    assert found, done.stdout[-500:]
    at = json.loads(html.unescape(found[1]))
    assert at["before"] == [29, 30, 30] and at["filtered"] == [10, 10, 10]
    assert at["lit"] == ["v29"]
    assert "arm29" in at["tip"] and "seed 6" in at["tip"]
    assert at["heads"] == [10, 14, 14]
    assert (at["inert"], at["rows"]) == (0, 210)


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_is_painted_in_light_and_dark(page: Path, tmp_path: Path, dark: bool) -> None:
    image = tmp_path / "page.png"
    mode = ["--force-dark-mode"] if dark else []
    done = chromium(
        tmp_path, *mode, "--window-size=1280,1600", f"--screenshot={image}", f"file://{page}"
    )
    assert console(done) == []
    pixels = np.asarray(Image.open(image).convert("L")).astype(float)
    background = np.median(pixels)
    assert background < 60 if dark else background > 230
    assert (np.abs(pixels - background) > 90).mean() > 0.01, "text and lines must stand out"
