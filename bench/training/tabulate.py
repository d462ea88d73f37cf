"""Tabulating a space: cells trained from scratch, in parallel, resumable, as a truth table."""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench import __version__, files, shapes
from bench.batches import plain_batches
from bench.contracts.data import Images, NoTestImagesError
from bench.contracts.truth import TruthError
from bench.runs import lock as runlock
from bench.runs import store
from bench.runs.worker import let_through
from bench.tables import long as _long
from bench.tables.unpickle import read_bytes
from bench.tables.wide import LARGEST, parquet_file
from bench.training.shapes import Row
from bench.training.tabulation import Tabulation, Trial
from bench.training.train import Evaluation, epoch_of, in_words, make_optimizer, measure

JOURNAL = "trials.jsonl"


class Journal:
    """The trials that are done, a line each; a line that was cut off by a crash is dropped.

    Where there is none yet, it begins with the trials of a table of the same recipe, if there is one.

    Raises
    ------
    TruthError
        When the folder holds trials of another recipe.
    """

    def __init__(self, output: Path, recipe: Tabulation) -> None:
        self.path, self.rows = journal_folder(output) / JOURNAL, dict[Trial, dict[str, Any]]()
        head = {"recipe": recipe.digest}
        lines = _text(self.path).split("\n")
        whole = lines[:-1]  # what follows the last line's end was being written
        if whole and _said(whole[0]) != head:
            raise TruthError(
                f"{self.path}: trials of another space, data or training; name another --output"
            )
        for number, line in enumerate(whole[1:], start=2):
            at = f"{self.path}:{number}"
            try:
                row = json.loads(line)
                if store.seal(row)["checksum"] != row.pop("checksum"):
                    raise ValueError
                row = shapes.plain(row, at)
                shapes.check(Row, row, at)
                self.rows[row["arch"], row["seed"]] = row
            except files.UnfitFileError as error:
                raise TruthError(f"{error}; remove the line") from None
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                raise TruthError(f"{at}: damaged, or without a checksum; remove the line") from None
        text = "\n".join(whole or [json.dumps(head)]) + "\n"
        if text != "\n".join(lines):
            files.write_atomically(self.path, text.encode())
        if not whole and output.is_file():
            for row in _trials_of(output, recipe):
                self.add(row)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a finished trial; on the disk when this returns."""
        files.append(self.path, f"{json.dumps(store.seal(row), sort_keys=True)}\n".encode())
        self.rows[row["arch"], row["seed"]] = row


def _text(path: Path) -> str:
    """Return what stands in a journal; empty where there is none."""
    try:
        return files.read_text(path, LARGEST, links=False)
    except FileNotFoundError:
        return ""
    except files.UnfitFileError as error:
        raise TruthError(str(error)) from None


def _said(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def journal_folder(output: Path) -> Path:
    """Return the folder beside a table in which its trials are kept: ``<name>.trials``."""
    return output.with_name(f"{output.name.removesuffix('.parquet')}.trials")


def _trials_of(output: Path, recipe: Tabulation) -> list[dict[str, Any]]:
    """Return the rows of a table; none where it is of another recipe, or none to be read."""
    source = str(output)
    try:
        file = parquet_file(read_bytes(output, LARGEST), source)
        if _long.metadata(file).get("sha256") != recipe.digest:
            return []
        rows = _long.read(file, source)[0].to_pylist()
    except TruthError:
        return []
    return [{k: v for k, v in row.items() if k != "weight" and v is not None} for row in rows]


def kept(recipe: Tabulation, output: Path) -> dict[Trial, dict[str, Any]]:
    """Return the trials that are done, by cell and seed; waits for whoever is at it."""
    folder = journal_folder(output)
    folder.mkdir(parents=True, exist_ok=True)
    with runlock.hold(folder):
        return Journal(output, recipe).rows


def tabulate(
    recipe: Tabulation,
    output: Path,
    jobs: int,
    notify: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Train what is missing and write the table; what is done is kept when this is interrupted.

    Parameters
    ----------
    output
        The parquet file (`bench.tables.long`); the journal is kept beside it in ``<name>.trials``.
    notify
        Called with (trials done, trials in all) after every trial.

    Returns
    -------
    dict
        ``trials``, ``missing`` and ``failed``, a message per trial that raised.
    """
    folder, trials = journal_folder(output), recipe.trials()
    read = images_of(recipe)  # what is wrong with them is said before anything starts
    cell = recipe.space.decode(trials[0][0])
    Evaluation(recipe.space, cell, recipe.data, recipe.training, 0).check(read["train"])
    folder.mkdir(parents=True, exist_ok=True)
    failed: dict[Trial, str] = {}
    with runlock.hold(folder):
        journal = Journal(output, recipe)
        todo = sorted((trial for trial in trials if trial not in journal.rows), key=recipe.turn)
        try:
            # Closed at once when interrupted: what waits would be trained all the same otherwise.
            with contextlib.closing(_outcomes(recipe, todo, jobs)) as outcomes:
                for trial, outcome in outcomes:
                    if isinstance(outcome, str):
                        failed[trial] = outcome
                    else:
                        journal.add(outcome)
                    notify(sum(t in journal.rows for t in trials), len(trials))
        finally:
            done = [journal.rows[trial] for trial in trials if trial in journal.rows]
            if done:
                write(recipe, done, output)
    return {"trials": len(done), "missing": len(trials) - len(done), "failed": failed}


