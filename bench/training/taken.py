"""Which network a folder holds: one that was trained from scratch, or a search's, with its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from bench import shapes
from bench.ablation.mistakes import first_error
from bench.batches import plain_batches
from bench.contracts import registry
from bench.contracts.data import Images
from bench.runs import checkpoint, fit, store
from bench.training.takeaway import TakeawayError
from bench.training.train import CHECKPOINT, RESULT, Evaluation, Recipe, read_training
from bench.written import one_line

SAMPLE = 8


def network_of(folder: Path) -> tuple[nn.Module, dict[str, Any], Tensor, Images]:
    """Return the network of a folder, what is told of it, some normalised images, and their source.

    Parameters
    ----------
    folder
        Of ``bench evaluate --output``, or the folder of one run of a search: its derived cell with the
        weights that it has in the supernet.

    Raises
    ------
    ValueError
        One line: it is neither, or its checkpoint is missing or another's.
    """
    if (folder / RESULT).is_file():
        return _trained(folder)
    if (folder / store.RESULT).is_file():
        return _searched(folder)
    raise TakeawayError(
        f"{folder}: neither a folder of `bench evaluate --output` nor of a finished run of a search"
    )


def _trained(folder: Path) -> tuple[nn.Module, dict[str, Any], Tensor, Images]:
    path = folder / RESULT
    told = read_training(path)
    if told is None:
        raise TakeawayError(f"{path}: was changed since it was written")
    evaluation = _evaluation(told, path)
    train, test = evaluation.images()
    network = evaluation.network(train)
    saved = checkpoint.load(folder / CHECKPOINT, evaluation.digest)
    try:
        fit.same(saved.get("network"), dict(network.state_dict()), "network")
    except fit.MisfitError as error:
        raise TakeawayError(f"{folder / CHECKPOINT}: {error}") from None
    network.load_state_dict(saved["network"])
    keep = {key: told[key] for key in told if key not in ("history", "checksum")}
    return (
        network,
        keep | {"channels": train.channels, "origin": "from scratch"},
        _some(test),
        train,
    )


def _evaluation(told: dict[str, Any], path: Path) -> Evaluation:
    """Return what was trained; as with the runs of others, it downloads nothing."""

    def part(field: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except ValidationError as error:
            at, message = first_error(error)
            raise TakeawayError(f"{path}: {shapes.dotted((field, *at))}: {message}") from None
        except ValueError as error:
            raise TakeawayError(f"{path}: {field}: {one_line(error, 200)}") from None

    space = part("space", lambda: registry.parse("spaces", told["space"]))
    return Evaluation(
        space,
        part("genotype", lambda: space.decode(told["genotype"])),
        part("data", lambda: registry.parse("data", told["data"])).offline(),
        part("recipe", lambda: Recipe.model_validate(told["recipe"])),
        told["seed"],
    )


def _searched(folder: Path) -> tuple[nn.Module, dict[str, Any], Tensor, Images]:
    from bench.runs.reopen import reopen  # late: builds a search

    spec, result = store.read_spec(folder), store.read_result(folder)
    if result is None or not isinstance(result.get("cell"), str):
        raise TakeawayError(f"{folder}: has no derived cell")
    setup, state = reopen(folder)
    images = setup.data.train
    try:
        cell = setup.space.decode(result["cell"])
    except ValueError as error:
        raise TakeawayError(f"{folder / store.RESULT}: cell: {error}") from None
    network = setup.space.network(cell, images.channels, images.classes, setup.seed)
    inherit = getattr(network, "inherit", None)
    if inherit is None:
        raise TakeawayError(
            f"{folder}: networks of {setup.space.name} take no weights of a supernet"
        )
    inherit(state.supernet)
    told = {
        "genotype": result["cell"],
        "space": registry.dump(setup.space),
        "data": registry.dump(spec.settings.data),
        "seed": spec.seed,
        "label": spec.label,
        "true_accuracy": result.get("true_accuracy"),
        "channels": images.channels,
        "origin": "none of its own: the weights that the cell has in the supernet of its search",
    }
    return network, told, _some(setup.data.valid), images


def _some(images: Images) -> Tensor:
    batch = next(iter(plain_batches(images, min(SAMPLE, len(images)), min(SAMPLE, len(images)))))
    found: Tensor = batch.images.detach().to(torch.device("cpu"))
    return found
