"""One run from its specification to its result: search, selection, ranking, record."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.contracts.executor import Outcome
from bench.contracts.space import Architecture
from bench.devices import computing
from bench.files import write_atomically
from bench.runs import checkpoint, fit, store
from bench.runs import lock as runlock
from bench.runs.contents import refuse_changed
from bench.runs.cost import multiply_adds
from bench.runs.provenance import Leg, joined, known_legs, leg, provenance
from bench.runs.restore import restore
from bench.runs.sources import changed
from bench.runs.spec import RunSpec
from bench.search.loop import DivergedError, Interrupted, search
from bench.search.setup import Setup, build, initial_state
from bench.search.state import SearchState
from bench.written import one_line


def execute(
    spec: RunSpec, folder: Path, asked_to_stop: Callable[[], bool] = lambda: False
) -> Outcome:
    """Run or resume one run in its folder.

    A folder that has a sound result is left alone: it is that of whoever held it until now.

    Parameters
    ----------
    spec
        What is to be run.
    folder
        Of this run; what it holds of it is gone on from.
    asked_to_stop
        Polled between steps.

    Returns
    -------
    Outcome
        How it ended. What was interrupted, or stopped by an error of the storage, leaves no ``result.json`` but
        the last checkpoint to go on from; all others leave a result.
    """
    try:
        with runlock.hold(folder, asked_to_stop) as mine:
            if not mine:
                return Outcome.INTERRUPTED
            if (result := store.read_result(folder)) is not None:
                return Outcome(result["status"])
            return _execute(spec, folder, asked_to_stop)
    except OSError as error:
        print(f"{folder}: {_line(error)}", file=sys.stderr)
        with contextlib.suppress(OSError):  # as far as that goes now
            last = {**store.read_progress(folder), "status": "stopped", "error": _line(error)}
            store.write_json(folder / store.PROGRESS, last)
        return Outcome.of(error)


def _execute(spec: RunSpec, folder: Path, asked_to_stop: Callable[[], bool]) -> Outcome:
    store.write_spec(folder, spec)
    clock = Clock()
    state: SearchState | None = None
    legs: list[Leg] = []
    outcome: dict[str, Any]

    def keep(state: SearchState) -> None:
        content = {**state.to_dict(), "seconds": clock.seconds, "legs": legs}
        checkpoint.save(folder / store.CHECKPOINT, spec.digest, content)

    with arithmetic(spec):
        try:
            report = _reporter(folder, clock)
            report(status="running", epoch=0, epochs=spec.settings.search.epochs)
            setup = build(spec.settings, spec.variants, spec.seed)
            refuse_changed(spec.folder, spec.contents, setup.contents)
            state, clock.earlier, legs = resume(spec, folder, setup)
            legs = go_on(legs, leg(spec, state.supernet), folder)

            def after_epoch(state: SearchState) -> None:
                keep(state)
                last = {k: v for k, v in state.history[-1].items() if k not in state.architecture}
                report(status="running", epochs=setup.settings.search.epochs, **last)

            search(setup, state, after_epoch=after_epoch, asked_to_stop=asked_to_stop)
            searched = clock.seconds
            report(status="ranking", epoch=state.epoch, epochs=setup.settings.search.epochs)

            def notify(text: str) -> None:
                report(
                    status="ranking",
                    epoch=state.epoch,
                    epochs=setup.settings.search.epochs,
                    doing=text,
                )
                if asked_to_stop():
                    raise Interrupted

            found = conclude(setup, state, folder, notify)
            outcome = {"status": Outcome.OK, "search_seconds": searched, **found}
        except Interrupted:
            if state is not None:
                keep(state)
            return Outcome.INTERRUPTED
        except OSError:
            raise  # says nothing about the run: what is there stays, to go on from
        except DivergedError as error:
            outcome = {"status": Outcome.DIVERGED, "error": str(error)}
        except Exception as error:  # recorded with the run, so that the others go on
            if checkpoint.out_of_memory(error):
                outcome = {"status": Outcome.OUT_OF_MEMORY, "error": _line(error)}
            elif os.environ.get("BENCH_DEBUG"):
                raise
            else:
                text = f"{type(error).__name__}: {_line(error)}"
                outcome = {"status": Outcome.FAILED, "error": text}
    result = {
        "schema": spec.code,
        "ablation": spec.ablation,
        "label": spec.label,
        "seed": spec.seed,
        "digest": spec.digest,
        "contents": spec.contents,
        **outcome,
        "seconds": clock.here,
        "work": multiply_adds(spec),
        "stopped": state.stopped if state else None,
        "history": state.history if state else [],
        **joined(legs := legs or [leg(spec, None)]),
        "provenance": provenance(spec, legs),
    }
    store.write_json(folder / store.RESULT, store.seal(result))
    ended: Outcome = outcome["status"]
    return ended


@dataclass
class Clock:
    """How long a run takes, whatever the wall clock does meanwhile.

    Attributes
    ----------
    earlier
        Seconds before its checkpoint, in other processes.
    """

    earlier: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def here(self) -> float:
        """Seconds in this process."""
        return time.monotonic() - self.began

    @property
    def seconds(self) -> float:
        """Seconds in all."""
        return self.earlier + self.here


def go_on(legs: list[Leg], now: Leg, folder: Path) -> list[Leg]:
    """Return what computed a run so far and does from here on; say where the code has changed."""
    if not legs:
        return [now]
    if differ := changed(legs[-1]["sources"]):
        text = f"{', '.join(differ)} changed since this checkpoint; --force starts again"
        print(f"{folder / store.CHECKPOINT}: {text}", file=sys.stderr)
    return legs if legs[-1] == now else [*legs, now]


def resume(spec: RunSpec, folder: Path, setup: Setup) -> tuple[SearchState, float, list[Leg]]:
    """Return the state of the run's checkpoint, if it has a sound one, and what came before it.

    That are the seconds that it took, and what computed it.

    A checkpoint that is damaged or another run's is removed, one that is sound and does not fit
    is set aside, and the state is that before the first step. One that merely cannot be read
    stays where it is.

    Raises
    ------
    OSError, MemoryError
        When it cannot be read.
    """
    path, state = folder / store.CHECKPOINT, initial_state(setup)
    try:
        saved = checkpoint.load(path, spec.digest)
    except FileNotFoundError:
        return state, 0.0, []
    except checkpoint.RefusedError as error:
        _set_aside(path, error)
        return state, 0.0, []
    except checkpoint.CheckpointError as error:
        print(f"{_line(error)}; starting again", file=sys.stderr)
        path.unlink(missing_ok=True)
        return state, 0.0, []
    try:
        restore(setup, state, saved)
        seconds = fit.real(saved.get("seconds", 0.0), 0, math.inf, "seconds")
        legs = known_legs(saved)
    except fit.MisfitError as error:
        _set_aside(path, error)
        return initial_state(setup), 0.0, []  # the other may have been filled in part
    if saved.get("compiled") and not state.supernet.compiled:
        print(
            f"{path}: no kernel can be compiled here; going on in PyTorch, equal to rounding",
            file=sys.stderr,
        )
    return state, seconds, legs


def _set_aside(path: Path, error: ValueError) -> None:
    """Keep a checkpoint that was refused, though sound, out of the way."""
    aside = path.with_name(store.REFUSED)
    print(f"{path}: {_line(error)}; kept as {aside.name}, starting again", file=sys.stderr)
    os.replace(path, aside)


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
    outcome["data"] = {
        "dataset": setup.settings.data.dataset,
        "images": len(setup.data.train) + len(setup.data.valid),
        "classes": setup.data.train.classes,
        "caveat": setup.settings.data.caveat,
    }
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

    Parameters
    ----------
    setup
        Of the search that found the cell.
    cell
        The index of an operation for every edge.
    notify
        Is told now and then how far a training has come.

    Returns
    -------
    dict[str, Any]
        ``cell`` (its text), ``connected``, what `Cells.describe` gives and, with a truth, ``true_accuracy`` and
        ``percentile`` (percent), ``regret`` (points) and ``truth`` (where the numbers come from).
    """
    space, truth = setup.space, setup.truth
    outcome: dict[str, Any] = {
        "cell": space.encode(cell),
        **space.describe(cell),
        "connected": space.connected(cell),
    }
    if truth is not None:
        accuracy = truth.accuracy_of(space.encode(cell), notify)
        outcome |= {
            "true_accuracy": accuracy,
            "regret": truth.best - accuracy,
            "percentile": truth.percentile(accuracy),
        }
        outcome["truth"] = {
            "dataset": truth.dataset,
            "split": truth.split,
            "budget": truth.budget,
            "provenance": truth.provenance,
            "sha256": truth.sha256,
            "cells": len(truth.reference),
            "best": truth.best,
            "random": truth.random,
        }
        if (known := truth.known_as(outcome["cell"])) != outcome["cell"]:
            outcome["truth"]["isomorphic"] = known  # whose accuracy it is
    return outcome


