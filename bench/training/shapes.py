"""What a kept training and a line of a table's journal hold: what is looked at, by name and type."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bench.shapes import Number, Seed, Shape, Whole


def _percent(value: Any) -> Any:
    if not 0 <= value <= 100:
        raise ValueError("not a percentage in 0..100")
    return value


def _positive(value: Any) -> Any:
    if value < 0:
        raise ValueError("below zero")
    return value


Percent = Annotated[Number, AfterValidator(_percent)]
Amount = Annotated[Number, AfterValidator(_positive)]


class Epoch(Shape):
    """What was recorded of one epoch."""

    epoch: Annotated[int, Field(ge=1)]
    lr: Number
    train_loss: Number
    train_accuracy: Percent
    seconds: Amount


class Training(Shape):
    """``evaluation.json``."""

    genotype: str
    space: dict[str, Any]
    data: dict[str, Any]
    recipe: dict[str, Any]
    seed: Seed
    digest: str
    accuracy: Percent
    loss: Number | None = None
    parameters: Amount
    train_images: Whole
    test_images: Whole
    seconds: Amount
    history: list[Epoch]
    torch: str
    device: str


class Row(Shape):
    """A trial of ``trials.jsonl``."""

    arch: Annotated[str, Field(min_length=1)]
    dataset: Annotated[str, Field(min_length=1)]
    budget: Annotated[int, Field(ge=1, le=2**31 - 1)]
    seed: Seed
    parameters: Amount | None = None
    flops: Amount | None = None
    train_seconds: Amount | None = None
    train_accuracy: Percent | None = None
    valid_accuracy: Percent | None = None
    test_accuracy: Percent | None = None
    train_loss: Number | None = None
    valid_loss: Number | None = None
    test_loss: Number | None = None
