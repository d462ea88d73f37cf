"""How the architecture gradient is estimated: one estimator a module.

The contract is `bench.contracts.hypergradient`.
"""

from bench.contracts.hypergradient import (
    HVP,
    Estimate,
    Hypergradient,
    InnerStep,
    Loss,
    Problem,
    Tensors,
    Trained,
)

__all__ = ["HVP", "Estimate", "Hypergradient", "InnerStep", "Loss", "Problem", "Tensors", "Trained"]
