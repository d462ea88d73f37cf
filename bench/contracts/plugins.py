"""Members outside the package: files that the user named, and entry points of what is installed.

What was named stands in one place, the environment variable ``BENCH_PLUGINS``: ``--plugins PATH`` and
the key ``plugins:`` of an ablation file add to it, and processes that execute runs inherit it. It is
never read out of a folder of runs or results: such a folder says which members it needs, by name, and
no more, so that nobody else's folder makes code run here.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import keyword
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import FrameSummary, extract_tb
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

VARIABLE = "BENCH_PLUGINS"
"""Paths, separated as in ``PATH``; files that hold a member each, or folders of them."""
OUTSIDE = "bench_plugins_"
"""How packages begin that stand for the user's folders of members."""
NAME = re.compile(r"[a-z][a-z0-9_]*")
"""Of a file or folder that holds a member, without its ending."""

_under_way: list[str] = []
"""Modules that are being loaded: what they ask the registry for themselves is of the package."""


class PluginError(ValueError):
    """A plug-in that is not there, cannot be loaded or holds no member; names file and line."""


@dataclass(frozen=True)
class Plugin:
    """A module of the user's that holds a member.

    Attributes
    ----------
    name
        What the member is called.
    module
        The module, by the name under which it is loaded.
    where
        What errors and results call it: the file, or the distribution that is installed.
    """

    name: str
    module: str
    where: str


def use(path: Path) -> None:
    """Name a file or folder of members, for this process and those that it starts.

    Raises
    ------
    PluginError
        Where there is nothing that could hold a member.
    """
    place = Path(os.path.abspath(path.expanduser()))
    if os.pathsep in str(place):
        raise PluginError(f"--plugins {path}: a path with {os.pathsep!r} cannot be passed on")
    at(place)  # says now what is wrong with it
    known = [str(p) for p in named()]
    if str(place) not in known:
        os.environ[VARIABLE] = os.pathsep.join([*known, str(place)])


def named() -> tuple[Path, ...]:
    """Return what was named, each once, in the order in which it was."""
    found = filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))
    return tuple(dict.fromkeys(Path(os.path.abspath(Path(p).expanduser())) for p in found))


def environment() -> dict[str, str]:
    """Return what a process that executes runs must be given to find the same members."""
    return {VARIABLE: os.pathsep.join(map(str, named()))}


def loading() -> bool:
    """Say whether a plug-in is just being loaded."""
    return bool(_under_way)


def in_files() -> Iterator[Plugin]:
    """Yield the plug-ins in the files and folders that were named."""
    for place in named():
        yield from at(place)


def installed(seam: str) -> dict[str, EntryPoint]:
    """Return the entry points of the group ``bench.<seam>``, by name; nothing of them is loaded."""
    return _installed().get(seam, {})


def load(plugin: Plugin) -> ModuleType:
    """Import a plug-in.

    Raises
    ------
    PluginError
        One line with the file, the line and what went wrong there.
    """
    if plugin.module in sys.modules:
        return sys.modules[plugin.module]
    _under_way.append(plugin.module)
    try:
        return importlib.import_module(plugin.module)
    except Exception as error:
        raise PluginError(f"{_place(error, plugin.where)}: {_said(error)}") from error
    finally:
        _under_way.pop()


def files(module: ModuleType) -> list[Path]:
    """Return the source files of a member outside the package: its own and those that help it.

    Its own are the file, or all of its folder's; those that help are the files beside it whose names
    begin with an underscore.
    """
    own = Path(str(module.__file__))
    if own.name == "__init__.py":
        found, beside = set(own.parent.rglob("*.py")), own.parent.parent
    else:
        found, beside = {own}, own.parent
    if module.__name__.startswith(OUTSIDE):
        found |= set(beside.glob("_*.py"))
    return sorted(found)


def told(module: ModuleType) -> str:
    """Say where a member outside the package comes from, without the folders on the way there."""
    if not module.__name__.startswith(OUTSIDE):
        for group in _installed().values():
            for entry in group.values():
                if entry.module == module.__name__ and entry.dist is not None:
                    return f"{entry.dist.name} {entry.dist.version}"
    own = Path(str(module.__file__))
    return f"{own.parent.name}/" if own.name == "__init__.py" else own.name


def at(path: Path) -> list[Plugin]:
    """Return the plug-ins that a path names: a file, the folder of a member, or a folder of members.

    Raises
    ------
    PluginError
        Where there is none.
    """
    place = Path(os.path.abspath(path.expanduser()))
    if (place / "__init__.py").is_file() or (place.suffix == ".py" and place.is_file()):
        holders = [place]
    elif place.is_dir():
        inside = [*place.glob("*.py"), *(p.parent for p in place.glob("*/__init__.py"))]
        holders = sorted(p for p in inside if not p.name.startswith(("_", ".")))
        if not holders:
            raise PluginError(f"--plugins {place}: holds no file or folder of a member")
    else:
        what = "expected a .py file or a folder" if place.exists() else "no such file or folder"
        raise PluginError(f"--plugins {place}: {what}")
    for holder in holders:
        if not NAME.fullmatch(holder.stem) or keyword.iskeyword(holder.stem):
            raise PluginError(
                f"{holder}: {holder.stem!r} is no name of a member; use a-z, 0-9 and _"
            )
    return [Plugin(p.stem, f"{_package(p.parent)}.{p.stem}", str(p)) for p in holders]


def _package(folder: Path) -> str:
    """Return a package whose modules are the files of a folder, so that they can import each other."""
    name = OUTSIDE + hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return name


@functools.cache
def _installed() -> dict[str, dict[str, EntryPoint]]:
    """Return seam → name → entry point.

    Not those of what merely lies in the working folder, which ``python -m`` puts on the path: it may
    be anybody's.
    """
    from importlib.metadata import distributions  # takes a while, and most commands need none

    here = {"", os.getcwd(), os.path.realpath(os.getcwd())}
    found: dict[str, dict[str, EntryPoint]] = {}
    for distribution in distributions(path=[place for place in sys.path if place not in here]):
        for entry in distribution.entry_points:
            package, _, seam = entry.group.partition(".")
            if package == "bench" and seam:
                found.setdefault(seam, {}).setdefault(entry.name, entry)
    return found


def _place(error: BaseException, where: str) -> str:
    """Return ``file:line`` of the last step that led to an error in the user's files."""
    folder = str(Path(where).parent)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno or 1}"
    steps: Sequence[FrameSummary] = extract_tb(error.__traceback__)
    own = [step for step in steps if step.filename.startswith(folder + os.sep)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else where


def _said(error: BaseException) -> str:
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return f"{type(error).__name__}: {text}"[:300]
