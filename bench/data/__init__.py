"""Where images come from: one source a module. The contract is `bench.contracts.data`."""

from bench.contracts.data import (
    DataError,
    DataSource,
    Halves,
    Images,
    NoTestImagesError,
)
from bench.contracts.identity import Place

__all__ = ["DataError", "DataSource", "Halves", "Images", "NoTestImagesError", "Place"]
