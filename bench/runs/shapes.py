"""What results, manifests and reports of progress hold: what is looked at, by name and type."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field

from bench import shapes
from bench.names import LABEL
from bench.shapes import Grid, Label, Names, Number, Seed, Shape, Whole

FOLDER = re.compile(
    rf"(?P<label>{LABEL.pattern})-seed(?P<seed>[0-9]{{1,16}})-(?P<digest>[0-9a-f]{{1,64}})"
)
"""The name of a run's folder."""
OUTCOMES = Literal[
    "ok",
    "diverged",
    "out_of_memory",
    "failed",
    "interrupted",
    "disk_full",
    "storage_error",
    "killed",
    "cancelled",
]
"""`bench.contracts.executor.Outcome`, without loading what that needs."""


def label_and_seed(folder: str) -> tuple[str, int]:
    """Return the variant and the seed that a run's folder is named after.

    A name that is none is its own label, with seed 0.
    """
    named = FOLDER.fullmatch(folder)
    return (named["label"], int(named["seed"])) if named else (folder, 0)


def in_order(folders: Iterable[str], labels: Iterable[str]) -> list[str]:
    """Sort names of run folders by seed, and within a seed as the variants are stated."""
    order = {label: i for i, label in enumerate(labels)}

    def place(name: str) -> tuple[int, int, str]:
        label, seed = label_and_seed(name)
        return seed, order.get(label, len(order)), name

    return sorted(folders, key=place)


def _folder(name: str) -> str:
    if not FOLDER.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is not the name of a run folder")
    return name


def _file(name: str) -> str:
    if Path(name).name != name or name.startswith("."):
        raise ValueError(f"{name[:80]!r} is not the name of a file")
    return name


class Entry(Shape):
    """What was recorded of one epoch."""

    epoch: Whole
    alpha: Grid = None
    __pydantic_extra__: dict[str, Any]


class Stopped(Shape):
    """Why and when a search stopped itself."""

    reason: str | None = None
    epoch: Annotated[int, Field(ge=1)] | None = None


class Images(Shape):
    """The images of a run."""

    dataset: str | None = None
    label: str | None = None
    images: Whole | None = None


class Truth(Shape):
    """What a run's cell was judged by."""

    dataset: str | None = None
    split: str | None = None
    budget: str | Whole | None = None
    provenance: str | None = None
    sha256: str | None = None
    cells: Whole | None = None
    best: Number | None = None
    random: Number | None = None


class Provenance(Shape):
    """The code and the machine that made a result."""

    sources: dict[str, str] = Field({})
    legs: list[dict[str, Any]] = Field([])


class Result(Shape):
    """``result.json``; columns that only some runs have are plain values."""

    status: OUTCOMES
    ablation: str | None = None
    label: Label | None = None
    seed: Seed | None = None
    digest: str | None = None
    error: str | None = None
    cell: str | None = None
    contents: dict[str, str] = Field({})
    files: dict[Annotated[str, AfterValidator(_file)], str] = Field({})
    reasons: dict[str, str] = Field({})
    stopped: Stopped | None = None
    history: list[Entry] = Field([])
    data: Images | None = None
    truth: Truth | None = None
    provenance: Provenance | None = None
    kernel: str | None = None
    kernel_reason: str | None = None
    processor: str | None = None
    source: str | None = None
    protocol: str | None = None
    seconds: Number | None = None
    search_seconds: Number | None = None
    ranking_seconds: Number | None = None
    work: Number | None = None
    weight_free_share: Number | None = None
    percentile: Number | None = None


class Contrast(Shape):
    """The comparison that was stated."""

    metric: Annotated[str, Field(min_length=1)]
    of: str
    against: str
    expect: Literal["lower", "higher", "different"] | None = None
    smallest: Number | None = None


class Stated(Shape):
    """When a contrast was stated, and how many results there were."""

    time: str | None = None
    finished: Whole | None = None
    contrast: Contrast | None = None


class Search(Shape):
    """Of a variant's search, what pages use."""

    epochs: Annotated[int, Field(ge=1, le=10**9)] | None = None


class Settings(Shape):
    """Of a variant's settings, what pages use; what runs use is checked when it is to run."""

    search: Search | None = None
    space: dict[str, Any] | str | None = None
    data: dict[str, Any] | str | None = None
    device: str | None = None
    instruments: list[dict[str, Any] | str] = Field([])


class Arm(Shape):
    """A variant."""

    label: Label
    variants: list[Any] = Field([])
    settings: Settings = Settings()
    contents: dict[str, str] = Field({})


def _other_labels(arms: list[Arm]) -> list[Arm]:
    shapes.distinct([arm.label for arm in arms])
    return arms


class Manifest(Shape):
    """``ablation.json``."""

    name: str = ""
    question: str
    contrast: Contrast
    explanation: dict[str, Any] | None = None
    profile: str = ""
    seeds: list[Seed] = Field([])
    command: str = ""
    commands: list[str] = Field([])
    arms: Annotated[list[Arm], AfterValidator(_other_labels)]
    until: dict[str, Any] | None = None
    runs: Annotated[Names, AfterValidator(lambda names: [_folder(name) for name in names])]
    stated: Stated | None = None
    changes: list[Stated] = Field([])


TEXTS = ("status", "error", "source", "kernel", "kernel_reason", "processor", "cell", "protocol")
"""Columns of a row of the index that are texts where they are there."""
PLAIN = frozenset((str, int, float, bool, type(None)))


def row(value: Any) -> bool:
    """Say whether this can be the plain columns of a result."""
    return (
        isinstance(value, dict)
        and value.get("status") in get_args(OUTCOMES)
        and PLAIN.issuperset(map(type, value.values()))
        and all(isinstance(value.get(name, ""), str | None) for name in TEXTS)
    )


def _text(value: Any) -> bool:
    return type(value) is str


def _real(value: Any) -> bool:
    return type(value) in (int, float)


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


PROGRESS = {
    "time": _real,
    "elapsed": _real,
    "pid": _count,
    "epoch": _count,
    "epochs": _count,
    "status": _text,
    "error": _text,
    "doing": _text,
}
"""What is looked at in ``progress.json``, and whether a value is what it should be."""
