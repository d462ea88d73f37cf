"""`bench watch`: the pages of output folders on the loopback, made again as runs end; nothing is written.

Every answer is made from what is in the table of ablations: a path names one of them, or is not known,
so that no path leads anywhere else. Only a browser on this machine that asks for this very server is
answered (the name in ``Host`` is checked: a page of another site cannot have its own name lead here).
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from bench.names import shown
from bench.report.page import environment, policy, render
from bench.report.summary import Summary
from bench.runs import store
from bench.runs.manifest import MANIFEST, read_manifest
from bench.runs.status import RunState, count, eta, outputs, runs

HOST = "127.0.0.1"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass
class Watched:
    """One output folder: read again when a file of its results has changed.

    Attributes
    ----------
    root
        The output folder.
    """

    root: Path
    _seen: str = ""
    _summary: Summary | None = None
    _problem: str = ""
    _page: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def state(self) -> str:
        """Return what changes whenever its page would: a word for its results and their times."""
        looks = [_look(self.root / MANIFEST)]
        with contextlib.suppress(ValueError, OSError):
            looks += [_look(self.root / f / store.RESULT) for f in read_manifest(self.root)["runs"]]
        return f"{hash(tuple(looks)):x}"

    def read(self) -> tuple[Summary | None, str]:
        """Return what it says, or why that cannot be read."""
        with self._lock:
            if (now := self.state()) != self._seen:
                self._summary, self._problem, self._page, self._seen = None, "", "", now
                try:
                    self._summary = Summary.read(self.root)
                except (ValueError, OSError) as error:
                    self._problem = shown(str(error))
            return self._summary, self._problem

    def page(self) -> str:
        """Return its page as HTML; raises ValueError where there is none."""
        summary, problem = self.read()
        if summary is None:
            raise ValueError(problem)
        with self._lock:
            self._page = self._page or render(summary)
            return self._page

    def row(self) -> dict[str, Any]:
        """Return its row in the table of all."""
        summary, problem = self.read()
        row: dict[str, Any] = {
            "name": self.root.name,
            "link": f"/{quote(self.root.name, safe='')}/",
        }
        if summary is None:
            return row | {"problem": problem}
        ended = [
            {"folder": folder, **{key: found.get(key) for key in ("status", "seconds", "error")}}
            for folder, found in summary.results.items()
        ]
        states: list[RunState] = runs(self.root, ended)
        numbers, left = count(states), eta(states)
        return row | {
            "problem": "",
            "question": summary.manifest["question"],
            "profile": summary.manifest["profile"],
            "headline": summary.verdict.headline,
            "kind": summary.verdict.kind,
            "planned": len(states),
            "counts": numbers,
            "left": None if left is None else round(left),
        }


def _look(path: Path) -> tuple[int, int]:
    try:
        found = path.lstat()
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_size


@dataclass
class Site:
    """All output folders that a folder is or holds; asked anew each time, for runs begin meanwhile."""

    directory: Path
    _known: dict[str, Watched] = field(default_factory=dict)

    def watched(self) -> dict[str, Watched]:
        """Return name → output folder; links are no output folders."""
        roots = {root.name: root for root in outputs(self.directory) if not root.is_symlink()}
        for name, root in roots.items():
            self._known.setdefault(name, Watched(root))
        return {name: self._known[name] for name in roots}

    @cached_property
    def _pages(self) -> dict[str, Callable[[Watched], str]]:
        return {"": framed, "report.html": Watched.page}

    def answer(self, path: str) -> tuple[str, str] | None:
        """Return the kind and the text of what a path names; None where it names nothing."""
        if path == "/":
            return "text/html", table([one.row() for one in self.watched().values()])
        if path == "/state.json":
            return "application/json", json.dumps(
                {name: one.state() for name, one in self.watched().items()}
            )
        _, name, *rest = path.split("/")
        found, page = self.watched().get(unquote(name)), self._pages.get("/".join(rest))
        if found is None or page is None or not rest:
            return None
        return "text/html", page(found)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of all ablations as HTML."""
    return _made(rows=rows, one=None)


def framed(one: Watched) -> str:
    """Return what holds the page of an ablation, and loads it again when a run has ended."""
    return _made(rows=[], one={"name": one.root.name})


def _made(**content: Any) -> str:
    made = environment()
    script = made.globals["watching"]
    told = f"{policy(str(script))}; connect-src 'self'; frame-src 'self'"
    return made.get_template("watch.html").render(**content, script=script, policy=told)


def server(directory: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of the folder's pages on the loopback; port 0 is any that is free."""
    site = Site(directory)
    site.watched()  # says at once where there is nothing

    class Answers(BaseHTTPRequestHandler):
        server_version, sys_version = "bench", ""

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            at = made.server_address[1]
            if self.headers.get("Host") not in (f"{HOST}:{at}", f"localhost:{at}"):
                return self._send(HTTPStatus.FORBIDDEN, "text/plain", "ask for the loopback", body)
            try:
                found = site.answer(urlsplit(self.path).path)
            except (ValueError, OSError) as error:
                return self._send(HTTPStatus.CONFLICT, "text/plain", shown(str(error)), body)
            if found is None:
                return self._send(HTTPStatus.NOT_FOUND, "text/plain", "no such page", body)
            return self._send(HTTPStatus.OK, *found, body)

        def _send(self, status: HTTPStatus, kind: str, text: str, body: bool) -> None:
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: a line for every look would bury what the user asked for."""

    made = ThreadingHTTPServer((HOST, port), Answers)
    made.daemon_threads = True
    return made
