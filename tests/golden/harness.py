"""What golden tables are made with, and how a member is broken on purpose to see its table fail.

A golden table is a module named like its member: ``SOURCE`` says where the definition is published,
``table(make)`` yields (what, what the member gives, what is published). The published side holds
literal numbers, or the source's formula written out; it never asks the member.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import json
import math
import pkgutil
import sys
import types
from pathlib import Path

import torch

from bench.contracts import registry
from bench.contracts.moment import Moment
from bench.search.composition import Composition

SEAMS = ("variants", "selection", "hypergradients")
NB201 = registry.parse("spaces", {"name": "nb201", "channels": 4, "cells": 1})
DARTS = registry.parse("spaces", {"name": "darts", "channels": 4, "layers": 3})


def at(epoch=0, epochs=50, phase="weights", step=None, memory=None, part=0):
    """Return a moment of a search of ``epochs`` epochs of one step."""
    step = epoch if step is None else step
    return Moment(0, epoch, step, epochs, 1, phase, torch.device("cpu"), memory or {}, part)


class Maker:
    """Make the member with parameters or a preset, and remember which presets were asked for."""

    def __init__(self, member):
        self.member, self.presets = member, set()

    def __call__(self, preset=None, **parameters):
        if preset is not None:
            self.presets.add(preset)
            parameters = {**self.member.presets[preset], **parameters}
        return self.member(**parameters)

    def hooks(self, variant, space=NB201, architecture=None, **moment):
        """Return the variant's hooks inside cells."""
        return Composition([variant], space).hooks(architecture or {}, at(**moment))


def searching(*variants, epochs=3, **changes):
    """Return setup and initial state of a small search of ``epochs`` epochs, on digits."""
    from bench.search.setup import initial_state

    base = {
        "space": registry.dump(NB201),
        "data": {"name": "digits", "size": 64},
        "device": "cpu",
        "ranking": None,
        "kernel": "torch",  # a table needs no compiler
        "search": {"epochs": epochs, "batch": 32, **changes},
    }
    setup = _plain(json.dumps(base))
    if variants:
        setup = setup.having(composition=Composition(variants, setup.space))
    return setup, initial_state(setup)


@functools.cache
def _plain(settings):
    from bench.search.settings import Settings
    from bench.search.setup import build

    return build(Settings.model_validate_json(settings), [], 0)


def near(found, published):
    """Say whether two rows are the same: numbers to a millionth, all else exactly."""
    if isinstance(found, torch.Tensor):
        found = found.detach().tolist()
    if isinstance(published, torch.Tensor):
        published = published.tolist()
    if isinstance(published, (list, tuple)):
        same = isinstance(found, (list, tuple)) and len(found) == len(published)
        return same and all(map(near, found, published))
    if isinstance(published, dict):
        same = isinstance(found, dict) and found.keys() == published.keys()
        return same and all(near(found[k], v) for k, v in published.items())
    if isinstance(published, (int, float)) and not isinstance(published, bool):
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return False
        return math.isclose(found, published, rel_tol=1e-5, abs_tol=1e-6)
    return found == published


def golden(seam, name):
    """Return the member's golden table, or None."""
    try:
        return importlib.import_module(f"tests.golden.{seam}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"tests.golden.{seam}.{name}":
            raise
        return None


def failures(table, make):
    """Return the rows that are not as published; an exception is one."""
    wrong, rows = [], 0
    try:
        for what, found, published in table.table(make):
            rows += 1
            if not near(found, published):
                wrong.append(f"{what}: {found!r}, published {published!r}")
    except Exception as error:
        wrong.append(f"{type(error).__name__}: {error}")
    return wrong, rows


CONSTRAINTS = {
    "ge", "gt", "le", "lt", "min_length", "max_length", "description", "frozen", "strict", "keepdim",
    "dim", "stable", "pure", "reverse",
}  # fmt: skip
"""What pydantic refuses, and how Python and torch are told shapes: no published definition."""


class _Constants(ast.NodeVisitor):
    """Find the numbers and truth values that a definition is made of."""

    def __init__(self):
        self.found, self.preset = [], False

    def visit_Constant(self, node):
        if isinstance(node.value, (int, float)) or (self.preset and isinstance(node.value, str)):
            self.found.append(node)

    def visit_Subscript(self, node):
        self.visit(node.value)

    def visit_UnaryOp(self, node):
        if not (isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)):
            self.generic_visit(node)
        elif node.operand.value != 1:  # −1 is the last dimension
            self.visit(node.operand)

    def visit_Compare(self, node):
        sides = [node.left, *node.comparators]
        for side in sides:
            if not (isinstance(side, ast.Constant) and side.value == 0):  # a shortcut
                self.visit(side)

    def visit_keyword(self, node):
        if node.arg not in CONSTRAINTS:
            self.generic_visit(node)

    def visit_AnnAssign(self, node):
        name = node.target.id if isinstance(node.target, ast.Name) else ""
        self.preset = name == "presets"
        if name != "off" and node.value is not None:
            self.visit(node.value)
        self.preset = False


