"""Break every variant, selection rule and estimator on purpose; print what its golden table lets pass.

``python tools/mutate_golden.py [MODULE ...]``: of every member's source and of the private helpers of
its seam, one number, comparison, sign, operator, branch, minimum or maximum is changed at a time and
the golden tables of those who use it are run, in this process. A change that no table notices survives;
it is a gap in the table unless the table says in ``EQUIVALENT`` (or, of constants, in ``INERT``)
why nothing published could tell. Ends with 1 where something survives.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import signal
import sys
import time
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.contracts import registry  # noqa: E402
from tests.golden import harness  # noqa: E402
from tests.golden.mutants import Mutant, Replace, mutants  # noqa: E402


def compiled(module: str, mutant: Mutant) -> types.ModuleType:
    """Return the module with one thing changed; what it imports is looked up now."""
    original = importlib.import_module(module)
    tree = ast.parse(inspect.getsource(original))
    node = next(n for i, n in enumerate(ast.walk(tree)) if i == mutant.node)
    tree = ast.fix_missing_locations(Replace(node, mutant.change(node)).visit(tree))
    made = types.ModuleType(module)
    made.__file__, made.__package__ = original.__file__, original.__package__
    with harness.swapped(module, made):
        exec(compile(tree, str(original.__file__), "exec"), made.__dict__)
    return made


class Late(BaseException):
    """A change that keeps a table from coming to an end; no table may catch it."""


def green(seam: str, name: str, module: types.ModuleType, limit: float) -> bool:
    """Run one member's golden table on a module; what it cannot end in time is red."""

    def late(*_: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        member = harness.member_of(module, seam)
        with harness.swapped(module.__name__, module):
            return not harness.wrong(seam, name, member)
    except (Late, Exception):
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def survives(seam: str, users: Sequence[str], module: str, mutant: Mutant, limit: float) -> bool:
    """Say whether every table that might notice stays green."""
    try:
        made = compiled(module, mutant)
    except Exception:  # it does not even load
        return False
    if users == [module.rpartition(".")[2]]:
        return green(seam, users[0], made, limit)
    with harness.swapped(module, made):
        for name in users:
            try:
                fresh = harness.fresh(f"bench.{seam}.{name}")
            except Exception:
                return False
            if not green(seam, name, fresh, limit):
                return False
    return True


def modules() -> Iterator[tuple[str, str, list[str]]]:
    """Yield (module, seam, members whose tables might notice a change in it)."""
    for seam in harness.SEAMS:
        for name in registry.names(seam):
            yield f"bench.{seam}.{name}", seam, [name]
    for helper, (seam, users) in harness.helpers().items():
        yield helper, seam, users


def excused(seam: str, users: Sequence[str], mutant: Mutant, line: str) -> bool:
    """Say whether a table says why this change cannot be told."""
    for table in filter(None, (harness.golden(seam, name) for name in users)):
        if mutant.text in getattr(table, "EQUIVALENT", {}):
            return True
        if mutant.constant and any(text in line for text in getattr(table, "INERT", {})):
            return True
    return False


def main(wanted: Sequence[str]) -> int:
    """Print, module by module, how many changes were noticed and which were not."""
    totals, began = [0, 0, 0], time.perf_counter()
    for module, seam, users in modules():
        if wanted and not any(text in module for text in wanted):
            continue
        source = inspect.getsource(importlib.import_module(module))
        lines, start = source.splitlines(), time.perf_counter()
        for name in users:
            if harness.wrong(seam, name, registry.load(seam, name)):
                print(f"{seam}/{name}: its golden table is red already")
                return 2
        limit = max(2.0, 10 * (time.perf_counter() - start))
        killed, equivalent, alive = 0, 0, []
        for mutant in mutants(ast.parse(source)):
            if excused(seam, users, mutant, lines[mutant.line - 1]):
                equivalent += 1
            elif survives(seam, users, module, mutant, limit):
                alive.append(mutant)
            else:
                killed += 1
        print(
            f"{module}: {killed} noticed, {len(alive)} survived, {equivalent} told apart by nothing"
        )
        for mutant in alive:
            print(f"  {mutant.line}: {mutant.text}", flush=True)
        totals = [a + b for a, b in zip(totals, (killed, len(alive), equivalent), strict=True)]
    print(
        f"{totals[0]} noticed, {totals[1]} survived, {totals[2]} told apart by nothing published; "
        f"{time.perf_counter() - began:.0f} s"
    )
    return 1 if totals[1] else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
