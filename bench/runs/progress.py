"""Live progress of a campaign, read from the run folders: works for every executor."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from bench.runs import store
from bench.runs.campaign import Campaign


class Watch:
    """Shows runs, epoch, loss, skips and the time left on stderr; a line per change without a terminal."""

    def __init__(self, campaign: Campaign, note: Callable[[], str] | None = None) -> None:
        self.campaign, self.started, self.note = campaign, time.time(), note
        self.console = Console(file=sys.stderr)
        self.live: Live | None = None
        self.said: set[tuple[str, str]] = set()
        self.next = 0.0

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live = Live(console=self.console, refresh_per_second=4, transient=True)
            self.live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live is not None:
            self.live.__exit__(kind, value, trace)

    def __call__(self) -> None:
        """Look again, at most once a second."""
        if time.time() < self.next:
            return
        self.next = time.time() + 1.0
        rows = [(spec, self._look(spec.folder)) for spec in self.campaign.specs]
        if self.live is not None:
            self.live.update(self._table(rows))
            return
        for spec, look in rows:
            line = f"{spec.label} seed {spec.seed}: {look['status']}"
            key = (spec.folder, look["status"])
            if look["status"] in ("running", "waiting") or key in self.said:
                continue
            self.said.add(key)
            print(f"{line} ({self._left(rows)})", file=sys.stderr, flush=True)

    def _look(self, folder: str) -> dict[str, Any]:
        path = self.campaign.root / folder
        if path in self.campaign.cached:
            return {"status": "done before", "share": 1.0}
        if path in self.campaign.ended:
            return {"status": self.campaign.ended[path], "share": 1.0}
        progress = store.read_progress(path)
        if not progress or progress.get("time", 0) < self.started - 1:
            return {"status": "waiting", "share": 0.0}
        # Ranking is not part of the epochs; a tenth of the run is a fair guess for it.
        share = 0.9 * (progress.get("epoch") or 0) / max(1, progress.get("epochs") or 1)
        return {"share": share, **progress}

    def _left(self, rows: list[tuple[Any, dict[str, Any]]]) -> str:
        shares = [look["share"] for _, look in rows if look["status"] != "done before"]
        ended = sum(share == 1.0 for share in shares)
        text = f"{ended}/{len(shares)} runs"
        if self.note is not None:  # how many runs there will be is open
            return f"{text}; {self.note()}"
        if 0.02 * len(shares) < sum(shares) < len(shares):
            left = (time.time() - self.started) * (len(shares) / sum(shares) - 1)
            text += f", about {left / 60:.1f} min left"
        return text

    def _table(self, rows: list[tuple[Any, dict[str, Any]]]) -> Table:
        table = Table(box=None, pad_edge=False, title=self._left(rows), title_justify="left")
        for name in ("variant", "seed", "state", "epoch", "loss", "valid %", "skips"):
            table.add_column(name, justify="left" if name in ("variant", "state") else "right")
        shown = [row for row in rows if row[1]["status"] not in ("waiting", "done before")]
        for spec, look in shown[-20:]:
            table.add_row(
                spec.label, str(spec.seed), str(look["status"]),
                f"{look.get('epoch', '')}/{look.get('epochs', '')}" if look.get("epochs") else "",
                _number(look.get("train_loss"), "{:.3f}"), _number(look.get("valid_accuracy"), "{:.1f}"),
                _number(look.get("skip_count"), "{:.0f}"),
            )  # fmt: skip
        return table


def _number(value: Any, form: str) -> str:
    return form.format(value) if isinstance(value, int | float) else ""
