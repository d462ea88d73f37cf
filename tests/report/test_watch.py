"""`bench watch`: this machine's browsers alone, ablations alone, nothing written, and live."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.report.watch import HOST, server
from bench.runs import store
from tests.report.builders import folder, ok
from tests.report.test_browser import CHROMIUM, FLAGS


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of two ablations, one with a name that needs quoting, beside what is none of theirs."""
    top = tmp_path / "runs"
    for name in ("one", "50%_x #1"):
        folder(top / name, {"old": [ok(5)], "new": [ok(1)]}, question=f"Is <{name}> so?", epochs=1)
    (tmp_path / "secret.txt").write_text("secret")
    (top / "one" / "notes.txt").write_text("secret")
    (top / "linked").symlink_to(top / "one")
    return top


@pytest.fixture
def port(results: Path) -> Iterator[int]:
    with server(results, 0) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found.server_address[1]
        found.shutdown()
        thread.join()


def ask(port: int, path: str, method: str = "GET", host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"{HOST}:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_the_table_and_the_pages_are_served(port: int) -> None:
    status, text = ask(port, "/")
    assert status == 200 and "Is &lt;one&gt; so?" in text and "2 of 2" in text
    links = re.findall(r'<th scope="row"><a href="([^"]+)"', text)
    assert links == ["/50%25_x%20%231/", "/one/"]
    for link in links:
        assert "<iframe" in ask(port, link)[1]
        assert "Every run" in ask(port, f"{link}report.html")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/one/notes.txt",
        "/one/ablation.json",
        "/one",
        "/../secret.txt",
        "/one/../../secret.txt",
        "/..%2fsecret.txt/",
        "/%2e%2e/",
        "//etc/passwd",
        "/linked/",
        "/one//report.html",
        "/one/report.html/",
        "/two/",
        "/./",
        "/one%2freport.html",
    ],
)
def test_no_path_leads_elsewhere(port: int, path: str) -> None:
    status, text = ask(port, path)
    assert status == 404 and "secret" not in text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", HOST, "localhost:1", "[::1]"])
def test_another_name_is_refused(port: int, host: str) -> None:
    assert ask(port, "/", host=host)[0] == 403
    assert ask(port, "/", host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(port: int, method: str) -> None:
    assert ask(port, "/", method)[0] == 501


def test_nothing_is_written(port: int, results: Path) -> None:
    def every() -> dict[str, int]:
        return {str(p): p.lstat().st_mtime_ns for p in sorted(results.rglob("*"))}

    before = every()
    for path in ("/", "/state.json", "/one/", "/one/report.html"):
        assert ask(port, path)[0] == 200
    assert every() == before


def test_it_listens_on_the_loopback_alone(results: Path) -> None:
    with server(results, 0) as found:
        assert found.server_address[0] == "127.0.0.1"


def test_a_run_that_ends_changes_the_state_and_the_page(port: int, results: Path) -> None:
    before = json.loads(ask(port, "/state.json")[1])
    assert "54.30" not in ask(port, "/one/report.html")[1]
    run = next((results / "one").glob("new-*")) / store.RESULT
    result = store.read_sealed(run) or {}
    store.write_json(run, store.seal(result | {"true_accuracy": 54.3}))
    after = json.loads(ask(port, "/state.json")[1])
    assert after["one"] != before["one"] and after["50%_x #1"] == before["50%_x #1"]
    assert "54.30" in ask(port, "/one/report.html")[1]


def test_what_cannot_be_read_is_said_in_its_row(port: int, results: Path) -> None:
    (results / "one" / "ablation.json").write_text("{")
    status, text = ask(port, "/")
    assert status == 200 and 'class="failed"' in text
    assert ask(port, "/one/report.html")[0] == 409


@pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM FOUND: watch was not tried in a browser")
def test_a_browser_shows_the_page_in_its_frame(port: int, tmp_path: Path) -> None:
    for path, wanted in (("/", "Is &lt;one&gt; so?"), ("/one/", '<span id="live">live</span>')):
        done = subprocess.run(
            [
                str(CHROMIUM),
                *FLAGS[:-1],
                "--virtual-time-budget=3000",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--dump-dom",
                f"http://{HOST}:{port}{path}",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
        assert wanted in done.stdout
