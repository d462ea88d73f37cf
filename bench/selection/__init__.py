"""How a cell is read off the supernet: one rule a module. The contract is `bench.contracts.selection`."""

from bench.contracts.selection import (
    Selection,
)

__all__ = ["Selection"]
