"""Single changes of a module's source: a number, a comparison, a sign, an operator, a branch, a minimum."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.golden import harness

SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Div,),
    ast.Mod: (ast.Mult,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
NAMES = {
    "min": "max",
    "clamp_min": "clamp_max",
    "argmax": "argmin",
    "minimum": "maximum",
    "any": "all",
}
NAMES |= {other: one for one, other in NAMES.items()}
UNPUBLISHED = {"off", "paper", "time", "memory", "model_config"}
"""Fields of a class that say nothing of what it does in a search."""
PLANNED = {"cost_in_passes"}
"""What `plan` reckons with, and no definition."""


@dataclass(frozen=True)
class Mutant:
    """One change: the number of a node in `ast.walk`'s order, and the change made there."""

    node: int
    line: int
    constant: bool
    text: str
    change: Callable[[ast.AST], ast.AST]


def _skipped(tree: ast.Module) -> set[int]:
    """Return the ids of nodes that are types, words, refusals or bounds of settings."""
    out: set[int] = set()

    def skip(node: ast.AST | None) -> None:
        if node is not None:
            out.update(id(inner) for inner in ast.walk(node))

    for node in ast.walk(tree):
        bounded = isinstance(node, ast.keyword) and node.arg in harness.CONSTRAINTS
        if bounded or isinstance(node, (ast.Raise, ast.JoinedStr)):
            skip(node)
        elif isinstance(node, ast.AnnAssign):
            skip(node.annotation)
            if isinstance(node.target, ast.Name) and node.target.id in UNPUBLISHED:
                skip(node.value)
        elif isinstance(node, ast.FunctionDef):
            skip(node.returns)
            for argument in (*node.args.args, *node.args.kwonlyargs):
                skip(argument.annotation)
            if node.name in PLANNED:
                skip(node)
        elif isinstance(node, ast.UnaryOp) and ast.unparse(node) == "-1":
            skip(node.operand)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skip(node)
    return out


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else 0.8 * value if value else 0.25


def _changes(node: ast.AST) -> Iterator[tuple[bool, Callable[[Any], ast.AST]]]:
    """Yield (whether it is of a constant, the change) for what may be changed of one node."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield True, lambda n: ast.Constant(_number(n.value))
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for other in SWAPS.get(type(op), ()):
                yield (
                    False,
                    lambda n, i=i, o=other: _with(n, ops=[*n.ops[:i], o(), *n.ops[i + 1 :]]),
                )
    elif isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)):
        for other in SWAPS.get(type(node.op), ()):
            yield False, lambda n, o=other: _with(n, op=o())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        if ast.unparse(node) != "-1":  # the last dimension, or the last of a list
            yield False, lambda n: n.operand
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        if isinstance(node.test, (ast.Name, ast.Attribute, ast.Call, ast.NamedExpr)):
            yield False, lambda n: _with(n, test=ast.UnaryOp(ast.Not(), n.test))
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in NAMES:
            yield False, lambda n: _with(n, func=ast.Name(NAMES[n.func.id], ast.Load()))
        if isinstance(node.func, ast.Attribute) and node.func.attr in NAMES:
            yield False, lambda n: _with(n, func=_with(n.func, attr=NAMES[n.func.attr]))


def _with(node: Any, **fields: Any) -> Any:
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _brief(node: ast.AST) -> str:
    if isinstance(node, (ast.If, ast.While)):
        return ast.unparse(node.test)
    return " ".join(ast.unparse(node).split())


def mutants(tree: ast.Module) -> list[Mutant]:
    """Return every change of a module."""
    skipped, found = _skipped(tree), []
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in skipped:
            continue
        for constant, change in _changes(node):
            text = f"{_brief(node)} -> {_brief(change(node))}"
            found.append(Mutant(number, getattr(node, "lineno", 0), constant, text, change))
    return found


class Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)
