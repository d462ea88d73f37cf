"""How cost grows, one figure each: ``python -m benchmarks growth`` (some minutes of one core).

The step's CPU time against channels, cells, resolution, batch and the number of variants; ranking's
against the number of cells; the store's against the number of runs. Each figure holds ratios to the
first point of its first curve, least of several alternating rounds, and goes to
``docs/img/speed-*.svg``, its seconds to ``docs/img/speed.json``; ``growth --draw`` draws those again.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.contracts.data import Halves, Images
from bench.runs import store
from bench.search.loop import architecture_step, weight_step
from bench.search.settings import Settings
from bench.search.setup import build, initial_state

FOLDER = Path(__file__).parents[1] / "docs" / "img"
Call = Callable[[], object]
VARIANTS = ("beta_darts", "entropy_penalty", "sdarts_rs", "skip_dropout", "edge_drop_path")
"""Put on one after the other; the last two act inside cells, where PyTorch does the work."""


def least(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    """Return the least CPU seconds of each call; rounds alternate, so that all see one machine."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if turn:  # the first round warms up
                times[name].append(time.process_time() - start)
    return {name: min(found) for name, found in times.items()}


def gradients(kernel: str, channels: int, cells: int, resolution: int, batch: int) -> Call:
    """Return a call that takes both updates' gradients."""
    space = registry.parse("spaces", {"name": "nb201", "channels": channels, "cells": cells})
    net = space.supernet(3, 10, seed=0)
    net.compiled = kernel == "compiled" and net.prepare_kernel()
    alpha = torch.zeros(6, 5, requires_grad=True)
    images = torch.randn(batch, 3, resolution, resolution)
    labels = torch.randint(10, (batch,))

    def pair() -> None:
        for wanted in (list(net.parameters()), [alpha]):
            loss = F.cross_entropy(net(images, alpha.softmax(-1)), labels)
            torch.autograd.grad(loss, wanted)

    return pair


def step(names: tuple[str, ...]) -> Call:
    """Return a call that takes a bilevel step with variants on, at C=8, N=1, 16x16."""
    settings = Settings.model_validate(
        {
            "space": {"name": "nb201", "channels": 8, "cells": 1},
            "data": "digits",
            "device": "cpu",
            "instruments": [],
            "ranking": None,
        }
    )
    pixels = torch.randint(256, (128, 3, 16, 16), dtype=torch.uint8)
    images = Images(pixels, torch.randint(10, (128,)), 10, (0.5,) * 3, (0.25,) * 3, 2, True)
    setup = build(settings, [registry.parse("variants", name) for name in names], seed=0)
    object.__setattr__(setup, "data", Halves(images, images))
    state = initial_state(setup)

    def both() -> None:
        weight_step(setup, state)
        architecture_step(setup, state)

    return both


