"""One run from its specification to its result: search, selection, ranking, record."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bench
from bench.contracts.space import Architecture
from bench.runs import checkpoint, store
from bench.runs import lock as runlock
from bench.runs.cost import multiply_adds
from bench.runs.spec import RunSpec
from bench.search.loop import DivergedError, Interrupted, search
from bench.search.setup import Setup, build, initial_state, restored
from bench.search.state import SearchState


def execute(spec: RunSpec, folder: Path, asked_to_stop: Callable[[], bool] = lambda: False) -> str:
    """Run or resume one run in its folder.

    Returns
    -------
    str
        The status: ``ok``, ``diverged``, ``out_of_memory``, ``failed``, ``interrupted`` or
        ``disk_full``. All but the last two leave a ``result.json``; those leave the last checkpoint
        to go on from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with runlock.hold(folder, asked_to_stop) as mine:
            if not mine:
                return "interrupted"
            if store.done(folder):  # by whoever held the folder until now
                return "ok"
            return _execute(spec, folder, asked_to_stop)
    except OSError as error:
        if error.errno not in store.FULL:
            raise
        print(f"{folder}: {_line(error)}", file=sys.stderr)
        return "disk_full"


def _execute(spec: RunSpec, folder: Path, asked_to_stop: Callable[[], bool]) -> str:
    store.write_spec(folder, spec)
    started = time.time()
    earlier = 0.0
    state: SearchState | None = None
    outcome: dict[str, Any]
    with arithmetic(spec):
        try:
            report = _reporter(folder, started)
            report(status="running", epoch=0, epochs=spec.settings.search.epochs)
            setup = build(spec.settings, spec.variants, spec.seed)
            state, earlier = resume(spec, folder, setup)

            def after_epoch(state: SearchState) -> None:
                elapsed = earlier + time.time() - started
                checkpoint.save(
                    folder / store.CHECKPOINT, spec.digest, {**state.to_dict(), "seconds": elapsed}
                )
                last = {k: v for k, v in state.history[-1].items() if k not in state.architecture}
                report(status="running", epochs=setup.settings.search.epochs, **last)

            search(setup, state, after_epoch=after_epoch, asked_to_stop=asked_to_stop)
            searched = earlier + time.time() - started
            report(status="ranking", epoch=state.epoch, epochs=setup.settings.search.epochs)

            def notify(text: str) -> None:
                report(
                    status="ranking", epoch=state.epoch, epochs=setup.settings.search.epochs,
                    doing=text,
                )  # fmt: skip
                if asked_to_stop():
                    raise Interrupted

            found = conclude(setup, state, folder, notify)
            outcome = {"status": "ok", "search_seconds": searched, **found}
        except Interrupted:
            if state is not None:
                elapsed = earlier + time.time() - started
                checkpoint.save(
                    folder / store.CHECKPOINT, spec.digest, {**state.to_dict(), "seconds": elapsed}
                )
            return "interrupted"
        except DivergedError as error:
            outcome = {"status": "diverged", "error": str(error)}
        except (torch.OutOfMemoryError, MemoryError) as error:
            outcome = {"status": "out_of_memory", "error": _line(error)}
        except Exception as error:  # recorded with the run, so that the others go on
            if isinstance(error, OSError) and error.errno in store.FULL:
                raise  # nothing more can be written; what is there stays
            if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
                outcome = {"status": "out_of_memory", "error": _line(error)}  # torch on the CPU
            elif os.environ.get("BENCH_DEBUG"):
                raise
            else:
                outcome = {"status": "failed", "error": f"{type(error).__name__}: {_line(error)}"}
    result = {
        "schema": spec.code,
        "ablation": spec.ablation,
        "label": spec.label,
        "seed": spec.seed,
        "digest": spec.digest,
        **outcome,
        "seconds": time.time() - started,
        "work": multiply_adds(spec),
        "stopped": state.stopped if state else None,
        "history": state.history if state else [],
        "provenance": provenance(spec) | {"kernel": state.supernet.kernel if state else "torch"},
    }
    store.write_json(folder / store.RESULT, store.seal(result))
    return str(outcome["status"])


