"""Whether images are large enough for a network: asked before a search or a training begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from bench.contracts.data import DataError, Images
from bench.contracts.space import Space
from bench.runs import checkpoint

SIDES = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 224)
"""Pixels a side that are tried to say what would be enough."""


def refuse_small_for_supernet(space: Space, images: Images) -> None:
    """Refuse images that the supernet of a space would reduce to nothing.

    Raises
    ------
    DataError
        One line with the size that is enough.
    """

    def run(sample: Tensor) -> None:
        supernet = space.supernet(images.channels, images.classes, 0)
        mixture = torch.full((len(space.edges), len(space.operations)), 1.0)
        # What the search draws itself needs its hooks; sizes are told by the other operations.
        known = [i for i, name in enumerate(space.operations) if name not in space.drawn]
        rows = space.candidates() or [known] * len(space.edges)
        supernet(sample, mixture, [[o for o in row if o in known] for row in rows])

    _refuse_small(images, f"the supernet of {space.name}", run)


Network = TypeVar("Network", bound=nn.Module)


def refuse_small_for_network(
    build: Callable[[], Network], forward: Callable[[Network, Tensor], object], images: Images
) -> None:
    """Refuse images that a network would reduce to nothing.

    Parameters
    ----------
    build
        Makes a network of its own: it is run in training mode and thrown away.
    forward
        Runs it on images [2, C, H, W].

    Raises
    ------
    DataError
        One line with the size that is enough.
    """
    _refuse_small(images, "this network", lambda sample: forward(build().train(), sample))


def _refuse_small(images: Images, what: str, run: Callable[[Tensor], object]) -> None:
    height, width = images.pixels.shape[-2:]
    if (error := _failure(run, images.channels, height, width)) is None:
        return
    larger = [side for side in SIDES if side > min(height, width)]
    enough = next((s for s in larger if _failure(run, images.channels, s, s) is None), None)
    if enough is None:  # something else is wrong: it is said as it is
        raise error
    raise DataError(
        f"images of {width}x{height} pixels are too small for {what}; {enough}x{enough} are enough "
        "(data.resolution, data.resize)"
    )


def _failure(
    run: Callable[[Tensor], object], channels: int, height: int, width: int
) -> Exception | None:
    """Return what PyTorch raises on two empty images; nothing is drawn from a global stream."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            run(torch.zeros(2, channels, height, width))
        except MemoryError:
            return None
        except (RuntimeError, ValueError) as error:
            # Too large for this machine is no fault of the images: the run itself will say so.
            return None if checkpoint.out_of_memory(error) else error
    return None
