"""What architectures are really worth: one source a module. The contract is `bench.contracts.truth`."""

from bench.contracts.identity import Place
from bench.contracts.truth import (
    NB201,
    Truth,
    TruthError,
    TruthSource,
)

__all__ = ["NB201", "Place", "Truth", "TruthError", "TruthSource"]
