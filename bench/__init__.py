"""bench: the reference suite for studying why differentiable architecture search fails.

From Python (each is loaded when it is used; `help(bench.run)` and so on)::

    asked = bench.make_ablation("ablations/skip_dropout.yaml", "smoke")
    found = bench.run(asked, "results/runs/mine", executor="inline")
    found.runs, found.answer, found.plot("differences")
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from bench.api import (
        Results,
        Search,
        make_ablation,
        query,
        rank,
        run,
        train,
        use_plugins,
    )

__all__ = [
    "Results",
    "Search",
    "__version__",
    "make_ablation",
    "query",
    "rank",
    "run",
    "train",
    "use_plugins",
]


def __getattr__(name: str) -> Any:
    """Load what is offered when it is first asked for: `import bench` itself costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bench import api  # late: saves start-up time

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
