"""The seams: members are found by file name and loaded only when asked for.

A seam is a package of `bench` with one contract class (a `Member`) in `bench.contracts`. Every
module in it that does not start with an underscore holds exactly one member and is named like it:
``bench/variants/skip_dropout.py`` is the variant ``skip_dropout``. Adding a member is adding a file.
The user's own (`bench.contracts.plugins`) stand beside them: in files and folders that were named, and
in installed packages under the entry points ``bench.variants`` and so on. None may take a name that is
taken.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.contracts import plugins
from bench.contracts.member import Member
from bench.contracts.plugins import PluginError

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
        super().__init__(f"unknown {singular(seam)} {name!r}; {or_own(name, names(seam))}")


def singular(seam: str) -> str:
    """Return what one member of the seam is called: ``variants`` → ``variant``."""
    return seam[:-1] if seam.endswith("s") else seam


def did_you_mean(word: str, known: list[str]) -> str:
    """Return ``did you mean 'x'?`` where one is close, the list of known words otherwise."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def or_own(word: str, known: list[str]) -> str:
    """Return the same, and how a member of the user's own is named."""
    return f"{did_you_mean(word, known)} (one of your own is named with --plugins PATH)"


def names(seam: str) -> list[str]:
    """Return the names of a seam's members, sorted, without importing those of the package.

    Parameters
    ----------
    seam
        One of `SEAMS`.

    Returns
    -------
    list[str]
        The package's own members and the user's.
    """
    own, outside = _shipped(seam), _outside()
    return sorted({*own, *plugins.installed(seam), *outside.get(seam, {})})


def load(seam: str, name: str) -> type[Any]:
    """Return the class of a member.

    Parameters
    ----------
    seam
        One of `SEAMS`.
    name
        Of a member.

    Returns
    -------
    type[Any]
        The class, which implements the seam's contract.

    Raises
    ------
    UnknownMemberError
        When no file of the seam is named so.
    PluginError
        When it is the user's own and cannot be loaded.
    TypeError
        When a file of the package holds not exactly one member.
    """
    if name in _shipped(seam):
        module = importlib.import_module(f"bench.{seam}.{name}")
        found = _held(module, seam)
        if len(found) != 1:
            raise TypeError(f"{module.__name__} must hold exactly one {contract_of(seam).__name__}")
        return found[0]
    if (member := _outside().get(seam, {}).get(name)) is not None:
        return member
    if (entry := plugins.installed(seam).get(name)) is None:
        raise UnknownMemberError(seam, name)
    where = f"entry point {name!r} of bench.{seam} ({entry.value})"
    found = _held(plugins.load(plugins.Plugin(name, entry.module, where)), seam)
    if len(found) != 1 or found[0].name != name:
        raise PluginError(f"{where}: expected a module that is named like its one {singular(seam)}")
    return found[0]


def located(seam: str, name: str) -> ModuleType | None:
    """Return the module of a member of the user's own; None for those of the package."""
    return None if name in _shipped(seam) else importlib.import_module(load(seam, name).__module__)


def seam_of(member: type[Member]) -> str:
    """Return the seam of a member's class."""
    classes = {one.__name__ for one in member.__mro__}
    return next(name for name, (_, contract) in SEAMS.items() if contract in classes)


def in_file(path: Path) -> tuple[str, type[Member]]:
    """Return the member that a file or folder holds, named or not, and its seam.

    Raises
    ------
    PluginError
        When it cannot be loaded or holds not exactly one.
    """
    plugins.use(path)
    _outside()  # refuses names that are taken
    modules = [plugins.load(plugin) for plugin in plugins.at(path)]
    found = [(seam, member) for m in modules for seam in SEAMS for member in _held(m, seam)]
    if len(found) != 1:
        raise PluginError(f"{path}: holds {len(found)} members; expected one")
    return found[0]


def _shipped(seam: str) -> set[str]:
    package = importlib.import_module(f"bench.{seam}")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return {name for name in found if not name.startswith("_")}


def _outside() -> dict[str, dict[str, type[Member]]]:
    """Return seam → name → class of the members in files that were named."""
    return {} if plugins.loading() else _read(plugins.named())


@functools.cache
def _read(places: tuple[Path, ...]) -> dict[str, dict[str, type[Member]]]:
    found: dict[str, dict[str, type[Member]]] = {}
    for plugin in plugins.in_files():
        module = plugins.load(plugin)
        held = [(seam, member) for seam in SEAMS for member in _held(module, seam)]
        if len(held) != 1:
            kinds = ", ".join(contract for _, contract in SEAMS.values())
            raise PluginError(
                f"{plugin.where}:1: holds {len(held)} members; expected one class that implements one "
                f"of {kinds}"
            )
        seam, member = held[0]
        taken = found.setdefault(seam, {}).get(plugin.name)
        if taken is not None and taken is not member:
            raise PluginError(
                f"{plugin.where}:1: the {singular(seam)} {plugin.name!r} is in {_file(taken)} too"
            )
        if plugin.name in _shipped(seam) or plugin.name in plugins.installed(seam):
            raise PluginError(
                f"{plugin.where}:1: there is a {singular(seam)} {plugin.name!r} already; a member "
                "needs a name of its own"
            )
        found[seam][plugin.name] = member
    return found


def _file(member: type[Member]) -> Path:
    return Path(str(importlib.import_module(member.__module__).__file__))


def _held(module: ModuleType, seam: str) -> list[type[Member]]:
    """Return the classes of a module, or of a package's modules, that implement a seam's contract."""
    contract, own = contract_of(seam), module.__name__
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, contract)
        and (value.__module__ == own or value.__module__.startswith(f"{own}."))
    ]


def parse(seam: str, value: Any) -> Any:
    """Make a member from what stands in an ablation file: its name, or a mapping with ``name``.

    A ``preset`` in the mapping gives the parameters that the mapping itself does not.

    Parameters
    ----------
    seam
        One of `SEAMS`.
    value
        A name, a mapping with ``name`` and parameters, or a member.

    Returns
    -------
    Any
        The member.

    Raises
    ------
    ValueError
        When there is no such member or preset, or a parameter is not what it should be; a
        `pydantic.ValidationError` names the parameter.
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
    """Return a member as a mapping that `parse` reads back.

    Parameters
    ----------
    member
        Of any seam.

    Returns
    -------
    dict[str, Any]
        ``name`` and the parameters, plain enough for JSON.
    """
    return {"name": member.name, **member.model_dump(mode="json")}
