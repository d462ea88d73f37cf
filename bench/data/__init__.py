"""Where images come from: one source a module. The contract is `bench.contracts.data`."""

from bench.contracts.data import (
    DataError,
    DataSource,
    Halves,
    Images,
    NoTestImagesError,
)

__all__ = ["DataError", "DataSource", "Halves", "Images", "NoTestImagesError"]