def resume(spec: RunSpec, folder: Path, setup: Setup) -> tuple[SearchState, float]:
    """Return the state of the run's checkpoint, if it has a sound one, and the seconds before it.

    An unsound checkpoint is removed, and the state is that before the first step.
    """
    path = folder / store.CHECKPOINT
    if not path.exists():
        return initial_state(setup), 0.0
    try:
        saved = checkpoint.load(path, spec.digest)
        state = restored(setup, saved)
        if saved.get("compiled") and not state.supernet.compiled:
            print(
                f"{path}: no kernel can be compiled here; going on in PyTorch, equal to rounding",
                file=sys.stderr,
            )
        return state, float(saved.get("seconds", 0.0))
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        print(f"{_line(error)}; starting again", file=sys.stderr)
        path.unlink(missing_ok=True)
        return initial_state(setup), 0.0  # the other may have been filled in part


def conclude(
    setup: Setup,
    state: SearchState,
    folder: Path,
    notify: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Read the cell off the supernet, ask what it is worth, rank the supernet; flat numbers."""
    selection = setup.settings.selection
    assert selection is not None  # resolved when the ablation was read
    rewind(state)
    outcome = judge_cell(setup, selection.select(setup, state), notify)
    outcome["data"] = {"dataset": setup.settings.data.dataset, "images": 2 * len(setup.data.train)}
    if state.history:  # what instruments read last, except where the derived cell has its own
        details = tuple(i.details for i in setup.settings.instruments if i.details)
        last = {k: v for k, v in state.history[-1].items() if not k.startswith(("epoch", *details))}
        outcome = {k: v for k, v in last.items() if isinstance(v, int | float)} | outcome
    if setup.truth is not None and setup.truth.reference and setup.settings.ranking is not None:
        outcome |= rank(setup, state, folder)
    return outcome


def rewind(state: SearchState) -> None:
    """Go back to the architecture of the epoch that an early stop says counts."""
    epoch = (state.stopped or {}).get("epoch", state.epoch)
    if epoch != state.epoch:
        with torch.no_grad():
            for name, value in state.architecture.items():
                value.copy_(torch.tensor(state.history[epoch - 1][name]))


def judge_cell(
    setup: Setup, cell: Architecture, notify: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Describe a cell and, where there is truth, say what it is worth; flat numbers.

    What has no meaning is NaN: the rank of a cell that the truth does not know, and any rank where
    there is no table to have one in.
    """
    space, truth = setup.space, setup.truth
    outcome: dict[str, Any] = {
        "cell": space.encode(cell),
        **space.describe(cell),
        "connected": space.connected(cell),
    }
    if truth is not None:
        accuracy = truth.accuracy_of(space.encode(cell), notify)
        everything = truth.mean(truth.reference)
        ranked = len(everything) > 0 and math.isfinite(accuracy)
        outcome |= {
            "true_accuracy": accuracy,
            "regret": truth.best - accuracy,
            "percentile": 100 * float((everything < accuracy).mean()) if ranked else math.nan,
        }
        outcome["truth"] = {
            "dataset": truth.dataset, "split": truth.split, "budget": truth.budget,
            "provenance": truth.provenance, "sha256": truth.sha256,
            "cells": len(everything), "best": truth.best,
            "random": float(np.nanmean(everything)) if len(everything) else math.nan,
        }  # fmt: skip
    return outcome


def rank(setup: Setup, state: SearchState, folder: Path) -> dict[str, Any]:
    """Rank sub-networks against the truth by the run's protocol; keep every score."""
    from bench.ranking.measure import measure

    protocol, started = setup.settings.ranking, time.time()
    assert protocol is not None
    ranking = measure(setup, state, protocol)
    table = ranking.table.to_parquet(index=False)
    checkpoint.write_atomically(folder / store.RANKING, table)
    return {
        **ranking.flat(),
        "ranking_seconds": time.time() - started,
        "files": {store.RANKING: hashlib.sha256(table).hexdigest()},
    }


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
