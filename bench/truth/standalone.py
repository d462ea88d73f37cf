"""Stand-alone accuracy: every found cell is trained from scratch when its search has ended."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError, field_validator

from bench import ownership
from bench.contracts import identity, registry
from bench.contracts.data import DataSource, Images
from bench.contracts.plain import ReadAs
from bench.contracts.settings import RunSettings
from bench.contracts.space import Space
from bench.contracts.truth import Truth, TruthError, TruthSource
from bench.data._cache import cache_folder
from bench.devices import computing, resolve_device
from bench.runs import checkpoint
from bench.runs import lock as runlock
from bench.search.settings import DataField
from bench.training.train import (
    CHECKPOINT,
    PARTS,
    RESULT,
    Evaluation,
    Recipe,
    evaluate,
    in_words,
    read_training,
)

SCHEMA = 1
"""Of what is kept: raised when the same training would give other numbers than before."""


class Standalone(TruthSource):
    """Train every found cell from scratch when its search has ended, and test it once.

    What `bench evaluate` does, with the space's own recipe where ``training`` does not say
    otherwise. No cell is known before it is found: sub-networks are not ranked, readings along the
    search have no true accuracy, and there is no best cell to fall short of, so that τ, regret and
    percentile stay missing. Works in every space. A training is kept in the cache
    (``$BENCH_CACHE/standalone``), named by a hash of cell, network, recipe, images and seed, and
    goes on after an interruption. Where a training diverges, its accuracy is missing.
    """

    space: ClassVar[str | None] = None
    ranks: ClassVar[bool] = False

    epochs: int = Field(ge=1, description="of each training")
    training: Annotated[dict[str, Any], ReadAs(Recipe)] = Field(
        {}, description="other fields of the recipe, as `bench evaluate --set` takes them"
    )
    network: dict[str, Any] = Field(
        {}, description="fields of the space that differ from the search's: channels, layers, ..."
    )
    data: DataField | None = Field(None, description="images; null: those of the search")
    seeds: int = Field(1, ge=1, le=100, description="trainings of each cell, from seed 0 on")

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @field_validator("training")
    @classmethod
    def _possible(cls, training: dict[str, Any]) -> dict[str, Any]:
        if "epochs" in training:
            raise ValueError("say epochs as truth.epochs")
        Recipe.model_validate(training)
        return training

    def load(self) -> Truth:
        """Refuse: what is found is known in an ablation only."""
        raise TruthError(f"{self.name}: trains what a search finds; say it in an ablation file")

    def of(self, space: Space, data: DataSource) -> Truth:
        """Return a truth that trains the cells which it is asked about; reads the images.

        Raises
        ------
        TruthError
            When recipe, sizes and images do not go together; nothing has been trained then.
        """
        images = self.data or data
        evaluated, recipe = self.evaluated(space), self.recipe(space)
        first = Evaluation(evaluated, _any_cell(evaluated), images, recipe, 0)
        try:
            pair = first.images()
            first.check(pair[0])
        except ValueError as error:
            raise TruthError(f"truth: {self.name}: {error}{_hint(recipe)}") from None
        told = {part: first.describe()[part] for part in PARTS}
        return Trained(
            accuracy={},
            dataset=images.dataset,
            budget=self.epochs,
            split="test" if recipe.test == "test" else "valid",
            provenance="derived cells trained from scratch: "
            + ", ".join(f"{part} {in_words(told[part])}" for part in PARTS)
            + f"; {len(pair[0]):,} images, tested on {len(pair[1]):,}; {self.seeds} seeds",
            sha256=self._hashed(first),
            space=evaluated,
            first=first,
            images=_digest(*pair),
            seeds=self.seeds,
        )

    def content(self, space: Space, data: DataSource) -> str:
        """See `TruthSource.content`; nothing is decoded where the images need not be."""
        evaluated, recipe = self.evaluated(space), self.recipe(space)
        first = Evaluation(evaluated, _any_cell(evaluated), self.data or data, recipe, 0)
        return self._hashed(first)

    def _hashed(self, first: Evaluation) -> str:
        """Hash what determines the accuracy of any cell."""
        told = {part: identity.described(getattr(first, part)) for part in PARTS}
        return identity.digest([told, self.seeds, first.contents])

    def multiply_adds(self, settings: RunSettings) -> float:
        """See `TruthSource.multiply_adds`; a random cell stands for the one that will be found."""
        data, space = self.data or settings.data, self.evaluated(settings.space)
        resolution, images = data.extent()
        own = Counter(target for _, target in space.edges)
        kept = sum(min(n, space.keeps() or n) for n in own.values())
        share = kept / len(space.edges) / len(space.operations)
        part = 0.5 if self.recipe(space).test == "half" else 1.0
        each = space.size(resolution).operations / 1e9 * share
        return self.seeds * self.epochs * part * images * 3 * each

    def recipe(self, space: Space) -> Recipe:
        """Return how cells of a space are trained."""
        return Recipe.model_validate({**space.recipe, **self.training, "epochs": self.epochs})

    def evaluated(self, space: Space) -> Space:
        """Return the space with the sizes at which its cells are trained."""
        found: Space = _parsed(
            "network", lambda: registry.parse("spaces", {**registry.dump(space), **self.network})
        )
        return found


@dataclass(frozen=True)
class Trained(Truth):
    """Accuracies of the cells that were asked about, and of no others.

    Attributes
    ----------
    first
        How cells are trained, with any cell and seed in it.
    images
        Hash of the images.
    seeds
        Trainings of each cell.
    """

    accuracy: dict[str, NDArray[np.float64]]
    first: Evaluation = field(kw_only=True)
    images: str = field(kw_only=True)
    seeds: int = field(kw_only=True)

    @property
    def reference(self) -> list[str]:
        """None: a cell has no rank among those that happened to be found."""
        return []

    def accuracy_of(self, cell: str, notify: Callable[[str], None] = lambda text: None) -> float:
        """Train the cell, unless that has been done, and return its mean accuracy."""
        if cell not in self.accuracy:
            self.accuracy[cell] = np.array(
                [self._train(cell, seed, notify) for seed in range(self.seeds)]
            )
        return super().accuracy_of(cell, notify)

    def _train(self, cell: str, seed: int, notify: Callable[[str], None]) -> float:
        own = self.first
        evaluation = Evaluation(own.space, own.space.decode(cell), own.data, own.recipe, seed)
        with contextlib.ExitStack() as held:
            folder = self._held(evaluation, held)
            if folder is not None:
                if (kept := _kept(folder, evaluation.digest)) is not None:
                    return kept
                _drop_unsound(folder, evaluation)
            notify(f"stand-alone training of the derived cell, seed {seed}")
            try:
                with computing(deterministic=False):
                    found = evaluate(evaluation, folder, notify)
            except ArithmeticError as error:
                print(f"stand-alone training diverged: {error}: {cell}", file=sys.stderr)
                return math.nan
            if folder is not None:
                (folder / CHECKPOINT).unlink(missing_ok=True)
        return float(found["accuracy"])

    def _held(self, evaluation: Evaluation, held: contextlib.ExitStack) -> Path | None:
        """Return the folder that keeps a training, locked; None where there can be none."""
        try:
            folder = self._folder(evaluation)
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(runlock.hold(folder))  # another run may have found the same cell
        except OSError as error:
            reason = error.strerror or str(error)
            print(f"warning: stand-alone trainings are not kept ({reason})", file=sys.stderr)
            return None
        return folder

    def _folder(self, evaluation: Evaluation) -> Path:
        """Name what determines a training: where the images lie does not."""
        content = {k: v for k, v in evaluation.describe().items() if k != "data"} | {
            "images": self.images,
            "schema": SCHEMA,
            "torch": torch.__version__,
            "device": resolve_device(evaluation.recipe.device).type,
        }
        name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
        return cache_folder() / "standalone" / name


def _kept(folder: Path, digest: str) -> float | None:
    """Return the accuracy that was found before; None where there is none, or none to believe.

    Parameters
    ----------
    digest
        Of the training that is asked for: a sound one of another cell may have been put here.
    """
    try:
        ownership.check_folder(folder)  # what others may write to is no place to believe
        told = read_training(folder / RESULT)
    except (OSError, ValueError):
        return None
    return float(told["accuracy"]) if told is not None and told["digest"] == digest else None


def _drop_unsound(folder: Path, evaluation: Evaluation) -> None:
    """Remove a checkpoint that is damaged, or was written when the images lay elsewhere."""
    path = folder / CHECKPOINT
    try:
        if path.is_file():
            checkpoint.load(path, evaluation.digest)
    except checkpoint.CheckpointError:
        path.unlink()


def _any_cell(space: Space) -> tuple[int, ...]:
    return space.sample(1, torch.Generator().manual_seed(0))[0]


def _digest(*parts: Images) -> str:
    """Hash what networks see of images."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr((part.pixels.shape, part.mean, part.std, part.crop, part.flip)).encode())
        digest.update(part.pixels.contiguous().numpy().tobytes())
        digest.update(part.labels.numpy().tobytes())
    return digest.hexdigest()


def _hint(recipe: Recipe) -> str:
    return "" if recipe.test == "half" else " (truth.training.test=half tests on half of them)"


def _parsed(what: str, make: Callable[[], Any]) -> Any:
    """Call ``make``; what pydantic says becomes one line."""
    from bench.ablation.mistakes import first_error  # late: saves start-up time
    from bench.ablation.yamlfile import dotted  # late: saves start-up time

    try:
        return make()
    except ValidationError as error:
        place, message = first_error(error)
        raise TruthError(f"{what}.{dotted(place)}: {message}") from None
