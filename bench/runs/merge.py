"""Results of the same ablation from several machines, as one: runs are known by their content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.runs import packed, store
from bench.runs.made import alike
from bench.runs.manifest import read_manifest
from bench.runs.shapes import in_order, label_and_seed

CLOCKS = {
    "seconds", "search_seconds", "ranking_seconds", "checksum", "provenance", "files", "source",
    "processor", "kernel", "kernel_reason",
}  # fmt: skip
"""What two runs of one identity need not have in common."""


@dataclass
class Merged:
    """Several folders as one.

    Attributes
    ----------
    scores
        Run → where its scores are.
    notes
        What a reader should know: other processors, other code.
    """

    manifest: dict[str, Any]
    results: dict[str, dict[str, Any]]
    scores: dict[str, Path]
    notes: list[str] = field(default_factory=list)


def merge(roots: Sequence[Path]) -> Merged:
    """Join output folders or folders of results of one ablation.

    A run that several have counts once; one that ended well wins over one that did not.

    Raises
    ------
    ValueError
        Where they ask something else, a variant has other settings, or one run has two outcomes.
    """
    manifests = [read_manifest(root) for root in roots]
    first = manifests[0]
    arms: dict[str, Any] = {}
    for root, manifest in zip(roots, manifests, strict=True):
        for key in ("name", "question", "contrast", "explanation"):
            if manifest.get(key) != first.get(key):
                raise ValueError(
                    f"{root}: {key} is another than that of {roots[0]}: not one ablation"
                )
        for arm in manifest["arms"]:
            if _settled(arms.setdefault(arm["label"], arm)) != _settled(arm):
                raise ValueError(f"{root}: {arm['label']} has other settings than in {roots[0]}")
    found: dict[str, dict[str, Any]] = {}
    scores: dict[str, Path] = {}
    for root in roots:
        for name, result in packed.results(root).items():
            before = found.get(name)
            if before is not None and "ok" in (before["status"], result["status"]):
                if before["status"] == result["status"]:
                    _refuse_other(name, root, before, result)
                if before["status"] == "ok":
                    continue
            found[name] = result
            scores.pop(name, None)
            if (path := packed.scores_of(root, name)).is_file():
                scores[name] = path
    runs = in_order({name for manifest in manifests for name in manifest["runs"]}, arms)
    content = {
        **first,
        "arms": list(arms.values()),
        "runs": runs,
        "seeds": sorted({label_and_seed(name)[1] for name in runs}),
        "commands": list(dict.fromkeys(c for m in manifests for c in m.get("commands", []))),
        "changes": [change for m in manifests for change in m.get("changes", [])],
    }
    stated = [m["stated"] for m in manifests if isinstance(m.get("stated"), dict)]
    if len(stated) == len(manifests):  # as late, and after as many results, as the latest says
        content["stated"] = max(
            stated, key=lambda s: (int(s.get("finished") or 0), str(s.get("time")))
        )
    else:
        content.pop("stated", None)
    content.pop("checksum", None)
    rows = list(found.values())
    notes = list(alike(rows))
    for label in arms:  # variants differ in their members; the runs of one should not
        made = {
            row.get("source") for name, row in found.items() if label_and_seed(name)[0] == label
        } - {None}
        if len(made) > 1:
            notes.append(f"{label} was made by {len(made)} states of the source.")
    return Merged(store.seal(content), found, scores, notes)


def _settled(arm: dict[str, Any]) -> Any:
    """Return what of an arm decides its numbers: a device or a path may differ between machines."""
    settings = {k: v for k, v in arm.get("settings", {}).items() if k != "device"}
    data = settings.get("data")
    if isinstance(data, dict):
        settings["data"] = {k: v for k, v in data.items() if k not in ("root", "path")}
    truth = settings.get("truth")
    if isinstance(truth, dict):
        settings["truth"] = {k: v for k, v in truth.items() if k != "path"}
    return arm.get("variants"), settings, arm.get("contents")


def _refuse_other(name: str, root: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse two outcomes of one run, unless another processor or kernel explains them."""
    if any(before.get(key) != now.get(key) for key in ("processor", "kernel")):
        return
    keys = (before.keys() | now.keys()) - CLOCKS
    differ = sorted(key for key in keys if before.get(key) != now.get(key))
    if differ:
        raise ValueError(
            f"{root}: {name}: was run twice and has two outcomes ({', '.join(differ[:3])}) on one "
            "processor: one of the two was made by other code"
        )
