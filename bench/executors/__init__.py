"""Where runs run: one executor a module. The contract is `bench.contracts.executor`."""

from bench.contracts.executor import (
    Executor,
    Job,
)

__all__ = ["Executor", "Job"]
