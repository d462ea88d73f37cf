"""Where runs run: one executor a module. The contract is `bench.contracts.executor`."""

from bench.contracts.executor import (
    STOPPED,
    Executor,
    Job,
    Outcome,
)

__all__ = ["STOPPED", "Executor", "Job", "Outcome"]
