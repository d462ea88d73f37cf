"""Where one run's time goes: ``python -m benchmarks shares LABEL [run's options]``.

A whole run under cProfile, in CPU seconds of one thread, by the stages of `bench.runs.run`; then the
functions in which most of it was spent. ``python -m benchmarks shares darts
ablations/skip_dropout.yaml --profile laptop`` is a laptop ablation's.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from pathlib import Path

from bench.ablation.file import read_ablation
from bench.runs import store
from bench.runs.run import execute
from bench.runs.spec import plan

STAGES = {
    "weight steps": ("bench/search/loop.py", "weight_step"),
    "architecture steps": ("bench/search/loop.py", "architecture_step"),
    "readings after each epoch": ("bench/search/loop.py", "record"),
    "ranking": ("bench/runs/run.py", "rank"),
    "images, truth and network at the start": ("bench/search/setup.py", "build"),
    "checkpoints": ("bench/runs/checkpoint.py", "save"),
}
"""File and function whose time, callees included, is the stage's."""


def main(words: list[str]) -> None:
    """Run, and print shares of the whole."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks shares")
    parser.add_argument("label", help="of the variant")
    parser.add_argument("ablation", nargs="?", default="ablations/skip_dropout.yaml", type=Path)
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args(words)
    spec = plan(read_ablation(asked.ablation, asked.profile, asked.set, "1"), [asked.label])[0]
    profile = cProfile.Profile(time.process_time)
    with tempfile.TemporaryDirectory() as folder:
        status = profile.runcall(execute, spec, Path(folder))
        kernel = (store.read_result(Path(folder)) or {})["provenance"]["kernel"]
    print(f"{asked.ablation.stem}, {asked.profile}, {asked.label}: {status}, kernel {kernel}")
    stats = pstats.Stats(profile).stats
    total = sum(own for _, _, own, _, _ in stats.values())
    rest = total
    for stage, (file, function) in STAGES.items():
        spent = sum(
            cumulative
            for (path, _, name), (_, _, _, cumulative, _) in stats.items()
            if name == function and path.endswith(file)
        )
        rest -= spent
        print(f"{spent / total:6.1%}  {spent:7.1f} s  {stage}")
    print(f"{rest / total:6.1%}  {rest:7.1f} s  anything else\n{total:.0f} CPU seconds; most in:")
    most = sorted(stats.items(), key=lambda item: -item[1][2])[:12]
    for (path, line, name), (calls, _, own, _, _) in most:
        place = f"{Path(path).name}:{line} " if line else ""
        print(f"{own / total:6.1%}  {calls:>9} calls  {place}{name}")
