"""Whether what a checkpoint holds fits what was built: its names, shapes, types and settings.

A checksum says that nothing was changed by accident, and no more. PyTorch itself is lenient: it
broadcasts, casts, and takes an optimiser's settings from what it loads.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

REQUIRED = {
    "params",
    "lr",
    "weight_decay",
    "momentum",
    "dampening",
    "nesterov",
    "betas",
    "eps",
    "amsgrad",
    "maximize",
}
"""What a group of an optimiser must say if it has it; what other versions of torch say besides is
theirs. Where one is missing, torch takes its default."""


class MisfitError(ValueError):
    """A part of a checkpoint that does not fit; one line naming it."""


def same(found: Any, expected: Any, at: str) -> None:
    """Check that ``found`` has the structure of ``expected``; see `tensor` for tensors in it.

    Raises
    ------
    MisfitError
        Where names, lengths, shapes or types differ.
    """
    if isinstance(expected, Tensor):
        tensor(found, expected, at)
    elif isinstance(expected, Mapping):
        keys(found, set(expected), at)
        for key, value in expected.items():
            same(found[key], value, f"{at}.{key}")
    elif type(found) is not type(expected):
        raise MisfitError(f"{at}: {type(found).__name__}, not {type(expected).__name__}")


def keys(found: Any, expected: set[Any], at: str) -> None:
    """Check that ``found`` is a mapping with exactly these keys."""
    if not isinstance(found, Mapping):
        raise MisfitError(f"{at}: {type(found).__name__}, not a mapping")
    if differ := sorted(map(str, set(found) ^ expected)):
        raise MisfitError(
            f"{at}: {differ[0]} is {'missing' if differ[0] in expected else 'unknown'}"
        )


def tensor(found: Any, expected: Tensor, at: str) -> None:
    """Check that ``found`` is a dense tensor of the same shape and type, and finite."""
    if not isinstance(found, Tensor):
        raise MisfitError(f"{at}: {type(found).__name__}, not a tensor")
    for what in ("shape", "dtype", "layout"):
        is_, should = getattr(found, what), getattr(expected, what)
        if is_ != should:
            raise MisfitError(f"{at}: {what} {_short(is_)}, not {_short(should)}")
    if found.is_floating_point() and not torch.isfinite(found).all():
        raise MisfitError(f"{at}: not finite")


def optimizer(
    found: Any, built: torch.optim.Optimizer, at: str, changed: Mapping[str, Any] | None = None
) -> None:
    """Check an optimiser's saved state against the optimiser that was built.

    Parameters
    ----------
    changed
        Settings that others than the built ones may have; None as a value: any.
    """
    keys(found, {"state", "param_groups"}, at)
    own = built.state_dict()["param_groups"]
    groups, changed = found["param_groups"], changed or {}
    if not isinstance(groups, list) or len(groups) != len(own):
        raise MisfitError(f"{at}.param_groups: not {len(own)}")
    for group, mine in zip(groups, own, strict=True):
        if not isinstance(group, Mapping) or not set(group) >= REQUIRED & set(mine):
            raise MisfitError(f"{at}.param_groups: not the settings of an optimiser")
        for key in set(group) & set(mine):
            expected = changed.get(key, mine[key])
            if expected is not None or mine[key] is None:
                _equal(group[key], expected, f"{at}.{key}")
    weights = [p for group in built.param_groups for p in group["params"]]
    names = kept_by(built)
    if not isinstance(found["state"], Mapping):
        raise MisfitError(f"{at}.state: {type(found['state']).__name__}, not a mapping")
    for number, values in found["state"].items():
        if not isinstance(number, int) or not 0 <= number < len(weights):
            raise MisfitError(f"{at}.state: no parameter {number!r}")
        if not isinstance(values, Mapping):
            raise MisfitError(f"{at}.state.{number}: {type(values).__name__}, not a mapping")
        if values:  # all that a step keeps of a weight, or nothing
            keys(values, names, f"{at}.state.{number}")
        for name, value in values.items():
            if name == "step":
                tensor(value, torch.tensor(0.0), f"{at}.state.{number}.{name}")
            elif value is not None:
                tensor(value, weights[number], f"{at}.state.{number}.{name}")


def kept_by(built: torch.optim.Optimizer) -> set[str]:
    """Return the names of what an optimiser of these settings keeps of every weight that it steps."""
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.ones(1)
    taken = inspect.signature(type(built)).parameters
    settings = {name: value for name, value in built.defaults.items() if name in taken}
    settings["fused"] = settings["foreach"] = None  # how, not what
    like = type(built)([weight], **{k: v for k, v in settings.items() if k in taken})
    like.step()
    return set(like.state[weight])


def whole(found: Any, low: int, high: int, at: str) -> int:
    """Check that ``found`` is a whole number from ``low`` to ``high``, and return it."""
    if type(found) is not int or not low <= found <= high:
        raise MisfitError(f"{at}: {_short(found)}, not a whole number from {low} to {high}")
    return found


def real(found: Any, low: float, high: float, at: str) -> float:
    """Check that ``found`` is a number from ``low`` to ``high``, and return it."""
    if type(found) not in (int, float) or not low <= found <= high:  # NaN is in no range
        raise MisfitError(f"{at}: {_short(found)}, not a number from {low:g} to {high:g}")
    return float(found)


def _equal(found: Any, expected: Any, at: str) -> None:
    """Settings: lists and tuples are the same to torch, rounding is no difference."""
    if isinstance(expected, list | tuple):
        if not isinstance(found, list | tuple) or len(found) != len(expected):
            raise MisfitError(f"{at}: {_short(found)}, not {_short(expected)}")
        for one, other in zip(found, expected, strict=True):
            _equal(one, other, at)
    elif isinstance(expected, float) and type(found) in (int, float):
        if not math.isclose(found, expected, rel_tol=1e-9):
            raise MisfitError(f"{at}: {found!r}, not {expected!r}")
    elif type(found) is not type(expected) or found != expected:
        raise MisfitError(f"{at}: {_short(found)}, not {_short(expected)}")


def _short(value: Any) -> str:
    text = str(list(value)) if isinstance(value, torch.Size) else str(value)
    return " ".join(text.removeprefix("torch.").split())[:60]
