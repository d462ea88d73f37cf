"""What every space promises."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch

from bench.conformance import Check, expect
from bench.conformance._small import searched
from bench.contracts import registry
from bench.contracts.space import Architecture, Space
from bench.streams import generator


def _some(space: Space, count: int = 20) -> list[Architecture]:
    return space.sample(count, generator("cpu", 0, "check"))


def written(space: Space) -> None:
    """Cells are written and read back; what is no cell is refused with a ValueError."""
    for cell in _some(space):
        text = space.encode(cell)
        expect(space.decode(text) == cell, f"{text!r} is read as {space.decode(text)}")
        expect(space.spell(text) == text, f"{text!r} is spelt {space.spell(text)!r}")
    for text in ("", "no cell", "|" * 9):
        try:
            space.decode(text)
        except ValueError:
            continue
        raise AssertionError(f"{text!r} is taken for a cell")


def shaped(space: Space) -> None:
    """Operations and edges fit each other."""
    expect(len(set(space.operations)) == len(space.operations) > 0, "operations: each once")
    expect(all(a < b for a, b in space.edges), "an edge leads backwards")
    expect(len(space.edge_names) == len(space.edges), "edge_names: one for every edge")
    if space.enumerable:
        first = list(itertools.islice(space.architectures(), 100))
        expect(len(set(first)) == len(first), "architectures() repeats itself")


def network(space: Space) -> None:
    """A cell's network gives logits, and counts as many weights each time."""
    images = torch.rand(3, 1, 16, 16)
    for cell in _some(space, 4):
        net = space.network(cell, 1, 10, seed=0)
        expect(net(images).shape == (3, 10), f"{space.encode(cell)}: logits of another shape")
        alone = space.standalone(cell, 1, 10, seed=0)
        expect(alone(images).shape == (3, 10), f"{space.encode(cell)}: logits of another shape")


def supernet_is_the_network(space: Space) -> None:
    """The supernet at a one-hot mixture is the cell's network with the same weights, in float64."""
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    supernet = space.supernet(1, 10, seed=0).double()
    for cell in _some(space, 4):
        net = space.network(cell, 1, 10, seed=0).double()
        inherit: Any = getattr(net, "inherit", None)
        expect(inherit is not None, "its networks have no inherit(supernet), which copies weights")
        inherit(supernet)
        mixture = space.one_hot(cell).double()
        with torch.no_grad():
            far = (supernet(images, mixture, space.active(cell)) - net(images)).abs().max()
        expect(float(far) < 1e-10, f"{space.encode(cell)}: logits differ by {float(far):.1e}")


def seeded(space: Space) -> None:
    """Initial weights depend on the seed alone, and the global stream is left alone."""
    before = torch.get_rng_state()
    one, two, other = (space.supernet(1, 10, seed=s).state_dict() for s in (0, 0, 1))
    expect(torch.equal(before, torch.get_rng_state()), "it draws from torch's global stream")
    expect(all(torch.equal(one[n], two[n]) for n in one), "two supernets of one seed differ")
    expect(any(not torch.equal(one[n], other[n]) for n in one), "two seeds give the same weights")


def searches(space: Space) -> None:
    """It can be searched, and what is found is one of its cells."""
    setup, state = searched(space=registry.dump(space))
    expect(math.isfinite(state.history[-1]["train_loss"]), "the training loss is not finite")
    cell = setup.space.discretise(setup.strength(state))
    expect(space.decode(space.encode(cell)) == cell, f"{cell} is no cell")
    expect(space.parameters(cell) >= 0 and math.isfinite(space.size(8).operations), "size")


CHECKS: dict[str, Check] = {
    "operations and edges fit each other": shaped,
    "cells are written and read back": written,
    "cells are networks": network,
    "the supernet at a one-hot mixture is the cell's network": supernet_is_the_network,
    "weights depend on the seed alone": seeded,
    "can be searched": searches,
}
