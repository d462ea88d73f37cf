"""Second derivatives of the inner problem at fixed weights, as products with vectors."""

from __future__ import annotations

from typing import Any

from bench.contracts.hypergradient import Problem, Tensors
from bench.hypergradients._autodiff import leaves, vjp
from bench.hypergradients._inner import step_gradient


class Curvature:
    """H = ∂²_w L_train + wd·I and ∂²_λw L_train on one batch.

    Weight decay belongs to H because the fixed point of the inner map is where
    ∂_w L_train + wd·w = 0; momentum and learning rate do not move that point, and clipping does
    not act near it. The gradient's graph is built once (about 1 F, its activations are held as
    long as this object lives) and walked backwards once per product (about 2 F each).
    """

    def __init__(self, problem: Problem, weights: Tensors, batch: Any) -> None:
        self.problem = problem
        self.weights = leaves(weights)
        self.gradient = step_gradient(problem, self.weights, batch, create_graph=True)

    def hessian(self, vector: Tensors) -> Tensors:
        """Return H·vector; zero for the weights that the training loss does not reach."""
        product = self._walk(vector, self.weights)
        decay = self.problem.inner.weight_decay
        return {
            name: value + decay * vector[name] if name in self.gradient else value
            for name, value in product.items()
        }

    def mixed(self, vector: Tensors) -> Tensors:
        """Return ∂_λ(∂_w L_train · vector), one tensor per architecture parameter."""
        return self._walk(vector, self.problem.architecture)

    def _walk(self, vector: Tensors, inputs: Tensors) -> Tensors:
        (product,) = vjp(
            list(self.gradient.values()),
            [vector[name] for name in self.gradient],
            inputs,
            retain_graph=True,
        )
        return product