def rank(setup: Setup, state: SearchState, folder: Path) -> dict[str, Any]:
    """Rank sub-networks against the truth by the run's protocol; keep every score."""
    from bench.ranking.measure import measure  # late: saves start-up time

    protocol, clock = setup.settings.ranking, Clock()
    assert protocol is not None
    ranking = measure(setup, state, protocol)
    table = ranking.table.to_parquet(index=False)
    write_atomically(folder / store.RANKING, table)
    return {
        **ranking.flat(),
        **({"reasons": ranking.reasons} if ranking.reasons else {}),
        "ranking_seconds": clock.here,
        "files": {store.RANKING: hashlib.sha256(table).hexdigest()},
    }


@contextlib.contextmanager
def arithmetic(spec: RunSpec) -> Iterator[None]:
    """Hold torch to the run's threads and determinism, and put both back afterwards."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with computing(spec.settings.threads, spec.settings.deterministic):
        yield


def _reporter(folder: Path, clock: Clock) -> Callable[..., None]:
    def report(**numbers: Any) -> None:
        last = {"time": time.time(), "elapsed": clock.here, "pid": os.getpid(), **numbers}
        store.write_json(folder / store.PROGRESS, last)

    return report


def _line(error: BaseException) -> str:
    return one_line(error, 300)
