"""One run from its specification to its result: search, selection, ranking, record."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import bench
from bench import checkpoint, store
from bench.plan import RunSpec, work
from bench.search import DivergedError, Interrupted, search
from bench.setup import Setup, build, initial_state
from bench.state import SearchState


def execute(spec: RunSpec, folder: Path, asked_to_stop: Callable[[], bool] = lambda: False) -> str:
    """Run or resume one run in its folder.

    Returns
    -------
    str
        The status: ``ok``, ``diverged``, ``out_of_memory``, ``failed`` or ``interrupted``. All but
        the last leave a ``result.json``; an interrupted run leaves a checkpoint to go on from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store.write_json(folder / store.SPEC, spec.model_dump(mode="json"))
    started = time.time()
    state: SearchState | None = None
    outcome: dict[str, Any]
    with arithmetic(spec):
        try:
            report = _reporter(folder, started)
            report(status="running", epoch=0, epochs=spec.settings.search.epochs)
            setup = build(spec.settings, spec.variants, spec.seed)
            state = initial_state(setup)
            earlier = resume(spec, folder, state)

            def after_epoch(state: SearchState) -> None:
                elapsed = earlier + time.time() - started
                checkpoint.save(
                    folder / store.CHECKPOINT, spec.digest, {**state.to_dict(), "seconds": elapsed}
                )
                last = {k: v for k, v in state.history[-1].items() if k != "alpha"}
                report(status="running", epochs=setup.settings.search.epochs, **last)

            search(setup, state, after_epoch=after_epoch, asked_to_stop=asked_to_stop)
            searched = earlier + time.time() - started
            report(status="ranking", epoch=state.epoch, epochs=setup.settings.search.epochs)
            outcome = {"status": "ok", "search_seconds": searched, **conclude(setup, state, folder)}
        except Interrupted:
            if state is not None:
                elapsed = time.time() - started
                checkpoint.save(
                    folder / store.CHECKPOINT, spec.digest, {**state.to_dict(), "seconds": elapsed}
                )
            return "interrupted"
        except DivergedError as error:
            outcome = {"status": "diverged", "error": str(error)}
        except (torch.OutOfMemoryError, MemoryError) as error:
            outcome = {"status": "out_of_memory", "error": _line(error)}
        except Exception as error:  # recorded with the run, so that the others go on
            if os.environ.get("BENCH_DEBUG"):
                raise
            outcome = {"status": "failed", "error": f"{type(error).__name__}: {_line(error)}"}
    result = {
        "schema": spec.code,
        "ablation": spec.ablation,
        "label": spec.label,
        "seed": spec.seed,
        "digest": spec.digest,
        **outcome,
        "seconds": time.time() - started,
        "work": work(spec),
        "stopped": state.stopped if state else None,
        "history": state.history if state else [],
        "provenance": provenance(spec),
    }
    store.write_json(folder / store.RESULT, store.seal(result))
    return str(outcome["status"])


def resume(spec: RunSpec, folder: Path, state: SearchState) -> float:
    """Take over the run's checkpoint, if it has a sound one; return the seconds spent before."""
    path = folder / store.CHECKPOINT
    if not path.exists():
        return 0.0
    try:
        saved = checkpoint.load(path, spec.digest)
        state.load_dict(saved)
    except (checkpoint.CheckpointError, KeyError, RuntimeError, ValueError) as error:
        print(f"{error}; starting again", file=sys.stderr)
        path.unlink(missing_ok=True)
        raise RuntimeError("unusable checkpoint removed; run again") from error
    return float(saved.get("seconds", 0.0))


