"""Searches that see only a table: one search a module. The contract is `bench.contracts.blackbox`."""

from bench.contracts.blackbox import (
    PAPER_BUDGET,
    Architecture,
    BlackBox,
    Found,
    MissingLibraryError,
    Proposals,
    Query,
    random_architecture,
)

__all__ = [
    "PAPER_BUDGET",
    "Architecture",
    "BlackBox",
    "Found",
    "MissingLibraryError",
    "Proposals",
    "Query",
    "random_architecture",
]
