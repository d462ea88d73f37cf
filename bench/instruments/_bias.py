"""How far estimators are from a long-horizon reference: the measurement, on any bilevel problem.

Nothing here knows of supernets: a case is a `Problem` with its batches, a gradient is made a vector
by the caller. So the same code that reads a search is checked on a quadratic.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.contracts.hypergradient import Hypergradient, Problem, Tensors
from bench.hypergradients.first_order import FirstOrder
from bench.instruments._memory import peak_bytes

Floats = NDArray[np.float64]
Flatten = Callable[[Tensors], Tensor]
"""Gradient by name → vector [A], with what has no meaning projected out."""

REFERENCE = "reference"


@dataclass(frozen=True)
class Case:
    """One state and one frozen batch sequence; an estimator sees as much of it as it asks for."""

    problem: Problem
    train: Sequence[Any]
    valid: Any


@dataclass(frozen=True)
class Sample:
    """What one estimator says on every case.

    Attributes
    ----------
    whole, implicit
        The gradient and its implicit part (zero where it has none) [R, A].
    diverged, indefinite
        Share of cases flagged so.
    seconds
        Median wall time of one estimate.
    bytes
        Peak memory of one estimate; see `bench.instruments._memory`.
    """

    whole: Floats
    implicit: Floats
    diverged: float
    indefinite: float
    seconds: float
    bytes: int


def sample(
    cases: Sequence[Case], member: Hypergradient, flatten: Flatten, device: torch.device
) -> Sample:
    """Estimate on every case; the first is run once more for its memory, which slows it down."""
    whole, implicit, flags, seconds = [], [], [], []
    for case in cases:
        train = case.train[: member.horizon]
        _finish(device)
        started = time.perf_counter()
        estimate = member.estimate(case.problem, train, case.valid)
        _finish(device)
        seconds.append(time.perf_counter() - started)
        direct = flatten(estimate.direct)
        indirect = flatten(estimate.implicit) if estimate.implicit else torch.zeros_like(direct)
        whole.append((direct + indirect).numpy())
        implicit.append(indirect.numpy())
        flags.append(estimate.flags)
    first = cases[0]
    peak = peak_bytes(
        lambda: member.estimate(first.problem, first.train[: member.horizon], first.valid), device
    )

    def share(flag: str) -> float:
        return float(np.mean([found.get(flag, 0.0) for found in flags]))

    return Sample(
        np.stack(whole),
        np.stack(implicit),
        share("diverged"),
        share("indefinite"),
        float(np.median(seconds)),
        peak,
    )


def measure(
    cases: Sequence[Case],
    estimators: Mapping[str, Hypergradient],
    reference: Hypergradient,
    flatten: Flatten,
    toward: Tensor,
    device: torch.device,
) -> dict[str, float]:
    """Compare every estimator with the reference on the same cases.

    Parameters
    ----------
    toward
        Unit vector [A] whose share in the direction of descent is reported.

    Returns
    -------
    dict
        ``<label>_<quantity>``: pull and cost for the reference and for every estimator, `distance`
        for the latter, `drift` for the reference.
    """
    direction = toward.numpy()
    exact = sample(cases, reference, flatten, device)
    scale = float(np.linalg.norm(exact.whole.mean(0)))
    found = {f"{REFERENCE}_{k}": v for k, v in _alone(exact, direction, scale).items()}
    found[f"{REFERENCE}_norm"] = scale
    found[f"{REFERENCE}_implicit_norm"] = float(np.linalg.norm(exact.implicit.mean(0)))
    now = np.stack([_direct_now(case, flatten) for case in cases])
    found |= {f"{REFERENCE}_{k}": v for k, v in drift(now, exact, direction).items()}
    for label, member in estimators.items():
        own = sample(cases, member, flatten, device)
        numbers = _alone(own, direction, scale) | distance(own, exact, direction)
        found |= {f"{label}_{k}": v for k, v in numbers.items()}
    return found


def _alone(own: Sample, direction: Floats, scale: float) -> dict[str, float]:
    """Return what needs no reference but the norm of its mean."""
    spread = own.whole.var(axis=0, ddof=1).sum() if len(own.whole) > 1 else np.nan
    share = skip_share(own.whole, direction)
    implicit = -own.implicit @ direction
    part = _ratio(implicit, np.linalg.norm(own.whole, axis=1))
    return {
        "variance": float(spread / scale**2) if scale else np.nan,
        "skip": float(np.mean(-own.whole @ direction)),
        "implicit_skip": float(implicit.mean()),
        "implicit_skip_se": standard_error(implicit),
        "implicit_skip_share": float(part.mean()),
        "implicit_skip_share_se": standard_error(part),
        "skip_share": float(share.mean()),
        "skip_share_se": standard_error(share),
        "seconds": own.seconds,
        "megabytes": own.bytes / 1e6,
        "diverged": own.diverged,
        "indefinite": own.indefinite,
    }


def _direct_now(case: Case, flatten: Flatten) -> Floats:
    """Return ∂_λ L_val at the weights as they are, before any inner step."""
    vector: Floats = flatten(FirstOrder().estimate(case.problem, (), case.valid).direct).numpy()
    return vector


def drift(now: Floats, exact: Sample, direction: Floats) -> dict[str, float]:
    """Return what the way from w_0 to w_T alone does to the direct part, as a component along skip.

    The whole at w_T minus the direct part at w_0 is two things: the implicit part (``implicit_skip``,
    both at w_T) and this drift, which no term of the hypergradient stands for.

    Parameters
    ----------
    now
        The direct part at w_0, per case [R, A].
    """
    moved = -(exact.whole - exact.implicit - now) @ direction
    part = _ratio(moved, np.linalg.norm(exact.whole, axis=1))
    return {
        "drift_skip": float(moved.mean()),
        "drift_skip_se": standard_error(moved),
        "drift_skip_share": float(part.mean()),
        "drift_skip_share_se": standard_error(part),
    }


def distance(own: Sample, exact: Sample, direction: Floats) -> dict[str, float]:
    """Return how an estimator differs from the reference, case by case and on average.

    ``cosine`` and ``sign`` (share of entries of equal sign) are means over cases, ``error``
    (‖g − g*‖/‖g*‖) and ``ratio`` (‖g‖/‖g*‖) medians, since one divergent case would make their
    means meaningless; the same with ``implicit_`` for the implicit part, where an estimator without
    one has error 1, ratio 0 and no direction (NaN). ``bias`` is ‖E(g − g*)‖/‖E g*‖ with the part
    that the finite number of cases adds to the square subtracted. ``cosine_debiased`` is the cosine
    of the two expected gradients: see `debiased_cosine`; ``cosine`` itself is that of single draws,
    and falls with their noise. ``skip_shift`` is the difference of the two ``skip_share``, paired
    by case, so that what the cases have in common cancels.
    """
    numbers = _pairwise(own.whole, exact.whole)
    numbers |= {f"implicit_{k}": v for k, v in _pairwise(own.implicit, exact.implicit).items()}
    error = own.whole - exact.whole
    noise = error.var(axis=0, ddof=1).sum() / len(error) if len(error) > 1 else 0.0
    squared, scale = float((error.mean(0) ** 2).sum() - noise), np.linalg.norm(exact.whole.mean(0))
    numbers["bias"] = float(np.sqrt(max(0.0, squared)) / scale) if scale else np.nan
    numbers["cosine_debiased"], numbers["cosine_debiased_se"] = debiased_cosine(
        own.whole, exact.whole
    )
    shift = skip_share(own.whole, direction) - skip_share(exact.whole, direction)
    numbers["skip_shift"] = float(shift.mean())
    numbers["skip_shift_se"] = standard_error(shift)
    return numbers


def debiased_cosine(own: Floats, exact: Floats) -> tuple[float, float]:
    """Return the cosine of two expected gradients [R, A] each, and its standard error.

    All three inner products are means over pairs of different cases: noise, which the two gradients
    of one case share, then adds to none of them. The standard error is the jackknife's. NaN where
    the noise leaves nothing of a squared length, or for fewer than three cases. It is not cut off
    at 1, which would bias it again.
    """
    if len(own) < 3:
        return np.nan, np.nan
    value = _cosine_across(own, exact)
    n = len(own)
    left = np.array(
        [_cosine_across(np.delete(own, i, 0), np.delete(exact, i, 0)) for i in range(n)]
    )
    return value, float(np.sqrt((n - 1) * left.var()))


def _cosine_across(own: Floats, exact: Floats) -> float:
    def inner(a: Floats, b: Floats) -> float:
        n = len(a)
        return float((a.sum(0) @ b.sum(0) - (a * b).sum()) / (n * (n - 1)))

    squared = inner(own, own), inner(exact, exact)
    return (
        inner(own, exact) / float(np.sqrt(squared[0] * squared[1])) if min(squared) > 0 else np.nan
    )


def skip_share(whole: Floats, direction: Floats) -> Floats:
    """Return the cosine of the direction of descent with ``direction``, per case [R]."""
    return _ratio(-whole @ direction, np.linalg.norm(whole, axis=1))


def standard_error(values: Floats) -> float:
    """Return the standard error of a mean; NaN for a single value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan


