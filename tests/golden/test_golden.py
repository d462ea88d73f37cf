"""Every variant, selection rule and preset agrees with its published definition, and could fail to."""

import ast
import importlib
import inspect

import pytest

from bench.contracts import registry
from tests.golden import harness
from tests.golden.mutants import mutants

MEMBERS = [(seam, name) for seam in harness.SEAMS for name in registry.names(seam)]


@pytest.mark.parametrize(("seam", "name"), MEMBERS)
def test_it_gives_what_is_published(seam, name):
    table = harness.golden(seam, name)
    assert table is not None, f"tests/golden/{seam}/{name}.py is missing: write what is published"
    assert len(table.SOURCE) > 20, "name the source"
    make = harness.Maker(registry.load(seam, name))
    wrong, rows = harness.failures(table, make)
    assert not wrong, "\n".join(wrong)
    assert rows, "the table is empty"
    missing = set(make.member.presets) - make.presets
    assert not missing, f"no row asks for preset {', '.join(sorted(missing))}"


def _modules():
    for seam, name in MEMBERS:
        yield f"bench.{seam}.{name}", seam, [name]
    for helper, (seam, users) in harness.helpers().items():
        yield helper, seam, users


def _mutations():
    """Estimators have mutations of their own in tests/hypergradients."""
    return (found for found in _modules() if found[1] != "hypergradients")


MUTATIONS = [
    pytest.param(module, seam, users, place, text, id=f"{module}:{place[0]}:{place[1]}")
    for module, seam, users in _mutations()
    for place, _, text in harness.constants(module)
]


def inert(seam, users):
    """Return what the tables of these members say is no part of the published definition."""
    tables = [harness.golden(seam, name) for name in users]
    return [line for table in tables if table for line in getattr(table, "INERT", {})]


@pytest.mark.parametrize(("module", "seam", "users", "place", "text"), MUTATIONS)
def test_another_constant_turns_the_table_red(module, seam, users, place, text):
    if any(line in text for line in inert(seam, users)):
        return
    try:
        other = harness.broken(module, place)
    except Exception:  # it does not even load
        return
    if users == [module.rpartition(".")[2]]:
        tables = [(users[0], other)]
    else:
        with harness.swapped(module, other):
            tables = [(name, harness.fresh(f"bench.{seam}.{name}")) for name in users]
    for name, changed in tables:
        if (table := harness.golden(seam, name)) is None:
            continue
        try:
            member = harness.member_of(changed, seam)
        except ValueError:
            return
        if harness.failures(table, harness.Maker(member))[0]:
            return
    pytest.fail(f"{module}:{place[0]}: `{text}` may be changed and every table stays green")


def test_what_is_called_inert_is_there():
    stale = []
    for seam, name in MEMBERS:
        table = harness.golden(seam, name)
        modules = [f"bench.{seam}.{name}"]
        modules += [h for h, (s, users) in harness.helpers().items() if s == seam and name in users]
        lines = [text for module in modules for _, _, text in harness.constants(module)]
        for fragment, why in getattr(table, "INERT", {}).items():
            if len(why) <= 10 or not any(fragment in line for line in lines):
                stale.append((name, fragment))
    assert not stale


def test_what_is_called_equivalent_could_be_made():
    """What ``EQUIVALENT`` excuses from `tools/mutate_golden.py` is a change of its source, with a why."""
    stale = []
    changes = {
        module: {
            m.text for m in mutants(ast.parse(inspect.getsource(importlib.import_module(module))))
        }
        for module, _, _ in _modules()
    }
    for seam, name in MEMBERS:
        own = [module for module, other, users in _modules() if other == seam and name in users]
        possible = set().union(*(changes[module] for module in own))
        for change, why in getattr(harness.golden(seam, name), "EQUIVALENT", {}).items():
            if change not in possible or len(why) < 8:
                stale.append((name, change))
    assert not stale


@pytest.mark.parametrize(("seam", "name"), MEMBERS)
def test_some_constant_of_it_is_told_by_its_table(seam, name):
    """No table is of a kind that nothing can turn red."""
    table, module = harness.golden(seam, name), f"bench.{seam}.{name}"
    skipped = list(getattr(table, "INERT", {}))
    own = [h for h, (s, users) in harness.helpers().items() if s == seam and name in users]
    places = [
        place
        for source in (module, *own)
        for place, _, text in harness.constants(source)
        if not any(line in text for line in skipped)
    ]
    if not places:  # then at least no other member of the seam passes for it
        for other in registry.names(seam):
            if other != name:
                assert harness.failures(table, harness.Maker(registry.load(seam, other)))[0], other
