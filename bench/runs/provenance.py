"""Where a result comes from: the code, the machine, and what did the arithmetic."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bench
from bench import kernels
from bench.contracts.space import Supernet
from bench.runs import fit, sources
from bench.runs.made import NONE
from bench.runs.spec import RunSpec

Leg = dict[str, Any]
"""What computed a stretch of a run: ``kernel``, ``kernel_reason``, ``processor``, ``torch``,
``sources``."""


def leg(spec: RunSpec, supernet: Supernet | None) -> Leg:
    """Say what computes a run from here on."""
    kernel = supernet.kernel if supernet is not None else "torch"
    reason = ""
    if kernel == "torch" and spec.settings.kernel == "auto" and supernet is not None:
        reason = next(iter(kernels.PROBLEMS.values()), NONE)
    return {
        "kernel": kernel,
        "kernel_reason": reason,
        "processor": processor(spec.settings.device),
        "torch": str(torch.__version__),  # it is of a class of its own
        "sources": sources.sources(spec),
    }


def known_legs(saved: Mapping[str, Any]) -> list[Leg]:
    """Return what a checkpoint says computed it; nothing where it is of an older version.

    Raises
    ------
    MisfitError
        Where that is not what `leg` gives, or not what the checkpoint's arithmetic is.
    """
    legs = saved.get("legs", [])
    fit.same(legs, [], "legs")
    for one in legs:
        fit.keys(one, {"kernel", "kernel_reason", "processor", "torch", "sources"}, "legs")
        fit.same({**one, "sources": {}}, dict.fromkeys(one, "") | {"sources": {}}, "legs")
        found = one["sources"]
        if not isinstance(found, dict) or not all(
            isinstance(word, str) for pair in found.items() for word in pair
        ):
            raise fit.MisfitError("legs.sources: not names and hashes")
    if legs and saved["compiled"] != (legs[-1]["kernel"] == "compiled"):
        raise fit.MisfitError("compiled: not what computed it")
    return list(legs)


def joined(legs: Sequence[Leg]) -> dict[str, Any]:
    """Return the plain columns of a result: one value each, or what came after what."""
    found: dict[str, Any] = {}
    for name in ("kernel", "kernel_reason", "processor"):
        found[name] = " then ".join(dict.fromkeys(str(one[name]) for one in legs if one[name]))
    return found | {"source": sources.identity(legs[-1]["sources"])}


def provenance(spec: RunSpec, legs: Sequence[Leg]) -> dict[str, Any]:
    """Return what somebody needs to get the same numbers again."""
    return {
        "bench": bench.__version__,
        "source": sources.package(),
        "commit": commit(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "device": spec.settings.device,
        "threads": spec.settings.threads,
        "machine": platform.machine(),
        "system": platform.system(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        **joined(legs),
        "sources": legs[-1]["sources"],
        "plugins": sources.outside(legs[-1]["sources"]),
        "legs": list(legs) if len(legs) > 1 else [],
    }


@functools.cache
def processor(device: str = "cpu") -> str:
    """Return the name of the processor, or of the GPU, that computes."""
    if device == "cuda" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def commit() -> str:
    """Return the commit of a source checkout, ``+`` where its package is changed; empty elsewhere.

    Only where the package is the checkout's own: it may as well be installed inside any other.
    Members that are not under version control yet count as a change.
    """
    package = Path(bench.__file__).resolve().parent
    try:
        top = _git(package, "rev-parse", "--show-toplevel")
        if Path(top).resolve() != package.parent:
            return ""
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        head = _git(package, "rev-parse", "--short=12", "HEAD")
        changed = _git(package, "status", "--porcelain", "--untracked-files=all", ".")
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+" if changed else "")


def _git(folder: Path, *words: str) -> str:
    # Whatever repository the user's shell is told to work in is not this one.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=5,
        check=True,
        env=clean,
    )
    return done.stdout.strip()