def constants(module):
    """Return (line, column) of every constant of a module's definition, and the lines."""
    source = Path(importlib.import_module(module).__file__).read_text()
    visitor = _Constants()
    visitor.visit(ast.parse(source))
    lines = source.splitlines()
    return [((n.lineno, n.col_offset), n.value, lines[n.lineno - 1].strip()) for n in visitor.found]


class _Change(ast.NodeTransformer):
    def __init__(self, place):
        self.place = place

    def visit_Constant(self, node):
        if (node.lineno, node.col_offset) != self.place:
            return node
        if isinstance(node.value, str):
            value = node.value + "_"
        elif isinstance(node.value, bool):
            value = not node.value
        elif isinstance(node.value, int):
            value = node.value + 1
        else:
            value = 0.8 * node.value if node.value else 0.25
        return ast.copy_location(ast.Constant(value), node)


def broken(module, place):
    """Return a module whose constant at a place is another one."""
    original = importlib.import_module(module)
    path = original.__file__
    tree = _Change(place).visit(ast.parse(Path(path).read_text()))
    made = types.ModuleType(module)
    made.__file__, made.__package__ = path, original.__package__
    with swapped(module, made):  # dataclasses and pydantic look their module up while it is made
        exec(compile(tree, path, "exec"), made.__dict__)
    return made


def fresh(module):
    """Run a module's source again, so that it imports what stands in for its helpers now."""
    original = importlib.import_module(module)
    made = types.ModuleType(module)
    made.__file__, made.__package__ = original.__file__, original.__package__
    with swapped(module, made):
        exec(compile(Path(original.__file__).read_text(), original.__file__, "exec"), made.__dict__)
    return made


@contextlib.contextmanager
def swapped(module, other):
    """Let a module's name stand for another one meanwhile."""
    package, _, leaf = module.rpartition(".")
    parent, before = sys.modules[package], sys.modules[module]
    sys.modules[module] = other
    setattr(parent, leaf, other)
    try:
        yield
    finally:
        sys.modules[module] = before
        setattr(parent, leaf, before)


def member_of(module, seam):
    """Return the one member that a module (perhaps a broken one) holds."""
    contract = registry.contract_of(seam)
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, contract)
        and value.__module__ == module.__name__
    ]
    (member,) = found
    member.name = module.__name__.rpartition(".")[2]
    return member


def wrong(seam, name, member):
    """Return what of a member's golden table is not as published."""
    return failures(golden(seam, name), Maker(member))[0]


def helpers():
    """Return every private module of the seams with the members that import it."""
    found = {}
    for seam in SEAMS:
        package = importlib.import_module(f"bench.{seam}")
        private = [m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] == "_"]
        for helper in (*(f"bench.{seam}.{name}" for name in private), "bench.contracts.stages"):
            users = [
                name for name in registry.names(seam) if _imports(f"bench.{seam}.{name}", helper)
            ]
            if users:
                found[helper] = (seam, users)
    return found


def _imports(module, helper):
    """Say whether a module's source imports a helper, by either form."""
    source = Path(importlib.import_module(module).__file__).read_text()
    package, _, leaf = helper.rpartition(".")
    return f"from {helper} import" in source or f"from {package} import {leaf} " in source