def write(recipe: Tabulation, rows: list[dict[str, Any]], output: Path) -> None:
    """Write finished trials as a truth table that says how they were trained."""
    weights = recipe.weights({row["arch"] for row in rows})
    rows = [{**row, "weight": weights[row["arch"]]} for row in rows]
    columns = [*_long.KEY, *(n for n in _long.NUMBERS if any(r.get(n) is not None for r in rows))]
    content = recipe.model_dump(mode="json", include={"space", "data", "training"})
    cells = len({row["arch"] for row in rows})
    _long.write(
        output,
        {name: [row.get(name) for row in rows] for name in columns},
        {
            "source": json.dumps(content, sort_keys=True),
            "space": json.dumps(content["space"], sort_keys=True),
            "sha256": recipe.digest,
            "api": f"bench {__version__}",
            "provenance": f"{cells} cells of {recipe.space.name} trained by bench truth tabulate: "
            + ", ".join(
                f"{part} {in_words(content[part])}" for part in ("space", "data", "training")
            ),
        },
    )


def _outcomes(
    recipe: Tabulation, todo: list[Trial], jobs: int
) -> Generator[tuple[Trial, dict[str, Any] | str]]:
    """Yield every trial's row as it ends, or what it raised."""
    from bench.runs.forkserver import serve  # late: saves start-up time

    if not todo:
        return
    told = recipe.model_dump_json(exclude={"truth", "population", "first"})
    with ProcessPoolExecutor(
        max_workers=jobs, mp_context=serve(1), initializer=_prepare, initargs=(told,)
    ) as pool:
        pending: dict[Future[dict[str, Any]], Trial] = {pool.submit(train, t): t for t in todo}
        try:
            for future in as_completed(pending):
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise TruthError("a worker was killed; what is done is kept: run this again")
                yield (
                    pending[future],
                    future.result() if error is None else f"{type(error).__name__}: {error}",
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)  # trials under way end whole
            raise


_worker: dict[str, Any] = {}
"""What a worker process holds: the recipe and the images, read once."""


def _prepare(told: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the pool; trials end whole
    let_through()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    prepare(Tabulation.model_validate_json(told))


def _end_with_parent() -> None:
    """Wait until the parent is gone; a pool's worker would wait for work for ever."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def prepare(recipe: Tabulation) -> None:
    """Read what `train` needs."""
    _worker.update(recipe=recipe, images=images_of(recipe))


def images_of(recipe: Tabulation) -> dict[str, Images]:
    """Read the images for `train`: as `Recipe.test` says, and test images where there are any.

    Raises
    ------
    DataError
        When any of them cannot be read: a table without test accuracies is not written by mistake.
    """
    if recipe.training.test == "test":
        images = {"train": recipe.data.load(), "test": recipe.data.load(train=False)}
    else:
        halves = recipe.data.halves()
        images = {"train": halves.train, "valid": halves.valid}
        with contextlib.suppress(
            NoTestImagesError
        ):  # digits has none: there is no test accuracy then
            images["test"] = recipe.data.load(train=False)
    return images


def train(trial: Trial) -> dict[str, Any]:
    """Train and measure one cell from scratch; returns its row of the table."""
    asked, images = _worker["recipe"], _worker["images"]
    (cell, seed), first = trial, images["train"]
    evaluation = Evaluation(asked.space, asked.space.decode(cell), asked.data, asked.training, seed)
    # Channels last: 1.25 times as fast at C=8 on the CPU, the same to rounding.
    network = evaluation.network(first).to(memory_format=torch.channels_last)
    optimizer, flops = make_optimizer(network, asked.training), operations(network, first)
    epochs = [
        epoch_of(evaluation, network, optimizer, first, epoch)
        for epoch in range(asked.training.epochs)
    ]
    row: dict[str, Any] = {
        "arch": cell,
        "dataset": asked.data.dataset,
        "budget": asked.training.epochs,
        "seed": seed,
        "parameters": network.count() / 1e6,
        "flops": flops,
        "train_seconds": round(sum(entry["seconds"] for entry in epochs), 3),
    }
    for split, part in images.items():
        accuracy, loss = measure(network, part, seed)
        row[f"{split}_accuracy"] = accuracy
        row[f"{split}_loss"] = loss if math.isfinite(loss) else None
    return row


def operations(network: nn.Module, images: Images) -> float:
    """Return the FLOPs of one image's forward pass, in millions.

    A multiplication and an addition count as one, as in the benchmark, over convolutions, pooling
    (9 per output on the CPU) and matrix products; sums and batch norm are left out.
    """
    one = plain_batches(images.take(torch.zeros(1, dtype=torch.long)), 1)[0].images
    with torch.no_grad():
        network.eval()(one)  # what is computed once and kept is not part of a pass
        with FlopCounterMode(display=False) as counter:
            network(one)
    return float(counter.get_total_flops()) / 2 / 1e6
