"""Hashes of what settings name: images, truth, the cells of a file. They are a run's identity too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.search.settings import Settings

ABSENT = "absent"
"""In place of the hash of what is not there."""


class Contents:
    """Hashes of what settings name, each taken once: runs share their images and truth.

    Parameters
    ----------
    absent
        Called with a line for images or truth that are not there; the identity of their runs is
        one that no run has. None: they are an error.
    """

    def __init__(self, absent: Callable[[str], None] | None = None) -> None:
        self.absent, self.known = absent, dict[Any, str]()

    def lenient(self) -> Contents:
        """Return the same, known hashes included, that lets pass what is not there."""
        copy = Contents(absent=lambda text: None)
        copy.known.update(self.known)
        return copy

    def of(self, settings: Settings) -> dict[str, str]:
        """Return the hash of everything that these settings name, by what it is."""
        data, truth, space = settings.data, settings.truth, settings.space
        found = {"data": self._once(data, data.content)}
        if truth is not None:
            found["truth"] = self._once((truth, space, data), lambda: truth.content(space, data))
        if settings.ranking is not None and settings.ranks:
            population = settings.ranking.population
            found["population"] = self._once(population, population.content)
        return {name: value for name, value in found.items() if value}

    def _once(self, key: Any, find: Callable[[], str]) -> str:
        if key not in self.known:
            try:
                self.known[key] = find()
            except ValueError as error:
                if self.absent is None:
                    raise
                self.absent(str(error))
                self.known[key] = ABSENT
        return self.known[key]


def refuse_changed(run: str, planned: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Refuse contents that are others than those that the run was planned with.

    Parameters
    ----------
    run
        What the run is called.
    planned, found
        Hashes of what it was planned with, and of what is there now, by what it is; what is not
        in both is not compared.

    Raises
    ------
    ValueError
        One line that names what is another.
    """
    for name in sorted(found.keys() & planned.keys()):
        if found[name] != planned[name]:
            raise ValueError(
                f"{run}: {name}: {_NAMED[name]} changed since this run was planned; put "
                "back what was there, or plan it anew with `python -m bench run`"
            )


_NAMED = {"data": "the images", "truth": "the table", "population": "the list of cells"}
