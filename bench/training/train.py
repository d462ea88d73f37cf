"""One architecture trained from scratch: what it is worth when nothing is shared."""

from __future__ import annotations

import functools
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from bench import shapes
from bench.batches import plain_batches, steps_per_epoch, training_batch
from bench.contracts import identity, registry
from bench.contracts.data import DataSource, Images
from bench.contracts.plain import Plain
from bench.contracts.space import Architecture, Space, Standalone
from bench.files import UnfitFileError
from bench.runs import checkpoint, fit, store
from bench.streams import generator
from bench.training.fit import refuse_small_for_network
from bench.training.shapes import Epoch, Training

CHECKPOINT, RESULT = "checkpoint.pt", "evaluation.json"
PARTS = ("space", "data", "recipe")


class Recipe(Plain):
    """How a network is trained; the defaults are those of the DARTS paper for CIFAR-10."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False
    )

    epochs: int = Field(600, ge=1)
    batch: int = Field(96, ge=2)
    lr: float = Field(0.025, gt=0, description="of SGD; a cosine goes from here to lr_min")
    lr_min: float = Field(0.0, ge=0)
    cosine: Literal["epoch", "step"] = Field(
        "epoch",
        description="when the rate falls: at the start of every epoch, as in the official code of DARTS "
        "and of NAS-Bench-201, so that the last epoch's is above lr_min; or before every step",
    )
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(3e-4, ge=0)
    clip: float | None = Field(5.0, gt=0, description="global gradient norm; null: no clipping")
    drop_path: float = Field(0.2, ge=0, lt=1, description="grown to, linearly over the epochs")
    cutout: int = Field(16, ge=0, description="side in pixels of the square that is blanked")
    auxiliary: float = Field(0.4, ge=0, description="weight of the auxiliary head; 0: none")
    test: Literal["test", "half"] = Field(
        "test", description="half: train on half of the training images, test on the other half"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = Field(1, ge=1)


@dataclass(frozen=True)
class Evaluation:
    """What is trained on what, and how.

    Attributes
    ----------
    space
        With the sizes of the network.
    """

    space: Space
    architecture: Architecture
    data: DataSource
    recipe: Recipe
    seed: int

    def describe(self) -> dict[str, Any]:
        """Return all that was asked for, as plain data."""
        return {
            "genotype": self.space.encode(self.architecture),
            "space": registry.dump(self.space),
            "data": registry.dump(self.data),
            "recipe": self.recipe.model_dump(mode="json"),
            "seed": self.seed,
        }

    @functools.cached_property
    def contents(self) -> dict[str, str]:
        """Hashes of the images that are trained and tested on; the same wherever they lie."""
        found = {"train": self.data.content(train=True)}
        return found if self.recipe.test == "half" else found | {"test": self.data.content(False)}

    @property
    def digest(self) -> str:
        """The identity: a hash of what determines the outcome."""
        told = self.describe() | {name: identity.described(getattr(self, name)) for name in PARTS}
        return identity.digest(told | {"contents": self.contents})[:16]

    def images(self) -> tuple[Images, Images]:
        """Return the images to train on and those to test on."""
        if self.recipe.test == "half":
            halves = self.data.halves()
            return halves.train, halves.valid
        return self.data.load(train=True), self.data.load(train=False)

    def check(self, images: Images) -> None:
        """Refuse, before anything is trained, images too small for the network.

        Raises
        ------
        DataError
            One line with the size that is enough.
        """
        refuse_small_for_network(
            lambda: self.network(images), lambda network, sample: network.both(sample), images
        )

    def network(self, images: Images) -> Standalone:
        """Build the network.

        Raises
        ------
        ValueError
            When the recipe asks for what the space's networks do not have.
        """
        network = self.space.standalone(
            self.architecture,
            images.channels,
            images.classes,
            self.seed,
            auxiliary=self.recipe.auxiliary > 0,
        )
        if self.recipe.drop_path and not network.drops_paths:
            raise ValueError(f"drop_path: networks of {self.space.name} do not drop paths; use 0")
        return network


def evaluate(
    evaluation: Evaluation,
    folder: Path | None = None,
    notify: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train the network and test it once, at the end.

    Parameters
    ----------
    evaluation
        What is trained, on what, how and from which seed.
    folder
        Where a checkpoint is kept after every epoch, to go on from, and the result is written.
    notify
        Called with a line after every epoch; what it raises ends the training.

    Returns
    -------
    dict[str, Any]
        ``accuracy`` (percent) and ``loss`` (nats) on the test images, ``parameters`` (without the auxiliary
        head), ``history`` by epoch, and what determined them.

    Raises
    ------
    ArithmeticError
        When the loss is not finite.
    """
    from bench.devices import computing, resolve_device  # late: saves start-up time

    recipe, device = evaluation.recipe, resolve_device(evaluation.recipe.device)
    train, test = (images.to(device) for images in evaluation.images())
    evaluation.check(train)
    network = evaluation.network(train).to(device)
    optimizer = make_optimizer(network, recipe)
    history: list[dict[str, float]] = []
    path = folder / CHECKPOINT if folder else None
    if path and path.is_file():
        history = _resume(path, evaluation, network, optimizer)
        notify(f"goes on after epoch {len(history)}")
    with computing(recipe.threads):
        for epoch in range(len(history), recipe.epochs):
            history.append(epoch_of(evaluation, network, optimizer, train, epoch))
            if path:
                state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
                checkpoint.save(path, evaluation.digest, {**state, "history": history})
            notify(_line(history[-1], recipe.epochs))
        accuracy, loss = measure(network, test, evaluation.seed)
    result = {
        **evaluation.describe(),
        "digest": evaluation.digest,
        "accuracy": accuracy,
        "loss": loss,
        "parameters": network.count(),
        "train_images": len(train),
        "test_images": len(test),
        "seconds": sum(entry["seconds"] for entry in history),
        "history": history,
        "torch": torch.__version__,
        "device": str(device),
    }
    if folder:
        store.write_json(folder / RESULT, store.seal(result))
    return result


