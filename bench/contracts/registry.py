"""The seams: members are found by file name and loaded only when asked for.

A seam is a package of `bench` with one contract class (a `Member`) in `bench.contracts`. Every
module in it that does not start with an underscore holds exactly one member and is named like it:
``bench/variants/skip_dropout.py`` is the variant ``skip_dropout``. Adding a member is adding a file.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import Any

from bench.contracts.member import Member

SEAMS: dict[str, tuple[str, str]] = {
    "spaces": ("space", "Space"),
    "hypergradients": ("hypergradient", "Hypergradient"),
    "variants": ("variant", "Variant"),
    "selection": ("selection", "Selection"),
    "instruments": ("instrument", "Instrument"),
    "truth": ("truth", "TruthSource"),
    "data": ("data", "DataSource"),
    "executors": ("executor", "Executor"),
    "blackbox": ("blackbox", "BlackBox"),
}
"""Seam → the module of `bench.contracts` and the class in it that its members implement."""


def contract_of(seam: str) -> type[Member]:
    """Return the class that the members of a seam implement."""
    module, name = SEAMS[seam]
    found: type[Member] = getattr(importlib.import_module(f"bench.contracts.{module}"), name)
    return found


class UnknownMemberError(ValueError):
    """A name that no member of the seam has; says which one was perhaps meant."""

    def __init__(self, seam: str, name: str) -> None:
        self.seam, self.name = seam, name
        super().__init__(f"unknown {singular(seam)} {name!r}; {did_you_mean(name, names(seam))}")


def singular(seam: str) -> str:
    """Return what one member of the seam is called: ``variants`` → ``variant``."""
    return seam[:-1] if seam.endswith("s") else seam


def did_you_mean(word: str, known: list[str]) -> str:
    """Return ``did you mean 'x'?`` where one is close, the list of known words otherwise."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def names(seam: str) -> list[str]:
    """Return the names of a seam's members, sorted, without importing them."""
    package = importlib.import_module(f"bench.{seam}")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def load(seam: str, name: str) -> type[Any]:
    """Return the class of a member.

    Raises
    ------
    UnknownMemberError
        When no file of the seam is named so.
    """
    if name not in names(seam):
        raise UnknownMemberError(seam, name)
    contract = contract_of(seam)
    module = importlib.import_module(f"bench.{seam}.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, contract)
        and value.__module__.startswith(module.__name__)
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must hold exactly one {contract.__name__}")
    member: type[Member] = found[0]
    return member


def parse(seam: str, value: Any) -> Any:
    """Make a member from what stands in an ablation file: its name, or a mapping with ``name``.

    A ``preset`` in the mapping gives the parameters that the mapping itself does not.
    """
    contract = contract_of(seam)
    if isinstance(value, contract):
        return value
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict):
        raise ValueError(f"expected the name of a {singular(seam)} or a mapping with `name`")
    if not isinstance(value.get("name"), str):
        raise ValueError(
            f"`name` of the {singular(seam)} is missing; {did_you_mean('', names(seam))}"
        )
    member = load(seam, value["name"])
    parameters = {k: v for k, v in value.items() if k not in ("name", "preset")}
    if "preset" in value:
        named = str(value["preset"])
        if named not in member.presets:
            known = did_you_mean(named, list(member.presets)) if member.presets else "it has none"
            raise ValueError(f"unknown preset {named!r} of {member.name}; {known}")
        parameters = {**member.presets[named], **parameters}
    return member.model_validate(parameters)


def dump(member: Member) -> dict[str, Any]:
    """Return a member as a mapping that `parse` reads back."""
    return {"name": member.name, **member.model_dump(mode="json")}