def conclude(setup: Setup, state: SearchState, folder: Path) -> dict[str, Any]:
    """Read the cell off the supernet, look up its worth, rank the supernet; flat numbers."""
    space, truth = setup.space, setup.truth
    selection = setup.settings.selection
    assert selection is not None  # resolved when the ablation was read
    stop_epoch = (state.stopped or {}).get("epoch", state.epoch)
    if stop_epoch != state.epoch:  # an early stop goes back to the architecture of that epoch
        with torch.no_grad():
            state.architecture["alpha"].copy_(torch.tensor(state.history[stop_epoch - 1]["alpha"]))
    cell = selection.select(setup, state)
    outcome: dict[str, Any] = {
        "cell": space.encode(cell),
        "skip_count": space.count(cell, "skip_connect"),
        "weight_free_share": space.count(cell, *space.weight_free) / len(cell),
        "connected": space.connected(cell),
    }
    outcome["data"] = {"dataset": setup.settings.data.dataset, "images": 2 * len(setup.data.train)}
    if state.history:
        outcome["valid_accuracy"] = state.history[-1].get("valid_accuracy", float("nan"))
    if truth is not None:
        worth = float(truth.mean([space.encode(cell)])[0])
        everything = truth.mean(list(truth.accuracy))
        outcome |= {
            "true_accuracy": worth,
            "regret": truth.best - worth,
            "percentile": 100 * float((everything < worth).mean()),
        }
        outcome["truth"] = {
            "dataset": truth.dataset, "split": truth.split, "budget": truth.budget,
            "provenance": truth.provenance, "sha256": truth.sha256,
            "cells": len(everything), "best": truth.best, "random": float(np.nanmean(everything)),
        }  # fmt: skip
    if truth is not None and setup.settings.ranking is not None:
        outcome |= rank(setup, state, folder)
    return outcome


def rank(setup: Setup, state: SearchState, folder: Path) -> dict[str, Any]:
    """Rank sub-networks against the truth by the run's protocol; keep every score."""
    from bench.ranking.correlation import tau_b, tau_interval
    from bench.ranking.evaluate import evaluate

    space, truth, protocol = setup.space, setup.truth, setup.settings.ranking
    assert truth is not None and protocol is not None
    started = time.time()
    cells = protocol.population.draw(space)
    scores = evaluate(setup, state, cells, protocol)
    names = [space.encode(cell) for cell in cells]
    worth = truth.mean(names)
    parameters = np.array([float(space.parameters(cell)) for cell in cells])
    pd.DataFrame(
        {"arch": names, "accuracy": scores.accuracy, "loss": scores.loss,
         "truth": worth, "parameters": parameters}
    ).to_parquet(folder / store.RANKING, index=False)  # fmt: skip
    seed = setup.seed
    by_accuracy = tau_interval(scores.accuracy, worth, resamples=protocol.resamples, seed=seed)
    by_loss = tau_interval(-scores.loss, worth, resamples=protocol.resamples, seed=seed)
    return {
        "tau": by_accuracy.estimate, "tau_low": by_accuracy.low, "tau_high": by_accuracy.high,
        "tau_loss": by_loss.estimate, "tau_loss_low": by_loss.low, "tau_loss_high": by_loss.high,
        "tau_parameters": float(tau_b(parameters, worth)),
        "ranked": len(cells),
        "protocol": protocol.digest(
            truth=truth.sha256, column=f"{truth.dataset}_{truth.split}_{truth.budget}",
            data=setup.settings.data.model_dump(mode="json", exclude={"root"}),
            space=setup.space.name,
        ),
        "ranking_seconds": time.time() - started,
    }  # fmt: skip


@contextlib.contextmanager
def arithmetic(spec: RunSpec) -> Iterator[None]:
    """Hold torch to the run's threads and determinism, and put both back afterwards."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(spec.settings.threads)
    torch.use_deterministic_algorithms(spec.settings.deterministic)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


def provenance(spec: RunSpec) -> dict[str, Any]:
    """Return what somebody needs to get the same numbers again."""
    return {
        "bench": bench.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": spec.settings.device,
        "threads": spec.settings.threads,
        "machine": platform.machine(),
        "system": platform.system(),
    }


def _commit() -> str:
    """Return the commit of a source checkout, ``+`` where it is changed; empty elsewhere."""
    git = ["git", "-C", str(Path(bench.__file__).parent)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no", "."],
            capture_output=True, text=True, timeout=5, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + ("+" if changed else "")


def _reporter(folder: Path, started: float) -> Callable[..., None]:
    def report(**numbers: Any) -> None:
        now = time.time()
        store.write_json(
            folder / store.PROGRESS,
            {"time": now, "elapsed": now - started, "pid": os.getpid(), **numbers},
        )

    return report


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