def read_training(path: Path) -> dict[str, Any] | None:
    """Return what `evaluate` wrote; None where there is nothing or any byte of it has changed.

    Raises
    ------
    UnfitFileError
        One line naming the field, where its checksum was made for what is none.
    OSError
        When it is there and cannot be read.
    """
    if (told := store.read_sealed(path)) is None:
        return None
    told = shapes.plain(told, path)
    shapes.check(Training, told, path)
    assert isinstance(told, dict)
    return told


def _resume(
    path: Path, evaluation: Evaluation, network: Standalone, optimizer: torch.optim.SGD
) -> list[dict[str, float]]:
    """Take over a checkpoint and return its history; one that does not fit is set aside."""
    saved = checkpoint.load(path, evaluation.digest)
    try:
        fit.keys(saved, {"network", "optimizer", "history"}, "checkpoint")
        fit.same(saved["network"], dict(network.state_dict()), "network")
        fit.optimizer(saved["optimizer"], optimizer, "optimizer", {"lr": None})
        history: list[dict[str, float]] = saved["history"]
        fit.same(history, [], "history")
        fit.whole(len(history), 0, evaluation.recipe.epochs, "history")
        for done, entry in enumerate(history):
            shapes.check(Epoch, entry, f"history[{done}]")
            fit.whole(entry["epoch"], done + 1, done + 1, f"history[{done}].epoch")
    except (fit.MisfitError, UnfitFileError) as error:
        aside = path.with_name("refused.pt")
        print(f"{path}: {error}; kept as {aside.name}, starting again", file=sys.stderr)
        os.replace(path, aside)
        return []
    network.load_state_dict(saved["network"])
    optimizer.load_state_dict(saved["optimizer"])
    return history


