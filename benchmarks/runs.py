"""Runs an hour: ``python -m benchmarks runs [--rounds N] [options of bench run]``.

The quick profile's ablation, whole and as a user starts it, with ``kernel: torch`` and ``kernel: auto`` in
turn, each into a folder of its own; of several rounds the shortest counts. The images, the truth and the
compiled kernel are in the cache before the clock starts. ``--set search.epochs=2`` and the like make it
shorter: what is printed then says so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

KERNELS = ("torch", "auto")
ABLATION = "ablations/skip_dropout.yaml"


def once(kernel: str, options: list[str]) -> tuple[float, dict[str, list[float]]]:
    """Make the ablation; return wall seconds and every arm's seconds, one per run."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "bench", "run", ABLATION, "--output", folder]
        words += ["--set", f"kernel={kernel}", *options]
        start = time.monotonic()
        subprocess.run(words, check=True, capture_output=True)
        wall = time.monotonic() - start
        arms = defaultdict(list)
        for path in sorted(Path(folder).rglob("result.json")):
            found = json.loads(path.read_text())
            arms[str(found["label"])].append(float(found["seconds"]))
    return wall, arms


def main(words: list[str]) -> None:
    """Run both in turn and print runs an hour."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks runs")
    parser.add_argument("--rounds", type=int, default=2)
    asked, options = parser.parse_known_args(words)
    for kernel in KERNELS:  # fills the caches
        once(kernel, [*options, "--set", "search.epochs=1", "--seeds", "1"])
    best: dict[str, tuple[float, dict[str, list[float]]]] = {}
    for _ in range(asked.rounds):
        for kernel in KERNELS:
            found = once(kernel, options)
            best[kernel] = min(best.get(kernel, found), found, key=lambda one: one[0])
    print(f"python -m bench run {ABLATION} {' '.join(options)}")
    print("\n| runs an hour | kernel: torch | kernel: auto | ratio |\n|---|--:|--:|--:|")
    torch, auto = (best[kernel] for kernel in KERNELS)
    number = sum(map(len, torch[1].values()))
    rows = [("the whole ablation, wall", *(3600 * number / wall for wall, _ in (torch, auto)))]
    for arm in torch[1]:  # as if runs of this arm alone went on, one after the other
        rows.append((arm, *(3600 * len(one[arm]) / sum(one[arm]) for _, one in (torch, auto))))
    for name, before, after in rows:
        print(f"| {name} | {before:.0f} | {after:.0f} | {after / before:.2f} |")
