"""TensorBoard: a run per search with every reading per epoch, settings and final numbers."""

from __future__ import annotations

from pathlib import Path

from bench.exports import finals, needs, rows, settings_of
from bench.report.summary import Summary


def export(summary: Summary, to: str) -> str:
    """Write event files below the folder ``to``; those of an earlier export are replaced.

    Raises
    ------
    ExportError
        When tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise needs("tensorboard", error) from None
    for row in rows(summary):
        # Named by its folder, which was checked to be a plain name: a label could lead elsewhere.
        folder = Path(to) / str(row["folder"])
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        history = summary.history[
            (summary.history["label"] == row["label"]) & (summary.history["seed"] == row["seed"])
        ]
        with SummaryWriter(str(folder)) as writer:
            for epoch, name, value in zip(
                history["epoch"], history["metric"], history["value"], strict=True
            ):
                writer.add_scalar(str(name), float(value), int(epoch))
            for name, value in finals(row).items():
                writer.add_scalar(f"final/{name}", value)
            lines = [f"{k}: {v}" for k, v in settings_of(summary, str(row["label"])).items()]
            status = [f"status: {row['status']}", f"seed: {row['seed']}"]
            text = "\n".join(f"    {line}" for line in [*status, *lines])  # Markdown's code block
            writer.add_text("settings", text)
    return f"{len(summary.runs)} runs for TensorBoard in {to}: tensorboard --logdir {to}"
