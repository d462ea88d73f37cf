"""What a command plans in an output folder, added to the manifest there.

Every command adds what it plans, under a lock, so that several may work in one folder, at once or one
after the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import shapes
from bench.contracts import registry
from bench.runs import lock as runlock
from bench.runs import store
from bench.runs.contents import ABSENT, Contents
from bench.runs.manifest import MANIFEST, read_manifest
from bench.runs.shapes import in_order, label_and_seed
from bench.runs.spec import RunSpec, plan

if TYPE_CHECKING:
    from bench.ablation.file import Ablation

STATED = ("contrast", "explanation")
"""What a reader has to know was there before the results."""


def record(
    ablation: Ablation,
    specs: Sequence[RunSpec],
    root: Path,
    command: str,
    contents: Contents | None = None,
    *,
    final: bool = False,
) -> list[str]:
    """Add what is planned now to the manifest of an output folder; make it where there is none.

    Parameters
    ----------
    contents
        What has been hashed so far.
    final
        Where it was open how many runs there would be: those that were not needed are not named.

    Returns
    -------
    list
        Runs that were planned here with other settings than their variant has now: they stay in
        the folder and leave the tables.

    Raises
    ------
    ValueError
        Where the folder holds another ablation, or such runs are at work.
    """
    with runlock.hold(root):
        before = _before(root, ablation)
        _refuse_another(root, ablation, before)
        # Of variants that are left out with --only nothing need be there.
        hashes = (contents or Contents()).lenient()
        current = {spec.label: spec for spec in _one_of_each(ablation, hashes)}
        kept, left = _kept(before["runs"], current, each="name" not in before)
        for name in left:
            if runlock.alive(root / name):
                raise ValueError(
                    f"{root}: {name} is at work there with other settings; wait for it, or name "
                    "another folder with --output"
                )
        own = _arms(ablation, hashes)
        arms = own | {arm["label"]: arm for arm in before["arms"] if arm["label"] not in own}
        named = {*kept, *(spec.folder for spec in specs)}
        if final:
            named -= _not_needed(root, specs)
        runs = in_order(named, arms)
        content = {
            "name": ablation.name,
            "question": ablation.question,
            "contrast": ablation.contrast.model_dump(),
            "explanation": ablation.explanation and ablation.explanation.model_dump(mode="json"),
            "profile": ablation.profile,
            "seeds": sorted({*ablation.seeds, *(label_and_seed(name)[1] for name in kept)}),
            "command": command,
            "commands": list(dict.fromkeys([*before.get("commands", []), command])),
            "arms": list(arms.values()),
            "until": ablation.until and ablation.until.model_dump(),
            "runs": runs,
        }
        content |= _statement(root, before, content)
        store.write_json(root / MANIFEST, store.seal(content))
        return left


def _before(root: Path, ablation: Ablation) -> dict[str, Any]:
    """Return the manifest that is there; what its run folders say where it is damaged."""
    path = root / MANIFEST
    if not path.is_symlink() and not path.exists():
        return {"runs": _planned_in(root, ablation.name), "arms": []}
    try:
        return read_manifest(root)
    except ValueError as error:
        if isinstance(error.__cause__, OSError):  # it merely cannot be read: not to be written over
            raise
        return {"runs": _planned_in(root, ablation.name), "arms": [], "stated": {"time": None}}


def _planned_in(root: Path, name: str) -> list[str]:
    """Return the runs of an ablation whose folders are there, manifest or not."""
    found = []
    for folder in store.folders(root):
        try:
            spec = store.read_spec(folder)
        except ValueError:
            continue
        if spec.ablation == name:
            found.append(folder.name)
    return found


def _refuse_another(root: Path, ablation: Ablation, before: dict[str, Any]) -> None:
    other = before.get("name", ablation.name)
    labels = {arm["label"] for arm in before["arms"]}
    if other == ablation.name and (not labels or labels & {arm.label for arm in ablation.arms}):
        return
    what = repr(other) if other != ablation.name else f"another ablation named {other!r}"
    raise ValueError(
        f"{root}: holds the {len(before['runs'])} runs of {what}; name another folder with --output"
    )


def _not_needed(root: Path, specs: Sequence[RunSpec]) -> set[str]:
    """Return the runs without a result, unless there is none at all: then all are missing."""
    ended = {spec.folder: (root / spec.folder / store.RESULT).exists() for spec in specs}
    if not any(ended.values()):
        return set()
    return {name for name, over in ended.items() if not over and not runlock.alive(root / name)}


def _arms(ablation: Ablation, contents: Contents) -> dict[str, dict[str, Any]]:
    return {
        arm.label: {
            "label": arm.label,
            "variants": [registry.dump(variant) for variant in arm.interventions],
            "settings": arm.settings.model_dump(mode="json"),
            "contents": contents.of(arm.settings),
        }
        for arm in ablation.arms
    }


def _one_of_each(ablation: Ablation, contents: Contents) -> list[RunSpec]:
    return plan(dataclasses.replace(ablation, seeds=ablation.seeds[:1]), (), contents)


def _kept(
    names: Sequence[str], current: dict[str, RunSpec], each: bool
) -> tuple[list[str], list[str]]:
    """Part the runs planned before: those of variants as they are now, and those of others.

    Variants that the ablation does not name now are left as they were. All runs of a variant in a
    manifest have the same settings, so that one tells for all, unless ``each`` is to be looked at.
    """
    kept, left, known = list[str](), list[str](), dict[str, bool]()
    for name in names:
        label, seed = label_and_seed(name)
        spec = current.get(label)
        if each or label not in known:
            same = (
                spec is None
                or ABSENT in spec.contents.values()
                or spec.model_copy(update={"seed": seed}).folder == name
            )
            known[label] = same
        (kept if known[label] else left).append(name)
    return kept, left


def _statement(root: Path, before: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """Return when contrast and criteria were stated first, and every change since."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    finished = sum((root / name / store.RESULT).is_file() for name in before["runs"])
    here = {key: content[key] for key in STATED} | {"time": now, "finished": finished}
    stated = before.get("stated")
    if stated is None and "contrast" not in before:  # the first of all
        return {"stated": here, "changes": []}
    last = {key: before.get(key) for key in STATED}
    changes = list(before.get("changes", []))
    now_said = shapes.plain({key: content[key] for key in STATED}, MANIFEST)
    if "contrast" in before and last != now_said:
        changes.append(here)
    return {"stated": stated or {"time": None}, "changes": changes}