def steps() -> dict[str, dict[str, dict[str, float]]]:
    """Return figure → curve → point → seconds for everything about a step."""
    axes = {
        "channels": [(c, 1, 16, 64) for c in (8, 16, 32)],
        "cells": [(8, n, 16, 64) for n in (1, 2, 4)],
        "resolution": [(8, 1, r, 64) for r in (8, 16, 32)],
        "batch": [(8, 1, 16, b) for b in (16, 64, 256)],
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    for position, (axis, sizes) in enumerate(axes.items()):
        calls = {
            f"{kernel} {size[position]}": gradients(kernel, *size)
            for size in sizes
            for kernel in ("compiled", "torch")
        }
        found[axis] = curves(least(calls, 3))
    on = {f"step {k}": step(VARIANTS[:k]) for k in range(len(VARIANTS) + 1)}
    found["variants"] = curves(least(on, 5))
    return found


def curves(seconds: dict[str, float]) -> dict[str, dict[str, float]]:
    """Split names ``curve point``."""
    found: dict[str, dict[str, float]] = {}
    for name, value in seconds.items():
        curve, point = name.split()
        found.setdefault(curve, {})[point] = value
    return found


def ranking() -> dict[str, dict[str, float]]:
    """Return the seconds of evaluating so many cells on 64 images, at C=8, N=1, 16x16."""
    space = registry.parse("spaces", {"name": "nb201", "channels": 8, "cells": 1})
    net, images = space.supernet(3, 10, seed=0), torch.randn(64, 3, 16, 16)
    cells = random.Random(0).sample(list(space.architectures()), 400)

    def run(number: int) -> None:
        with torch.no_grad():
            list(net.paths(images, cells[:number]))

    calls: dict[str, Call] = {f"paths {n}": lambda n=n: run(n) for n in (25, 100, 400)}
    return curves(least(calls, 2))


def listing() -> dict[str, dict[str, float]]:
    """Return the seconds of building the index of so many runs, and of reading it again."""
    found: dict[str, dict[str, float]] = {"build": {}, "read": {}}
    history = [{"epoch": n, "alpha": [[0.1] * 5] * 6} for n in range(50)]
    for number in (10, 100, 1000):
        with tempfile.TemporaryDirectory() as place:
            for run in range(number):
                folder = Path(place) / f"darts-seed{run}-{run:016x}"
                folder.mkdir()
                result = {"label": "darts", "digest": f"{run:016x}", "status": "ok", "tau": 0.5}
                text = store._text(store.seal({**result, "history": history}))
                (folder / store.RESULT).write_bytes(text)
            for name, rebuild in (("build", True), ("read", False)):
                times = []
                for _ in range(3):
                    start = time.process_time()
                    store.index(Path(place), rebuild=rebuild)
                    times.append(time.process_time() - start)
                found[name][str(number)] = min(times)
    return found


LABELS = {
    "channels": "channels C (N=1, 16x16)",
    "cells": "cells per stage N (C=8, 16x16)",
    "resolution": "pixels along an edge (C=8, N=1)",
    "batch": "images in a batch (C=8, N=1, 16x16)",
    "variants": "variants on: " + ", ".join(VARIANTS[:3]) + ",\n" + ", ".join(VARIANTS[3:]),
    "ranking": "cells ranked (C=8, N=1, 16x16)",
    "store": "runs in the folder",
}


def draw(name: str, data: dict[str, dict[str, float]]) -> None:
    """Draw one figure; axes are logarithmic except for the variants."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from bench.report import svg

    with mpl.rc_context({**svg.STYLE, "figure.facecolor": "white", "savefig.facecolor": "white"}):
        drawing = Figure((4.4, 2.9), layout="constrained")
        axes = drawing.subplots()
        unit = next(iter(next(iter(data.values())).values()))
        for i, (curve, points) in enumerate(data.items()):
            x, y = [float(p) for p in points], list(points.values())
            axes.plot(x, [v / unit for v in y], svg.MARKERS[i] + "-", c=svg.PALETTE[i], label=curve)
        if name != "variants":
            axes.set_xscale("log", base=2 if name not in ("store", "ranking") else 10)
            axes.set_yscale("log", base=2 if name not in ("store", "ranking") else 10)
            axes.set_xticks(x, labels=[f"{v:g}" for v in x], minor=False)
            axes.minorticks_off()
            axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(LABELS[name], fontsize=8.5)
        axes.set_ylabel(f"CPU time ({next(iter(data))}, first = 1)")
        axes.legend()
        path = FOLDER / f"speed-{name}.svg"
        drawing.savefig(path, format="svg", metadata={"Date": None})
    text = re.sub(r"[ \t]+$", "", path.read_text(), flags=re.MULTILINE)
    path.write_text(text.replace(svg.FOREGROUND, "#222222"))


def main(*, only_draw: bool = False) -> None:
    """Measure everything, or take what was measured, and draw it."""
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    record = FOLDER / "speed.json"
    if not only_draw:
        data = {**steps(), "ranking": ranking(), "store": listing()}
        record.write_text(json.dumps(data, indent=1) + "\n")
    data = json.loads(record.read_text())
    for name, curves_of in data.items():
        draw(name, curves_of)
        print(name, {c: [round(v, 4) for v in p.values()] for c, p in curves_of.items()})