def _pairwise(own: Floats, exact: Floats) -> dict[str, float]:
    size, length = np.linalg.norm(own, axis=1), np.linalg.norm(exact, axis=1)
    agree = (np.sign(own) == np.sign(exact)).mean(axis=1)
    return {
        "cosine": float(_ratio((own * exact).sum(axis=1), size * length).mean()),
        "sign": float(np.where(size > 0, agree, np.nan).mean()),
        "error": float(np.median(_ratio(np.linalg.norm(own - exact, axis=1), length))),
        "ratio": float(np.median(_ratio(size, length))),
    }


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """Divide; NaN where there is nothing to divide by."""
    quotient: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return quotient


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def quantities(labels: Iterable[str]) -> list[str]:
    """Return the names that `measure` gives, for a reading that has no meaning."""
    nothing = Sample(np.zeros((1, 1)), np.zeros((1, 1)), 0.0, 0.0, 0.0, 0)
    alone = list(_alone(nothing, np.ones(1), 0.0))
    beside = list(distance(nothing, nothing, np.ones(1)))
    return [
        *(f"{REFERENCE}_{k}" for k in (*alone, "norm", "implicit_norm")),
        *(f"{REFERENCE}_{k}" for k in drift(np.zeros((1, 1)), nothing, np.ones(1))),
        *(f"{label}_{k}" for label in labels for k in (*alone, *beside)),
    ]
