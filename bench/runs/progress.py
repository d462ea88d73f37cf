"""Live progress of a campaign, read from the run folders: works for every executor."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from bench.runs import store
from bench.runs.campaign import Campaign
from bench.runs.spec import RunSpec
from bench.written import duration

SHARE = 100
"""Between two looks so many times as long passes as a look takes."""
AHEAD, AHEAD_IN = 64, 97
"""Waiting runs that are looked at: the next ones, and of the others one in so many each time."""


class Watch:
    """Shows runs, epoch, loss, skips and the time left on stderr; a line per change without a terminal."""

    def __init__(self, campaign: Campaign, note: Callable[[], str] | None = None) -> None:
        self.campaign, self.started, self.note = campaign, time.time(), note
        self.console = Console(file=sys.stderr)
        self.live: Live | None = None
        self.said: set[tuple[str, str]] = set()
        self.next = 0.0
        self.began = time.monotonic()
        self.folders: list[Path] = []
        self.open: dict[int, RunSpec] = {}
        self.working: set[int] = set()
        self.shown: list[tuple[RunSpec, dict[str, Any]]] = []
        self.cached = self.over = self.turn = 0

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
        """Look again, at most once a second, and so seldom that it takes 1 % of the time."""
        if time.monotonic() < self.next:
            return
        began = time.monotonic()
        looks = self._looks()
        if self.live is not None:
            self.live.update(self._table(looks))
        else:
            self._say(looks)
        self.next = time.monotonic() + max(1.0, SHARE * (time.monotonic() - began))

    def _looks(self) -> list[tuple[RunSpec, dict[str, Any]]]:
        """Return the runs that can have changed, with how they stand; count those that ended.

        Of thousands that wait only the next few are looked at, and a few others in turn: runs start
        about in their order.
        """
        campaign, found = self.campaign, list[tuple[RunSpec, dict[str, Any]]]()
        for spec in campaign.specs[len(self.folders) :]:
            folder = campaign.root / spec.folder
            self.folders.append(folder)
            self.open[len(self.folders) - 1] = spec
        before = set(campaign.cached) if len(campaign.cached) != self.cached else set()
        self.cached = len(campaign.cached)
        waiting = 0
        for i, spec in list(self.open.items()):
            folder = self.folders[i]
            if folder in before:
                del self.open[i]
            elif folder in campaign.ended:
                del self.open[i]
                self.over += 1
                found.append((spec, {"status": campaign.ended[folder], "share": 1.0}))
            elif i in self.working or waiting < AHEAD or (i + self.turn) % AHEAD_IN == 0:
                look = self._look(folder)
                if look["status"] == "waiting":
                    self.working.discard(i)
                    waiting += 1
                else:
                    self.working.add(i)
                    found.append((spec, look))
            else:
                waiting += 1
        self.working &= self.open.keys()
        self.turn += 1
        return found

    def _say(self, looks: list[tuple[RunSpec, dict[str, Any]]]) -> None:
        for spec, look in looks:
            key = (spec.folder, look["status"])
            if look["status"] == "running" or key in self.said:
                continue
            self.said.add(key)
            line = f"{spec.label} seed {spec.seed}: {look['status']}"
            print(f"{line} ({self._left(looks)})", file=sys.stderr, flush=True)

    def _look(self, folder: Path) -> dict[str, Any]:
        progress = store.read_progress(folder)
        if not progress or progress.get("time", 0) < self.started - 1:
            return {"status": "waiting", "share": 0.0}
        # Ranking is not part of the epochs; a tenth of the run is a fair guess for it.
        share = 0.9 * (progress.get("epoch") or 0) / max(1, progress.get("epochs") or 1)
        return {"share": share, **progress}

    def _left(self, looks: list[tuple[RunSpec, dict[str, Any]]]) -> str:
        total = self.over + len(self.open)
        done = self.over + sum(look["share"] for _, look in looks if look["share"] < 1)
        text = f"{self.over}/{total} runs"
        if self.note is not None:  # how many runs there will be is open
            return f"{text}; {self.note()}"
        if 0.02 * total < done < total:
            left = (time.monotonic() - self.began) * (total / done - 1)
            text += f", about {duration(left)} left"
        return text

    def _table(self, looks: list[tuple[RunSpec, dict[str, Any]]]) -> Table:
        table = Table(box=None, pad_edge=False, title=self._left(looks), title_justify="left")
        for name in ("variant", "seed", "state", "epoch", "loss", "valid %", "skips"):
            table.add_column(name, justify="left" if name in ("variant", "state") else "right")
        self.shown = [*(row for row in self.shown if row[1]["share"] == 1.0), *looks][-20:]
        for spec, look in self.shown:
            table.add_row(
                spec.label,
                str(spec.seed),
                str(look["status"]),
                f"{look.get('epoch', '')}/{look.get('epochs', '')}" if look.get("epochs") else "",
                _number(look.get("train_loss"), "{:.3f}"),
                _number(look.get("valid_accuracy"), "{:.1f}"),
                _number(look.get("skip_count"), "{:.0f}"),
            )
        return table


def _number(value: Any, form: str) -> str:
    return form.format(value) if isinstance(value, int | float) else ""
