"""MLflow: an experiment per ablation, a run per search; exporting twice adds nothing twice."""

from __future__ import annotations

from typing import Any

from bench.exports import finals, needs, rows, settings_of
from bench.report.summary import Summary

BATCH = 1000
"""Metrics per request, the most that MLflow takes; it takes 100 parameters."""
PARAMETERS, LONGEST = 100, 500


def export(summary: Summary, to: str) -> str:
    """Send all runs to the tracking server or store at the URI ``to``.

    A run is recognised by its folder and what it ended with; one that is there is left alone.

    Raises
    ------
    ExportError
        When mlflow is not installed.
    """
    try:
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise needs("mlflow", error) from None
    client = MlflowClient(tracking_uri=to)
    name = str(summary.manifest["name"])
    known = client.get_experiment_by_name(name)
    experiment = known.experiment_id if known else client.create_experiment(name)
    present = {
        (run.data.tags.get("bench.folder"), run.data.tags.get("bench.checksum"))
        for run in _all_runs(client, experiment)
    }
    added = 0
    for row in rows(summary):
        label, folder = str(row["label"]), str(row["folder"])
        result = summary.results.get(folder, {})
        checksum = str(result.get("checksum", row["status"]))
        if (folder, checksum) in present:
            continue
        tags = {
            "bench.folder": folder,
            "bench.checksum": checksum,
            "bench.label": label,
            "bench.seed": str(row["seed"]),
            "bench.status": str(row["status"]),
            "bench.commit": str((result.get("provenance") or {}).get("commit", "")),
            "bench.cell": str(row.get("cell") or ""),
            "bench.question": str(summary.manifest["question"])[:LONGEST],
        }
        run = client.create_run(experiment, tags=tags, run_name=f"{label} seed {row['seed']}")
        identity, at = run.info.run_id, run.info.start_time
        settings = settings_of(summary, label).items()
        params = [Param(k, v[:LONGEST]) for k, v in settings][:PARAMETERS]
        client.log_batch(identity, params=params)
        history = summary.history[
            (summary.history["label"] == label) & (summary.history["seed"] == row["seed"])
        ]
        metrics = [
            Metric(str(metric), float(value), at, int(epoch))
            for epoch, metric, value in zip(
                history["epoch"], history["metric"], history["value"], strict=True
            )
        ]
        metrics += [Metric(f"final.{k}", v, at, 0) for k, v in finals(row).items()]
        for start in range(0, len(metrics), BATCH):
            client.log_batch(identity, metrics=metrics[start : start + BATCH])
        client.set_terminated(identity, "FINISHED" if row["status"] == "ok" else "FAILED")
        added += 1
    return f"{added} of {len(summary.runs)} runs added to MLflow's experiment {name!r} at {to}"


def _all_runs(client: Any, experiment: str) -> list[Any]:
    """Return all runs of an experiment, page by page."""
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs([experiment], max_results=BATCH, page_token=token)
        found += page
        token = page.token
        if not token:
            return found
