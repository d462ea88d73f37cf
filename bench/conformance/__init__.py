"""What a member promises, asked of the user's own: one file of checks for every seam.

Each file has ``CHECKS``: a sentence → a function that is given the member and raises
`AssertionError` with what is wrong. ``python -m bench check-member FILE`` runs them.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.contracts import registry
from bench.contracts.member import Member
from bench.written import one_line

Check = Callable[[Any], None]


@dataclass(frozen=True)
class Finding:
    """What one check found: the promise, and why it is not kept (empty: it is)."""

    promise: str
    broken: str = ""


def findings(seam: str, kind: type[Member], fields: Mapping[str, Any]) -> Iterator[Finding]:
    """Run the checks of a seam on a member, one after the other.

    Parameters
    ----------
    fields
        Parameters of the member; those that it has no default for must be there.
    """
    yield _asked("has a docstring whose first line says what it is", lambda: _described(kind))
    member = kind.model_validate(dict(fields))
    yield _asked("survives the way through an ablation file", lambda: _survives(seam, member))
    checks: Mapping[str, Check] = importlib.import_module(f"bench.conformance.{seam}").CHECKS
    for promise, check in checks.items():
        yield _asked(promise, lambda check=check: check(member))  # type: ignore[misc]


def expect(condition: bool, why: str) -> None:
    """Raise `AssertionError` where a promise is not kept; unlike ``assert`` also under ``-O``."""
    if not condition:
        raise AssertionError(why)


def _asked(promise: str, ask: Callable[[], None]) -> Finding:
    try:
        ask()
    except AssertionError as error:
        return Finding(promise, one_line(error) or "it does not")
    except Exception as error:  # whatever the user's code raises, it is not what was promised
        return Finding(promise, f"{type(error).__name__}: {one_line(error)}"[:300])
    return Finding(promise)


def _described(kind: type[Member]) -> None:
    expect(bool(kind.__dict__.get("__doc__")), "the class has no docstring")
    said = (inspect.getdoc(kind) or "").split("\n")[0]
    expect(len(said) > 15, f"its first line is {said!r}")


def _survives(seam: str, member: Member) -> None:
    again = registry.parse(seam, registry.dump(member))
    expect(again == member, f"written and read back it is {again!r}")
