"""What is to be trained from scratch, put together of a genotype and settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.ablation.layers import Layer
from bench.ablation.yamlfile import ConfigError
from bench.contracts import registry
from bench.contracts.space import Space
from bench.training.train import Evaluation, Recipe
from bench.written import one_line


def read(genotype: str, asked: Layer | Sequence[str], seed: int) -> Evaluation:
    """Put together what is asked for, beginning with how the space's networks are evaluated.

    Parameters
    ----------
    asked
        Fields of the recipe, ``data`` and ``space``: a layer, or assignments as of ``--set``.

    Raises
    ------
    ValueError
        When no space knows the genotype, or a setting is not one.
    """
    layer = asked if isinstance(asked, Layer) else Layer()
    if not isinstance(asked, Layer):
        layer.assign(asked)
    space_layer, data_layer = layer.part("space"), layer.part("data")
    space = _space(genotype, space_layer)
    data_layer.data.setdefault("name", "cifar10")
    if "name" in layer.data:
        raise ConfigError("--set name: expected a field of the recipe, data.KEY or space.KEY")
    layer.data = {**space.recipe, **layer.data}
    data = data_layer.member("data", within="data")
    return Evaluation(space, space.decode(genotype), data, layer.read(Recipe), seed)


def _space(genotype: str, asked: Layer) -> Space:
    """Return the space that the text is written in, with the sizes that are asked for."""
    fields = asked.data
    reasons = []
    wanted = fields.get("name")
    for name in registry.names("spaces") if wanted is None else [wanted]:
        kind = registry.load("spaces", name)
        try:
            # The sizes do not matter to the text, so that a mistake in them is said as such.
            registry.parse("spaces", {"name": name, **_naming(kind, fields)}).decode(genotype)
        except ValueError as error:
            reasons.append(f"{name}: {one_line(error)}")
            continue
        whole = Layer({**kind.evaluated, **fields, "name": name}, asked.origin)
        space: Space = whole.member("spaces", within="space")
        return space
    raise ConfigError(f"no space knows this architecture; {'; '.join(reasons)}")


def _naming(kind: type[Space], fields: dict[str, Any]) -> dict[str, Any]:
    """Return those of the fields that decide how an architecture is written."""
    naming = ("operations", "per_edge", "nodes", "preset")
    return {
        key: value
        for key, value in fields.items()
        if key in naming and (key in kind.model_fields or key == "preset")
    }
