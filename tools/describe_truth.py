"""Describe a truth table of NAS-Bench-201 made by `bench truth tabulate`, as Markdown rows.

``python tools/describe_truth.py results/truth/digits.parquet ../shared/nb201/nasbench201.csv.gz``: how far two
training seeds agree in every measure, what the accuracy goes with, and what each operation is worth.
The second table, with a column ``cifar10_test_200``, is optional.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from bench.contracts import registry
from bench.ranking.correlation import noise_ceiling, tau_b
from bench.truth.table import Table

QUANTITIES = ("accuracy", "loss")


def main(own: str, official: str | None = None) -> None:
    """Print the rows."""
    rows = pd.read_parquet(own)
    space = registry.parse("spaces", {"name": "nb201", "channels": 8, "cells": 1})
    trials = rows.groupby("seed").size().to_dict()
    print(f"{rows['arch'].nunique()} cells; trials by seed {trials}")
    split = "test" if "test_accuracy" in rows else "valid"
    measures = [f"{part}_{quantity}" for part in (split, "train") for quantity in QUANTITIES]
    for name in measures:
        seeds = rows.pivot(index="arch", columns="seed", values=name)
        print(f"| ceiling of {name}, {len(seeds.dropna())} cells | {noise_ceiling(seeds):.3f} |")
    first = rows[rows["seed"] == 0].set_index("arch")
    if "weight" in first:  # a sample: what was added to it by hand stands for no other cell
        named = first[first["weight"] == 0]
        for cell, row in named.iterrows():
            print(f"| {cell}, not of the sample | {row[f'{split}_accuracy']:.1f} |")
        own_skips = Table(
            path=Path(own), dataset=rows["dataset"][0], split=split, budget=int(rows["budget"][0])
        ).load()
        skips = own_skips.mean([space.encode((1,) * 6)])[0]
        print(f"| mean of a random cell | {own_skips.random:.1f} |")
        print(f"| six skips | {skips:.1f}, percentile {own_skips.percentile(skips):.0f} |")
        first = first[first["weight"] > 0]
    accuracy = first[f"{split}_accuracy"]
    print(
        f"| mean, deviation, best | {accuracy.mean():.1f}, {accuracy.std():.1f}, "
        f"{accuracy.max():.1f} ({accuracy.idxmax()}) |"
    )
    print(f"| tau with parameters | {tau_b(accuracy, first['parameters']):.3f} |")
    print(f"| tau with FLOPs | {tau_b(accuracy, first['flops']):.3f} |")
    print(f"| tau with minus the loss | {tau_b(accuracy, -first[f'{split}_loss']):.3f} |")
    if official is not None:
        truth = Table(path=Path(official), column="cifar10_test_200").load()
        known = truth.mean(list(first.index))
        print(f"| tau with cifar10_test_200 | {tau_b(accuracy, known):.3f} |")
        everything = truth.mean(truth.reference)
        skips = truth.mean([space.encode((1,) * 6)])[0]
        worse = int((everything < skips).sum())
        print(
            f"| six skips in cifar10_test_200 | {skips:.2f}, {worse} of {len(everything)} worse |"
        )
    for operation in space.operations:
        edges = [space.count(space.decode(cell), operation) for cell in first.index]
        means = accuracy.groupby(edges).mean()
        print(
            f"| {operation} | "
            + " | ".join(f"{means.get(n, float('nan')):.1f}" for n in range(7))
            + " |"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