def make_optimizer(network: Standalone, recipe: Recipe) -> torch.optim.SGD:
    """Return the optimiser of a network's weights."""
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
    )


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0; an epoch has ``steps`` of them.

    NAS-Bench-201's scheduler is told of every step, but its cosine looks at whole epochs alone
    (``CosineAnnealingLR.get_lr`` in AutoDL-Projects' ``procedures/optimizers.py``: the fraction
    counts while warming up, which the benchmark does not). Over 200 epochs the two ways differ by
    little; over four, by epoch, the last quarter of the training is at 0.15 of the first rate.
    """
    done = step / steps if recipe.cosine == "step" else step // steps
    cosine = 0.5 * (1 + math.cos(math.pi * done / recipe.epochs))
    return recipe.lr_min + (recipe.lr - recipe.lr_min) * cosine


def epoch_of(
    evaluation: Evaluation,
    network: Standalone,
    optimizer: torch.optim.SGD,
    images: Images,
    epoch: int,
) -> dict[str, float]:
    """Train one epoch; everything drawn is a function of seed and step."""
    recipe, started = evaluation.recipe, time.perf_counter()
    device = images.pixels.device
    network.train()
    network.drop_path = recipe.drop_path * epoch / recipe.epochs
    steps, seed = steps_per_epoch(images, recipe.batch), evaluation.seed
    total, right, seen = 0.0, 0, 0
    for step in range(epoch * steps, (epoch + 1) * steps):
        optimizer.param_groups[0]["lr"] = rate(recipe, step, steps)
        batch = training_batch(images, recipe.batch, step, seed, "evaluation")
        pixels = cutout(batch.images, recipe.cutout, generator(device, seed, "cutout", step))
        network.draws = generator(device, seed, "network", step)
        logits, auxiliary = network.both(pixels)
        loss = F.cross_entropy(logits, batch.labels)
        if not math.isfinite(value := loss.item()):
            raise ArithmeticError(f"training loss is {value} in epoch {epoch + 1}, step {step}")
        if auxiliary is not None:
            loss = loss + recipe.auxiliary * F.cross_entropy(auxiliary, batch.labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        if recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        optimizer.step()
        total += value * len(batch.labels)
        right += int((logits.argmax(-1) == batch.labels).sum())
        seen += len(batch.labels)
    return {
        "epoch": epoch + 1,
        "lr": rate(recipe, epoch * steps, steps),
        "train_loss": total / seen,
        "train_accuracy": 100 * right / seen,
        "seconds": time.perf_counter() - started,
    }


@torch.no_grad()
def measure(network: Standalone, images: Images, seed: int) -> tuple[float, float]:
    """Return accuracy in percent and mean loss, with running statistics."""
    network.eval()
    network.draws = generator(images.pixels.device, seed, "test")
    right, loss = 0, 0.0
    for batch in plain_batches(images, 500):
        logits = network(batch.images)
        right += int((logits.argmax(-1) == batch.labels).sum())
        loss += float(F.cross_entropy(logits, batch.labels, reduction="sum"))
    return 100 * right / len(images), loss / len(images)


def cutout(images: Tensor, side: int, draws: torch.Generator) -> Tensor:
    """Blank a square around a random pixel of every image (arXiv:1708.04552).

    Parameters
    ----------
    images
        Normalised [B, C, H, W]; blank is zero, the mean. The square may reach over the border.
    """
    if side == 0:
        return images
    count, _, height, width = images.shape
    kept = torch.ones(count, 1, height, width, dtype=torch.bool, device=images.device)
    inside = []
    for length, shape in ((height, (-1, 1, height, 1)), (width, (-1, 1, 1, width))):
        middle = torch.randint(length, (count, 1), generator=draws, device=images.device)
        place = torch.arange(length, device=images.device)
        begin = middle - side // 2
        inside.append(((place >= begin) & (place < begin + side // 2 * 2)).view(shape))
    return images * (kept & ~(inside[0] & inside[1]))


def in_words(values: dict[str, Any]) -> str:
    """Write plain settings on one line, without what is not set."""

    def listed(value: list[Any]) -> str:
        plain = all(isinstance(entry, str) for entry in value)
        return "/".join(value) if plain else f"{len(value)} lists"

    return " ".join(
        f"{k}={listed(v) if isinstance(v, list) else v}"
        for k, v in values.items()
        if v is not None and k != "name"
    )


def _line(entry: dict[str, float], epochs: int) -> str:
    return (
        f"epoch {entry['epoch']:.0f}/{epochs}  loss {entry['train_loss']:.3f}  "
        f"train {entry['train_accuracy']:.1f} %  {entry['seconds']:.0f} s"
    )
